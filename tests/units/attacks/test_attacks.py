"""Attacks: on linear networks against the optimum worked out on paper, on trained ones in trend.

What holds for every attack is in tests/contracts/test_attack_contract.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from support.networks import small_network, toy_set
from workflow_scripts.advtransfer.attacks import fgsm, pgd
from workflow_scripts.advtransfer.attacks.ball import (
    Ball,
    l2_norms,
    random_start,
    towards_zero_half,
)
from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
from workflow_scripts.advtransfer.attacks.run import (
    AttackedCopies,
    attack_images,
    attack_labels,
    load_attack,
)
from workflow_scripts.advtransfer.data.batches import as_float
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.models.inference import BATCH, predict
from workflow_scripts.advtransfer.models.network import Network, inference_copy
from workflow_scripts.advtransfer.training.fit import fit
from workflow_scripts.advtransfer.training.recipe import TrainingRecipe

torch.set_num_threads(1)
NORMS = ["linf", "l2"]
PGD = AttackRecipe("pgd", "linf", 8 / 255, steps=5)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def linear_network(scale: float = 1.0, side: int = 4) -> Network:
    """Two classes, random weights, no bias."""
    network = Network({"flatten": nn.Flatten()}, 3 * side * side, 2)
    with torch.no_grad():
        network.head.weight.normal_(generator=generator(1)).mul_(scale)
        network.head.bias.zero_()
    return inference_copy(network, "fp32")


def lengths(delta: torch.Tensor, norm: str) -> torch.Tensor:
    return delta.flatten(1).norm(dim=1, p=float("inf") if norm == "linf" else 2)


# The optimum on a linear network -----------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("start", [False, True])
@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_linear_network(attack, norm, start):
    """The loss of label y grows along w = w_other - w_y: best is eps sign(w), or eps w / |w|."""
    network = linear_network()
    epsilon = 0.1 if norm == "linf" else 0.5
    images = torch.full((6, 3, 4, 4), 0.5)  # nothing is clipped
    labels = torch.arange(6) % 2
    # Twice the diameter a step: whatever the start, the projection is at the optimum.
    size = 4 * epsilon if start else None
    recipe = AttackRecipe(attack, norm, epsilon, steps=10, step_size=size, random_start=start)
    delta = load_attack(recipe)(network, images, labels, recipe, generator())
    w = network.head.weight
    away = (w[1 - labels] - w[labels]).view(6, 3, 4, 4)
    best = epsilon * (away.sign() if norm == "linf" else away / l2_norms(away))
    if attack == "fgsm" and norm == "l2" and start:
        # One step from a start at random: close by, on the sphere.
        assert (F.cosine_similarity(delta.flatten(1), best.flatten(1)) > 0.95).all()
    else:
        torch.testing.assert_close(delta, best, rtol=1e-4, atol=1e-5)


def test_default_step_sizes():
    """PGD: 2.5 eps / steps, so that the whole ball is within reach; FGSM: eps at once."""
    network = linear_network()
    images, labels = torch.full((1, 3, 4, 4), 0.5), torch.tensor([0])
    one = dataclasses.replace(PGD, epsilon=0.1, steps=10)
    first = pgd.perturb(network, images, labels, dataclasses.replace(one, steps=1), generator())
    assert lengths(first, "linf").item() == pytest.approx(0.1)
    # 10 steps of 0.025 are cut at 0.1; 3 steps of 0.025 would not be.
    small = dataclasses.replace(one, steps=3, step_size=0.025)
    third = pgd.perturb(network, images, labels, small, generator())
    assert lengths(third, "linf").item() == pytest.approx(0.075)
    step = dataclasses.replace(one, attack="fgsm", step_size=0.03)
    assert lengths(fgsm.perturb(network, images, labels, step, generator()), "linf").item() == (
        pytest.approx(0.03)
    )
    # FGSM is one step whatever the recipe says about steps.
    several = dataclasses.replace(one, attack="fgsm", steps=7, step_size=None)
    torch.testing.assert_close(
        fgsm.perturb(network, images, labels, several, generator()), first, rtol=0, atol=1e-7
    )


def test_clipped_at_the_range_of_pixels():
    network = linear_network()
    images = torch.rand(20, 3, 4, 4, generator=generator()).round()  # black or white: corners
    recipe = dataclasses.replace(PGD, epsilon=0.3)
    labels = torch.arange(20) % 2
    delta = pgd.perturb(network, images, labels, recipe, generator())
    away = (network.head.weight[1 - labels] - network.head.weight[labels]).view(20, 3, 4, 4)
    expected = (images + 0.3 * away.sign()).clamp(0, 1) - images
    torch.testing.assert_close(delta, expected, rtol=1e-4, atol=1e-6)


def best_in_box(away: torch.Tensor, images: torch.Tensor, epsilon: float) -> torch.Tensor:
    """argmax <away, delta> in the l2 ball with images + delta in [0, 1], by bisection.

    Lagrange: delta = clip(scale * away), with the scale at which its length is epsilon.
    """
    low, high = torch.zeros(len(images), 1, 1, 1), torch.full((len(images), 1, 1, 1), 100.0)
    for _ in range(60):
        scale = (low + high) / 2
        longer = l2_norms((images + scale * away).clamp(0, 1) - images) > epsilon
        low, high = torch.where(longer, low, scale), torch.where(longer, scale, high)
    return (images + low * away).clamp(0, 1) - images


def test_l2_with_clipping_comes_close_to_the_optimum():
    """Of steps projected onto ball and box in turn the fixed point is not the optimum, but near."""
    network = linear_network(0.1)  # unsure: a gradient through a softmax of 1 is rounded
    images = torch.rand(20, 3, 4, 4, generator=generator()).round()
    labels = torch.arange(20) % 2
    away = (network.head.weight[1 - labels] - network.head.weight[labels]).view(20, 3, 4, 4)
    best = best_in_box(away, images, 1.0)
    torch.testing.assert_close(lengths(best, "l2"), torch.ones(20), rtol=1e-4, atol=0)

    def share(recipe: AttackRecipe) -> torch.Tensor:
        delta = load_attack(recipe)(network, images, labels, recipe, generator())
        return (away * delta).sum((1, 2, 3)) / (away * best).sum((1, 2, 3))

    pgd_share = share(AttackRecipe("pgd", "l2", 1.0, steps=20))
    assert (pgd_share > 0.98).all() and (pgd_share < 1 + 1e-5).all()
    assert (share(AttackRecipe("pgd", "l2", 1.0, steps=200)) > 0.998).all()
    # One step loses what is clipped off.
    assert (share(AttackRecipe("fgsm", "l2", 1.0)) < pgd_share - 0.05).all()


# Geometry ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
def test_random_start_fills_the_ball(norm):
    like = torch.empty(4000, 1, 2, 2)
    epsilon = 0.3
    start = random_start(like, epsilon, norm, generator())
    assert start.shape == like.shape
    found = lengths(start, norm)
    assert found.max() <= epsilon * (1 + 1e-6)
    # Uniform in a ball of d dimensions: (r / eps)^d is uniform in [0, 1], so its mean is 1/2.
    level = (found / epsilon) ** 4
    assert level.mean().item() == pytest.approx(0.5, abs=5 * (1 / 12 / 4000) ** 0.5)
    assert level.quantile(0.1).item() == pytest.approx(0.1, abs=0.03)
    assert start.mean().abs() < 0.01  # no side is preferred


@given(
    norm=st.sampled_from(NORMS),
    epsilon=st.floats(0, 2),
    scale=st.sampled_from([0.0, 1e-30, 1e-3, 1.0, 1e10]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=150, deadline=None)
def test_projection(norm, epsilon, scale, seed):
    images = torch.rand(3, 3, 4, 4, generator=generator(seed))
    delta = torch.randn(3, 3, 4, 4, generator=generator(seed + 1)) * scale
    ball = Ball(images, epsilon, norm)
    found = ball.project_(delta.clone())
    # Rounding of image + delta is 6e-8 a pixel.
    assert (lengths(found, norm) <= epsilon * (1 + 1e-6) + 1e-6).all()
    moved = images + found
    assert moved.min() >= 0 and moved.max() <= 1
    torch.testing.assert_close(ball.project_(found.clone()), found, rtol=1e-5, atol=1e-6)


def test_projection_is_the_nearest_point():
    images = torch.full((1, 3, 1, 1), 0.5)
    delta = torch.tensor([0.3, -0.2, 0.05]).view(1, 3, 1, 1)
    linf = Ball(images, 0.1, "linf").project_(delta.clone()).flatten()
    torch.testing.assert_close(linf, torch.tensor([0.1, -0.1, 0.05]), rtol=0, atol=1e-7)
    l2 = Ball(images, 0.1, "l2").project_(delta.clone()).flatten()
    torch.testing.assert_close(l2, 0.1 * delta.flatten() / delta.norm(), rtol=0, atol=1e-7)
    # Inside, nothing moves.
    inside = Ball(images, 0.4, "l2").project_(delta.clone())
    torch.testing.assert_close(inside, delta, rtol=0, atol=1e-7)


def ascended(gradient: torch.Tensor, norm: str) -> torch.Tensor:
    """A step of length .1 from the middle of the pixels' range, where nothing is clipped."""
    delta = torch.zeros_like(gradient)
    return Ball(delta + 0.5, 0.2, norm).ascend_(delta, gradient.clone(), 0.1)


