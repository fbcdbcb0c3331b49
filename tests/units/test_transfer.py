"""Knowledge transfer: the solved head against scipy, what moves and what does not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from test_training import WITH_NORM, small_network, toy_set, weights
from torch import nn

from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.models.network import Network
from workflow_scripts.advtransfer.recipes import ModeRecipe, TrainingRecipe
from workflow_scripts.advtransfer.transfer.heads import solve_head
from workflow_scripts.advtransfer.transfer.transfer import (
    Transferred,
    accuracy_and_loss,
    penultimate,
    transfer,
)

torch.set_num_threads(1)
SOLVED = ModeRecipe("last_layer", solver="lbfgs", regularization=0.01)
TRAINING = TrainingRecipe(4, 16, 0.02, schedule="one_cycle", batch_norm="frozen")
ITERATED = ModeRecipe("last_layer", training=dataclasses.replace(TRAINING, learning_rate=0.2))
FULL = ModeRecipe("full_network", training=dataclasses.replace(TRAINING, batch_norm="adapt"))
MODES = [SOLVED, ITERATED, FULL]
every_mode = pytest.mark.parametrize("mode", MODES, ids=["solved", "iterated", "full"])
CLASSES = 4


def carried(mode: ModeRecipe, source: Network | None = None, seed: int = 0) -> Transferred:
    """Over to four classes; what a source was trained on does not matter here."""
    source = small_network(WITH_NORM).eval() if source is None else source
    test = toy_set(40, CLASSES, seed=7)
    return transfer(source, toy_set(80, CLASSES), test, CLASSES, mode, seed)


# The solved head ---------------------------------------------------------------------------------


def problem(count: int, width: int, classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of very different sizes and places, labels that no head can fit."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = rng.normal(size=(classes, width))
    features = 0.7 * centres[labels] + rng.normal(size=(count, width))
    features = features * 10.0 ** rng.uniform(-2, 2, width) + rng.normal(size=width) * 5
    return torch.from_numpy(features).float(), torch.from_numpy(labels)


def optimum(features: torch.Tensor, labels: torch.Tensor, regularization: float):
    """The least objective over standardised features, logits there (centred), and the objective:
    scipy in float64."""
    x = features.double().numpy()
    y, classes = labels.numpy(), int(labels.max()) + 1
    x = (x - x.mean(0)) / x.std(0)
    hot = np.eye(classes)[y]

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = flat[:-classes].reshape(classes, -1), flat[-classes:]
        z = x @ w.T + b
        z = z - z.max(1, keepdims=True)
        logp = z - np.log(np.exp(z).sum(1, keepdims=True))
        loss = -(hot * logp).sum(1).mean() + 0.5 * regularization * (w**2).sum()
        error = (np.exp(logp) - hot) / len(x)
        gradient = np.concatenate([(error.T @ x + regularization * w).ravel(), error.sum(0)])
        return loss, gradient

    start = np.zeros(classes * (x.shape[1] + 1))
    found = minimize(
        objective, start, jac=True, method="L-BFGS-B",
        options={"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-10},
    )  # fmt: skip
    w, b = found.x[:-classes].reshape(classes, -1), found.x[-classes:]
    z = x @ w.T + b
    return found.fun, z - z.mean(1, keepdims=True), objective


@pytest.mark.parametrize("regularization", [1e-3, 1e-2, 1.0])
@pytest.mark.parametrize(
    ("count", "width", "classes"), [(60, 5, 2), (200, 12, 4), (30, 40, 3)], ids=str
)
def test_solved_head_is_the_optimum_that_scipy_finds(count, width, classes, regularization):
    features, labels = problem(count, width, classes, seed=width)
    head = nn.Linear(width, classes)
    loss = solve_head(head, features, labels, regularization)
    best, expected, objective = optimum(features, labels, regularization)
    with torch.no_grad():
        logits = head(features)
    # The head takes raw features: the standardisation is folded in. Logits up to a common shift.
    centred = (logits - logits.mean(1, keepdim=True)).double().numpy()
    np.testing.assert_allclose(centred, expected, rtol=5e-3, atol=5e-3)
    assert (centred.argmax(1) == expected.argmax(1)).mean() > 0.99
    assert loss == pytest.approx(float(F.cross_entropy(logits, labels)))
    # Undone, its weights give scipy's objective.
    spread, mean = features.double().std(0, unbiased=False), features.double().mean(0)
    weight = head.weight.detach().double() * spread
    bias = head.bias.detach().double() + head.weight.detach().double() @ mean
    reached, gradient = objective(np.concatenate([weight.numpy().ravel(), bias.numpy()]))
    assert reached == pytest.approx(best, abs=1e-5)
    assert np.abs(gradient).max() < 1e-3


def test_the_units_of_a_feature_do_not_matter():
    features, labels = problem(100, 6, 3, seed=0)
    logits = []
    for scale, shift in ((1.0, 0.0), (100.0, -3.0)):
        head = nn.Linear(6, 3)
        moved = features * scale + shift
        solve_head(head, moved, labels, 0.01)
        logits.append(head(moved).detach())
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-2, atol=1e-2)


def test_features_that_never_change_do_no_harm():
    """A dead unit has no spread to divide by."""
    features, labels = problem(60, 4, 2, seed=1)
    features[:, 2] = 3.0
    with_dead, without = nn.Linear(4, 2), nn.Linear(3, 2)
    first = solve_head(with_dead, features, labels, 0.01)
    second = solve_head(without, features[:, [0, 1, 3]], labels, 0.01)
    assert first == pytest.approx(second, rel=1e-3)
    assert torch.isfinite(with_dead.weight).all()


def test_the_heads_start_does_not_matter():
    features, labels = problem(60, 5, 2, seed=2)
    solved = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        head = nn.Linear(5, 2)
        solve_head(head, features, labels, 0.01)
        solved.append(head.weight.detach().numpy().tobytes())
    assert solved[0] == solved[1]


def test_more_regularization_makes_a_smaller_head():
    features, labels = problem(100, 6, 3, seed=0)
    spread = features.std(0, unbiased=False)
    sizes, losses = [], []
    for regularization in (1e-3, 1e-2, 1e-1, 1.0):
        head = nn.Linear(6, 3)
        losses.append(solve_head(head, features, labels, regularization))
        sizes.append(float((head.weight.detach() * spread).norm()))
    assert sizes == sorted(sizes, reverse=True)
    assert losses == sorted(losses)


# Modes -------------------------------------------------------------------------------------------


@every_mode
def test_the_source_is_left_as_it_is(mode):
    source = small_network(WITH_NORM).eval()
    before = weights(source)
    carried(mode, source)
    assert weights(source) == before
    assert source.head.out_features == 3
    assert all(p.requires_grad and p.grad is None for p in source.parameters())


@pytest.mark.parametrize("mode", [SOLVED, ITERATED], ids=["solved", "iterated"])
def test_last_layer_leaves_the_body(mode):
    source = small_network(WITH_NORM).eval()
    before, after = weights(source), weights(carried(mode, source).network)
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"head.weight", "head.bias"}  # batch norm statistics included


def test_last_layer_as_the_papers_did_adapts_batch_norm_only():
    source = small_network(WITH_NORM).eval()
    adapting = dataclasses.replace(
        ITERATED, training=dataclasses.replace(ITERATED.training, batch_norm="adapt")
    )
    before, after = weights(source), weights(carried(adapting, source).network)
    moved = {name for name in before if after[name] != before[name]} - {"head.weight", "head.bias"}
    assert moved
    assert all("running" in name or "num_batches" in name for name in moved)


def test_full_network_changes_everything():
    source = small_network(WITH_NORM).eval()
    before, after = weights(source), weights(carried(FULL, source).network)
    same = {name for name in before if after[name] == before[name]}
    assert same == {"normalize.mean", "normalize.std"}


@every_mode
def test_what_a_transfer_leaves(mode):
    outcome = carried(mode)
    images, labels = toy_set(40, CLASSES, seed=7)
    assert outcome.logits.shape == (40, CLASSES) and outcome.logits.dtype == torch.float32
    assert len(outcome.history) == (1 if mode.solver == "lbfgs" else 4)
    last = outcome.history[-1]
    assert {"epoch", "train_loss", "test_accuracy", "test_loss"} <= set(last)
    # The last row is about the logits that are kept.
    right = float((outcome.logits.argmax(1) == labels).float().mean())
    assert last["test_accuracy"] == pytest.approx(right)
    assert last["test_loss"] == pytest.approx(float(F.cross_entropy(outcome.logits, labels)))
    assert accuracy_and_loss(outcome.network, images, labels)["test_accuracy"] == (
        pytest.approx(right)
    )


@every_mode
def test_same_seed_same_bytes(mode):
    first, same, other = (carried(mode, seed=seed) for seed in (0, 0, 1))
    assert first.logits.numpy().tobytes() == same.logits.numpy().tobytes()
    # The solved head has nothing at random in it.
    differs = first.logits.numpy().tobytes() != other.logits.numpy().tobytes()
    assert differs == (mode is not SOLVED)


@every_mode
def test_transfer_learns(mode):
    more = mode
    if mode.training:
        more = dataclasses.replace(mode, training=dataclasses.replace(mode.training, epochs=25))
    outcome = carried(more)
    assert outcome.history[-1]["test_accuracy"] > 0.7  # chance is a quarter


def test_penultimate_features_are_those_under_the_head():
    network = small_network(WITH_NORM)
    images, _ = toy_set(11)
    features = penultimate(network.train(), images, batch=4)
    assert not features.requires_grad
    network.eval()
    with torch.no_grad():
        expected = network.features(images.float() / 255)
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "parts"),
    [
        (ModeRecipe("first_layer"), ["no transfer mode 'first_layer'", "last_layer", "full_net"]),
        (ModeRecipe("full_network", solver="lbfgs"), ["'full_network' with solver 'lbfgs'"]),
        (ModeRecipe("last_layer", solver="newton"), ["solver 'newton'"]),
        (ModeRecipe("last_layer"), ["'last_layer' by sgd needs a `training`"]),
        (ModeRecipe("full_network"), ["'full_network' by sgd needs a `training`"]),
    ],
)
def test_wrong_modes_are_told(mode, parts):
    with pytest.raises(UserError) as told:
        carried(mode)
    for part in parts:
        assert part in str(told.value)
