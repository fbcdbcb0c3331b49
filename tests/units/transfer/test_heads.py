"""Heads solved in a batch: the optimum that scipy and scikit-learn find, one by one or together."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from torch import nn

from support.heads import deep_features, logits_of
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.transfer.heads import solve_head, solve_heads

torch.set_num_threads(1)

# One head --------------------------------------------------------------------------------------


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
    assert loss == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-4)
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


# Many heads --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "width", "classes"), [(400, 48, 10), (60, 80, 4), (200, 20, 2)], ids=str
)
def test_equal_to_scikit_learn(count, width, classes):
    """Subsets times regularisations in one batch; scikit-learn's C is 1 / (n * regularization)."""
    features, labels = deep_features(2 * count, width, classes)
    generator = torch.Generator().manual_seed(0)
    subsets = [torch.randperm(2 * count, generator=generator)[:count] for _ in range(3)]
    rows = torch.stack([subset for subset in subsets for _ in range(2)])
    regularization = torch.tensor([1e-3, 3e-2] * 3)
    weights, biases, losses = solve_heads(features[rows], labels[rows], classes, regularization)
    # Of two classes scikit-learn has one vector, the difference of the two: half the penalty.
    vectors = 2 if classes == 2 else 1
    for k, row in enumerate(rows):
        x, y = features[row].double().numpy(), labels[row].numpy()
        x = (x - x.mean(0)) / np.maximum(x.std(0), 1e-9)  # some units are dead
        strength = vectors / (count * float(regularization[k]))
        peer = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-7).fit(x, y)
        logits = peer.decision_function(x)
        expected = np.stack([-logits / 2, logits / 2], 1) if classes == 2 else logits
        expected = expected - expected.mean(1, keepdims=True)
        found = logits_of(weights[k], biases[k], features[row]).numpy().T
        np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-2)
        loss = -np.log(peer.predict_proba(x)[np.arange(count), y]).mean()
        assert float(losses[k]) == pytest.approx(loss, abs=1e-4)


def gradient_norm(
    features: torch.Tensor,
    labels: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    regularization: float,
) -> float:
    """Of the objective over standardised features, by autograd in float64."""
    x = features.double()
    mean, spread = x.mean(0), x.std(0, unbiased=False)
    w = (weight.double() * spread).requires_grad_(True)
    b = (bias.double() + weight.double() @ mean).requires_grad_(True)
    loss = F.cross_entropy((x - mean) / spread @ w.T + b, labels)
    loss = loss + 0.5 * regularization * w.square().sum()
    parts = torch.autograd.grad(loss, (w, b))
    return float(torch.cat([part.flatten() for part in parts]).norm())


@pytest.mark.parametrize("regularization", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("count", [50, 400])
def test_the_gradient_is_gone(count, regularization):
    features, labels = deep_features(count, 64, 6)
    weights, biases, _ = solve_heads(features, labels[None], 6, regularization)
    # 2e-6 in float32, and the rounding of the weights that are returned.
    assert gradient_norm(features, labels, weights[0], biases[0], regularization) < 1e-5


def test_heads_that_finish_together():
    features, labels = problem(60, 5, 3, seed=1)
    alone = solve_heads(features, labels[None], 3, 1e-2)
    together = solve_heads(features, labels.expand(3, -1), 3, 1e-2)
    for one, three in zip(alone, together, strict=True):
        torch.testing.assert_close(three, one.expand_as(three), rtol=1e-4, atol=1e-5)


def test_together_as_one_at_a_time():
    """Different ends: the easy ones leave the batch long before the last."""
    features, labels = deep_features(900, 40, 5)
    generator = torch.Generator().manual_seed(1)
    rows = torch.stack([torch.randperm(900, generator=generator)[:300] for _ in range(10)])
    regularization = torch.logspace(-4, 1, 10)
    together = solve_heads(features[rows], labels[rows], 5, regularization)
    for k, row in enumerate(rows):
        alone = solve_heads(features[row], labels[row][None], 5, float(regularization[k]))
        torch.testing.assert_close(
            logits_of(together[0][k], together[1][k], features),
            logits_of(alone[0][0], alone[1][0], features),
            rtol=2e-2, atol=2e-2,
        )  # fmt: skip
        assert float(together[2][k]) == pytest.approx(float(alone[2][0]), abs=1e-5)


@pytest.mark.parametrize("count", [200, 30])
def test_one_feature_matrix_for_all_is_a_copy_for_each(count):
    features, labels = deep_features(count, 40, 4)
    noisy = torch.stack([labels, labels.flip(0), (labels + 1) % 4])
    regularization = torch.tensor([1e-2, 1e-2, 1e-1])
    shared = solve_heads(features, noisy, 4, regularization)
    copied = solve_heads(features.expand(3, -1, -1), noisy, 4, regularization)
    for one, other in zip(shared, copied, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e6])