@pytest.mark.parametrize("scale", [1.0, 1e-5, 1e-10, 1e10])
def test_steps_have_one_length_whatever_the_gradients(scale):
    gradient = torch.randn(4, 3, 5, 5, generator=generator())
    for norm in NORMS:
        step = ascended(gradient * scale, norm)
        torch.testing.assert_close(lengths(step, norm), torch.full((4,), 0.1), rtol=1e-5, atol=0)
        torch.testing.assert_close(step, ascended(gradient, norm), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_no_gradient_no_step(norm):
    gradient = torch.zeros(2, 3, 4, 4)
    gradient[1, 0, 0, 0] = -1e-44  # the smallest float32 there are
    step = ascended(gradient, norm)
    assert torch.isfinite(step).all()
    assert (step[0] == 0).all()


@pytest.mark.parametrize("norm", NORMS)
def test_the_ball_of_some_images(norm):
    images = torch.rand(4, 3, 4, 4, generator=generator())
    delta = torch.randn(4, 3, 4, 4, generator=generator(1))
    chosen = torch.tensor([True, False, True, True])
    ball = Ball(images, 0.1, norm)
    some = ball.keep(chosen).project_(delta[chosen])
    assert torch.equal(some, ball.project_(delta)[chosen])


half_floats = st.floats(-1, 1, width=32, allow_subnormal=True)


@given(st.lists(half_floats, min_size=1, max_size=30))
@settings(max_examples=300, deadline=None)
def test_half_precision_never_grows(values):
    delta = torch.tensor(values, dtype=torch.float32)
    half = towards_zero_half(delta)
    assert half.dtype == torch.float16
    found = half.float()
    assert (found.abs() <= delta.abs()).all()
    # Rounded by less than one step of float16, and never across zero.
    step = torch.from_numpy(np.spacing(np.abs(half.numpy()))).float()
    assert ((delta.abs() - found.abs()) < step).all()
    assert (found * delta >= 0).all()


def test_half_precision_keeps_what_it_can_hold():
    exact = torch.tensor([0.0, 0.5, -0.25, 2.0**-24, -1.0, 0.0999755859375])
    assert torch.equal(towards_zero_half(exact).float(), exact)
    assert towards_zero_half(torch.tensor([2.0**-25])).item() == 0
    assert towards_zero_half(torch.tensor([0.1])).float().item() == 0.0999755859375
    below = towards_zero_half(torch.tensor([-8 / 255]))  # to nearest it would grow or not
    assert -8 / 255 <= below.float().item() < -8 / 255 + 2**-15


@given(
    norm=st.sampled_from(NORMS),
    epsilon=st.floats(1e-4, 2),
    contrast=st.sampled_from([0.5, 1.0, 3.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=100, deadline=None)
def test_stored_perturbations_stay_in_the_ball(norm, epsilon, contrast, seed):
    """With a contrast of 3 most pixels are black or white, where there is no room on one side."""
    images = ((torch.rand(3, 3, 4, 4, generator=generator(seed)) - 0.5) * contrast + 0.5).clamp(
        0, 1
    )
    labels = torch.arange(3) % 2
    recipe = AttackRecipe("pgd", norm, epsilon, steps=2, random_start=True)
    delta = pgd.perturb(linear_network(), images, labels, recipe, generator(seed))
    for stored in (delta, towards_zero_half(delta).float()):
        moved = images + stored
        assert moved.min() >= 0 and moved.max() <= 1  # exactly
        # A pixel in [0, 1] that is moved is rounded by 2^-25 at most; 48 of them together by 7 so.
        room = 2**-25 if norm == "linf" else 7 * 2**-25
        assert (lengths(stored, norm) <= epsilon * (1 + 1e-6) + room).all()


# A trained network -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained() -> Network:
    network = small_network()
    fit(network, *toy_set(), TrainingRecipe(10, 16, 0.02, schedule="one_cycle"), seed=0)
    return inference_copy(network, "fp32")


def mean_loss(network: Network, recipe: AttackRecipe, seed: int = 0) -> float:
    images, labels = toy_set()
    delta = attack_images(network, images, labels, recipe, generator(seed))
    return float(F.cross_entropy(network(as_float(images) + delta), labels))


@pytest.mark.parametrize("norm", NORMS)
def test_loss_rises_with_epsilon_and_steps(trained, norm):
    unit = 1 / 255 if norm == "linf" else 0.1
    recipe = AttackRecipe("pgd", norm, 0.0, steps=10)
    by_epsilon = [
        mean_loss(trained, dataclasses.replace(recipe, epsilon=k * unit)) for k in (0, 2, 4, 8, 16)
    ]
    assert by_epsilon == sorted(by_epsilon) and by_epsilon[-1] > 3 * by_epsilon[0]
    # Steps of one size, so that each adds to the way: more steps, more loss.
    recipe = dataclasses.replace(recipe, epsilon=16 * unit, step_size=2 * unit)
    by_steps = [mean_loss(trained, dataclasses.replace(recipe, steps=k)) for k in (1, 2, 4, 8)]
    assert by_steps == sorted(by_steps) and by_steps[-1] > by_steps[0]
    single = AttackRecipe("fgsm", norm, 16 * unit)
    assert mean_loss(trained, single) < mean_loss(
        trained, dataclasses.replace(recipe, steps=20, step_size=None)
    )


def test_restarts_never_lower_any_loss(trained):
    images, labels = toy_set(BATCH // 4)  # one batch, whatever the number of restarts
    losses = []
    for restarts in (1, 2, 4):
        recipe = dataclasses.replace(PGD, steps=1, random_start=True, restarts=restarts)
        delta = attack_images(trained, images, labels, recipe, generator())
        moved = as_float(images) + delta
        losses.append(F.cross_entropy(trained(moved), labels, reduction="none"))
    # The first start is the same in all: the generator's stream begins with it.
    assert (losses[1] >= losses[0] - 1e-6).all() and (losses[2] >= losses[1] - 1e-6).all()
    assert losses[2].mean() > losses[0].mean()


def test_wrong_labels_are_attacked_as_asked(trained):
    """`labels: predicted` leaves an image that is already wrong with its own wrong class."""
    images, labels = toy_set()
    logits = predict(trained, images)
    predicted = dataclasses.replace(PGD, labels="predicted")
    assert torch.equal(attack_labels(predicted, logits, None), logits.argmax(1))
    assert torch.equal(attack_labels(predicted, logits, labels), logits.argmax(1))
    true = dataclasses.replace(PGD, labels="true")
    assert attack_labels(true, logits, labels) is labels
    with pytest.raises(UserError, match="labels: true.*other classes.*labels: predicted"):
        attack_labels(true, logits, None)


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH + 1, 2 * BATCH])
def test_any_number_of_images(count):
    network = linear_network(0.1)
    images = torch.rand(count, 3, 4, 4, generator=generator())
    labels = torch.arange(count) % 2
    recipe = dataclasses.replace(PGD, random_start=True)
    delta = attack_images(network, images, labels, recipe, generator())
    assert delta.shape == images.shape and delta.dtype == torch.float32
    # Every image got its own perturbation, in its own place: the loss rose everywhere.
    before, after = (
        F.cross_entropy(network(x), labels, reduction="none") for x in (images, images + delta)
    )
    assert (after > before).all()
    assert predict(network, images).shape == (count, 2)


def test_images_are_attacked_one_by_one():
    """Without a random start, no image's perturbation depends on the batch around it."""
    network = linear_network()
    images = torch.rand(5, 3, 4, 4, generator=generator())
    labels = torch.arange(5) % 2
    together = attack_images(network, images, labels, PGD, generator())
    for k in range(5):
        alone = attack_images(network, images[k : k + 1], labels[k : k + 1], PGD, generator())
        torch.testing.assert_close(alone, together[k : k + 1], rtol=0, atol=1e-6)


def test_predict_takes_bytes_and_floats_and_restores_the_mode(trained):
    images, _ = toy_set()
    network = small_network()
    network.train()
    logits = predict(network, images)
    assert network.training and not logits.requires_grad
    assert torch.equal(logits, predict(network, as_float(images)))
    torch.testing.assert_close(logits, predict(network, images, batch=7), rtol=1e-5, atol=1e-6)


def test_copies_are_made_once_a_precision():
    copies = AttackedCopies(small_network())
    assert copies["fp32"] is copies["fp32"]
    assert copies["bf16"] is not copies["fp32"]
    assert copies["bf16"].head.weight.dtype == torch.bfloat16
    assert not any(p.requires_grad for p in copies["fp32"].parameters())


# Messages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"attack": "cw"}, ["unknown attack 'cw'", "fgsm", "pgd", "docs/add-an-attack.md"]),
        ({"attack": "ball"}, ["unknown attack 'ball'"]),
        ({"attack": "../run"}, ["unknown attack"]),
        ({"norm": "l1"}, ["attack 'pgd'", "linf or l2, not 'l1'"]),
        ({"epsilon": -0.1}, ["epsilon must not be negative (-0.1)"]),
        ({"steps": 0}, ["steps (0)", "at least 1"]),
        ({"restarts": 0}, ["restarts (0)", "at least 1"]),
    ],
)
def test_wrong_attacks_are_told(changes, parts):
    with pytest.raises(UserError) as told:
        load_attack(dataclasses.replace(PGD, **changes))
    for part in parts:
        assert part in str(told.value)


# Images whose label is certain --------------------------------------------------------------------


@pytest.mark.parametrize("odds", [5.0, 14.0, 20.0, 60.0])
@pytest.mark.parametrize("norm", NORMS)
def test_certain_labels_are_attacked_along_the_true_direction(norm, odds):
    """In float32, 1 - p of a label is 0 beyond log-odds of 16.6, and the plain gradient of the
    cross-entropy then ignores the label's own logit."""
    weights = torch.randn(2, 3 * 4 * 4, generator=generator())
    images = torch.full((1, 3, 4, 4), 0.5)
    offset = odds - (weights[0] - weights[1]) @ images.flatten()

    def network(x: torch.Tensor) -> torch.Tensor:
        logits = x.flatten(1) @ weights.T
        return torch.stack([logits[:, 0] + offset, logits[:, 1]], 1)

    recipe = dataclasses.replace(PGD, norm=norm, epsilon=0.1, steps=1, step_size=0.1)
    delta = pgd.perturb(network, images, torch.tensor([0]), recipe, generator())
    true = (weights[1] - weights[0]).view_as(images)
    best = 0.1 * (true.sign() if norm == "linf" else true / true.norm())
    torch.testing.assert_close(delta, best, rtol=1e-3, atol=1e-5)


# Images that have converged -----------------------------------------------------------------------