def test_badly_scaled_and_constant_features(scale):
    features, labels = deep_features(200, 10, 3)
    plain = logits_of(*solve_heads(features, labels[None], 3, 1e-2)[:2], features)
    powers = scale ** torch.linspace(0, 1, 10)
    scaled = torch.cat([features * powers, torch.full((200, 1), 12345.678)], 1)
    weights, biases, _ = solve_heads(scaled, labels[None], 3, 1e-2)
    assert float(weights[..., -1].abs().max()) < 1e-6
    torch.testing.assert_close(logits_of(weights, biases, scaled), plain, rtol=1e-2, atol=1e-2)


def test_collinear_features_share_the_weight():
    """Two equal columns have half the weight each; without regularisation, the same loss."""
    features, labels = deep_features(200, 10, 3)
    doubled = torch.cat([features, features[:, :1]], 1)
    weights, _, _ = solve_heads(doubled, labels[None], 3, 1e-2)
    torch.testing.assert_close(weights[..., 0], weights[..., -1], rtol=1e-3, atol=1e-4)
    losses = [float(solve_heads(x, labels[None], 3, 0.0)[2]) for x in (features, doubled)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_separable_without_regularization_ends(caplog):
    """No optimum: finite weights that are right, the loss as good as zero, no endless search."""
    features = torch.tensor([[-2.0], [-1.0], [1.0], [2.0]])
    labels = torch.tensor([[0, 0, 1, 1]])
    with caplog.at_level(logging.WARNING, "advtransfer"):
        weights, biases, losses = solve_heads(features, labels, 2, 0.0)
    assert torch.isfinite(weights).all() and torch.isfinite(biases).all()
    assert torch.equal((weights @ features.T + biases[..., None]).argmax(1), labels)
    assert 0 <= float(losses[0]) < 1e-4
    assert not caplog.records


def test_too_few_iterations_are_told(caplog):
    features, labels = deep_features(200, 30, 4)
    with caplog.at_level(logging.WARNING, "advtransfer"):
        solve_heads(features, labels[None].expand(3, -1), 4, 1e-5, maximum_iterations=3)
    assert "3 of 3 heads are not at their optimum" in caplog.text


def test_a_class_without_images_is_never_predicted():
    features, labels = deep_features(100, 8, 3)
    weights, biases, _ = solve_heads(features, labels[None], 5, 1e-2)
    logits = weights @ features.T + biases[..., None]
    assert torch.isfinite(logits).all() and int(logits.argmax(1).max()) < 3


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"labels": torch.zeros(1, 7, dtype=torch.long)}, "not (6, 2) and (1, 7)"),
        ({"labels": torch.full((1, 6), 3)}, "labels are 3 ... 3, but there are 3 classes"),
        ({"regularization": -1.0}, "at least 0"),
        ({"regularization": torch.ones(2)}, "one for each problem"),
        ({"features": torch.full((6, 2), torch.nan)}, "not finite"),
        ({"features": torch.zeros(2, 6, 2)}, "not (2, 6, 2) and (1, 6)"),
    ],
)
def test_wrong_problems_are_told(changes, part):
    given = {
        "features": torch.zeros(6, 2),
        "labels": torch.zeros(1, 6, dtype=torch.long),
        "classes": 3,
        "regularization": 0.1,
    }
    with pytest.raises(UserError) as told:
        solve_heads(**(given | changes))
    assert part in str(told.value)