def counting(network: Network) -> tuple[Callable[[torch.Tensor], torch.Tensor], list[int]]:
    """The network, and how many images it was asked for."""
    seen: list[int] = []

    def counted(images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        return network(images)

    return counted, seen


def test_converged_images_leave_and_keep_what_they_reached():
    """On a linear network the corner of the ball is reached in one step."""
    direction = torch.randn(3, 4, 4, generator=generator())

    def linear(images: torch.Tensor) -> torch.Tensor:
        score = (images * direction).flatten(1).sum(1)
        return torch.stack([torch.zeros_like(score), score], 1)

    images, labels = torch.full((6, 3, 4, 4), 0.5), torch.zeros(6, dtype=torch.int64)
    recipe = dataclasses.replace(
        PGD, epsilon=0.01, steps=30, step_size=0.01, random_start=False, tolerance=0.01
    )
    network, seen = counting(linear)
    delta = pgd.perturb(network, images, labels, recipe, generator())
    torch.testing.assert_close(delta, 0.01 * direction.sign().expand_as(delta))
    # The second look, after five steps more, finds that nothing rose; no later step is paid for.
    assert seen == [6] * 11


def test_tolerance_saves_passes_and_costs_little_strength(trained):
    images, labels = toy_set()
    losses, passes = {}, {}
    for tolerance in (0.0, 0.02):
        network, seen = counting(trained)
        recipe = dataclasses.replace(PGD, steps=60, random_start=True, tolerance=tolerance)
        delta = pgd.perturb(network, as_float(images), labels, recipe, generator())
        assert (lengths(delta, "linf") <= recipe.epsilon + 1e-7).all()
        losses[tolerance] = float(F.cross_entropy(trained(as_float(images) + delta), labels))
        passes[tolerance] = sum(seen)
    assert passes[0.0] == 60 * len(images)
    assert passes[0.02] < 0.95 * passes[0.0]
    assert losses[0.02] > 0.98 * losses[0.0]


def test_certain_images_have_not_converged():
    """Their cross-entropy is 0 in float32 at every step, but their log-odds rise."""
    direction = torch.randn(3, 4, 4, generator=generator())

    def certain(images: torch.Tensor) -> torch.Tensor:
        score = ((images - 0.5) * direction).flatten(1).sum(1)
        return torch.stack([torch.full_like(score, 40.0), score], 1)

    images, labels = torch.full((2, 3, 4, 4), 0.5), torch.zeros(2, dtype=torch.int64)
    recipe = dataclasses.replace(
        PGD, epsilon=0.1, steps=50, step_size=0.002, random_start=False, tolerance=0.02
    )
    delta = pgd.perturb(certain, images, labels, recipe, generator())
    torch.testing.assert_close(delta, 0.1 * direction.sign().expand_as(delta))


@pytest.mark.parametrize("norm", NORMS)
def test_gradients_that_are_views_are_attacked(norm):
    """A callable that sums over pixels hands back one gradient for all of them."""
    weights = torch.tensor([[1.0, -1, 2], [0, 0, 0]])
    images, labels = torch.full((2, 3, 4, 4), 0.5), torch.ones(2, dtype=torch.int64)
    recipe = dataclasses.replace(PGD, norm=norm)
    delta = pgd.perturb(lambda x: x.sum((2, 3)) @ weights.T, images, labels, recipe, generator())
    assert (delta[:, 1] < 0).all() and (delta[:, [0, 2]] > 0).all()
