"""Transferability from end to end: attacks and metrics together, where the answer is known.

Against the released image-by-image protocol written as a plain loop, on linear models whose metrics
follow by hand from the linearised attack, and on random deviations whose expectations follow on
paper. The arithmetic alone is in test_transferability.py.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.peers import released_protocol
from support.linear import Linear, random_weight
from support.networks import CONVOLUTIONAL, WITH_NORM, small_network, toy_set
from workflow_scripts.advtransfer.attacks.ball import random_start, towards_zero_half
from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
from workflow_scripts.advtransfer.attacks.run import attack_images
from workflow_scripts.advtransfer.data.batches import as_float
from workflow_scripts.advtransfer.metrics.compare import compare
from workflow_scripts.advtransfer.metrics.transferability import (
    PairMetrics,
    alpha_2,
    measure_pair,
    tau_1,
)
from workflow_scripts.advtransfer.models.inference import predict
from workflow_scripts.advtransfer.models.network import Network, inference_copy
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.training.fit import fit
from workflow_scripts.advtransfer.training.recipe import TrainingRecipe

torch.set_num_threads(1)
DIRECTIONS = ("source_to_reference", "reference_to_source")
SINGULAR = AttackRecipe("singular", "l2", 0.1)


# Against the released protocol -------------------------------------------------------------------


def trained(model: ModelRecipe, classes: int, seed: int) -> Network:
    """A network that has learned something, but not everything."""
    network = small_network(model, classes, seed)
    fit(network, *toy_set(classes=classes, seed=seed), TrainingRecipe(2, 16, 0.02), seed=seed)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def pair() -> tuple[Network, Network]:
    """A source of four classes and a reference of three, of different families."""
    return trained(CONVOLUTIONAL, 4, 0), trained(WITH_NORM, 3, 1)


@pytest.mark.parametrize(
    "attack",
    [
        AttackRecipe("pgd", "linf", 0.1, steps=10, step_size=0.05, random_start=True),
        AttackRecipe("pgd", "l2", 0.5, steps=10, step_size=0.25, random_start=True),
        AttackRecipe("fgsm", "linf", 0.1, random_start=True),
        AttackRecipe("fgsm", "l2", 0.5),
    ],
    ids=["pgd-linf", "pgd-l2", "fgsm-linf", "fgsm-l2"],
)
def test_batched_equals_the_released_loop_from_the_same_start(pair, attack):
    images, labels = toy_set(24, seed=7)
    images = as_float(images)
    labels[:4] = (labels[:4] + 1) % 3  # images that the reference gets wrong
    start = None
    if attack.random_start:
        stream = torch.Generator().manual_seed(11)
        start = random_start(images, attack.epsilon, attack.norm, stream)
    step = 0.5 * attack.epsilon if attack.steps > 1 else attack.epsilon
    expected = released_protocol.measure(
        *pair, images, labels, start, start, attack.epsilon, attack.steps, step, attack.norm
    )
    found = compare(*pair, images, labels, attack, seed=11)
    for direction in DIRECTIONS:
        loop, batched = expected[direction], found[direction]
        counted = batched.per_image["alpha_1"][~np.isnan(batched.per_image["alpha_1"])]
        assert 3 <= loop["n_images"] <= 20
        assert set(batched.n_images.values()) == {loop["n_images"]}
        # Images one by one and in a batch differ by rounding, and so do steps, by more.
        np.testing.assert_allclose(counted, loop["alpha_1_per_image"], rtol=1e-3)
        names = {"alpha_1": "alpha_1_mean"}
        for name in ("alpha_1", "alpha_2", "alpha_2_squared", "combined", "combined_squared",
                     "tau_1", "tau_2"):  # fmt: skip
            value = batched.values[names.get(name, name)]
            assert value == pytest.approx(loop[name], rel=1e-4), (direction, name)


def test_the_graph_measures_what_the_released_loop_does(pair):
    """Frozen, folded copies, and perturbations stored in float16, which costs 2^-11 of each."""
    images, labels = toy_set(24, seed=7)
    images = as_float(images)
    attack = AttackRecipe("pgd", "linf", 0.1, steps=10, step_size=0.05, random_start=True)
    stream = torch.Generator().manual_seed(11)
    start = random_start(images, attack.epsilon, attack.norm, stream)
    expected = released_protocol.measure(*pair, images, labels, start, start, 0.1, 10, 0.05)
    clean, deltas, exact = [], [], []
    for network in pair:
        exact.append(inference_copy(network, "fp32"))
        clean.append(predict(exact[-1], images))
        stream = torch.Generator().manual_seed(11)
        delta = attack_images(exact[-1], images, clean[-1].argmax(1), attack, stream)
        deltas.append(towards_zero_half(delta).float())
    for direction, (f1, f2) in zip(DIRECTIONS, ((0, 1), (1, 0)), strict=True):
        found = measure_pair(
            f1_clean=clean[f1],
            f1_own=predict(exact[f1], images + deltas[f1]),
            f2_clean=clean[f2],
            f2_transferred=predict(exact[f2], images + deltas[f1]),
            f2_own=predict(exact[f2], images + deltas[f2]),
            alignment=tau_1(deltas[f1], deltas[f2]),
            labels=clean[f2].argmax(1),
            mask=clean[1].argmax(1) == labels,
        )
        assert found.n_images["alpha_2"] == expected[direction]["n_images"]
        for name, ours in (("alpha_1", "alpha_1_mean"), ("alpha_2", "alpha_2"),
                           ("combined", "combined"), ("tau_2", "tau_2")):  # fmt: skip
            assert found.values[ours] == pytest.approx(expected[direction][name], rel=2e-3)


# Linear models under the linearised attack -------------------------------------------------------

GREY = 0.5 + 0.2 * (torch.rand(10, 3, 2, 2, generator=torch.Generator().manual_seed(0)) - 0.5)


def compare_linear(source: torch.Tensor, reference: torch.Tensor) -> dict[str, PairMetrics]:
    """f(x) = W (x - 1/2) for both weights: predictions differ from image to image, all count."""
    models = (Linear(w, -0.5 * w.sum(1)) for w in (source, reference))
    return compare(*models, GREY, None, SINGULAR)


def test_identical_models_transfer_completely():
    weight = random_weight(3)
    for direction, found in compare_linear(weight, weight).items():
        # One deviation for all images, up to its sign, which stands in both factors.
        for name in (
            "alpha_1_mean", "alpha_1_median", "alpha_1_ratio_of_means", "alpha_2",
            "alpha_2_squared", "alpha_2_squared_unbiased", "combined", "combined_squared",
            "tau_1", "tau_2",
        ):  # fmt: skip
            assert found.values[name] == pytest.approx(1, rel=1e-5), (direction, name)
        assert found.values["alpha_1_zero_denominators"] == 0
        assert set(found.n_images.values()) == {10}


def test_orthogonal_jacobians_transfer_nothing():
    """The source looks at the first six values of an image, the reference at the others."""
    source, reference = random_weight(3), random_weight(4, seed=1)
    source[:, 6:], reference[:, :6] = 0, 0
    for direction, found in compare_linear(source, reference).items():
        values, counts = found.values, found.n_images
        assert values["alpha_1_mean"] == values["alpha_1_median"] == 0
        assert counts["alpha_1_mean"] == 10
        # No deviation, no direction: undefined, and said to rest on no image.
        for name in ("alpha_2", "alpha_2_squared", "alpha_2_squared_unbiased", "combined"):
            assert np.isnan(values[name]) and counts[name] == 0, (direction, name)
        assert np.isnan(values["tau_2"])
        assert values["tau_1"] == 0
        assert values["transfer_success_rate"] == 0


def test_partly_aligned_jacobians_by_hand():
    """The source is moved most by pixel 0; the reference by pixel 1, and by pixel 0 half as much.

    Made on the source: the reference moves by 1 of at most 2. Made on the reference: the source
    moves by 1 of at most 3. Perturbations are orthogonal, deviations always along one axis.
    """
    source, reference = torch.zeros(2, 12), torch.zeros(2, 12)
    source[0, 0], source[1, 1] = 3, 1
    reference[0, 0], reference[1, 1] = 1, 2
    found = compare_linear(source, reference)
    expected = {"source_to_reference": 1 / 2, "reference_to_source": 1 / 3}
    for direction in DIRECTIONS:
        values = found[direction].values
        assert values["alpha_1_mean"] == pytest.approx(expected[direction], rel=1e-5)
        assert values["alpha_2"] == pytest.approx(1, rel=1e-5)
        assert values["combined"] == pytest.approx(expected[direction], rel=1e-5)
        assert values["tau_1"] == 0
        assert values["tau_2"] == pytest.approx(1, rel=1e-5)


def test_alpha_1_is_the_share_of_the_spectral_norm():
    source, reference = random_weight(3), random_weight(4, seed=1)
    direction = np.linalg.svd(source.numpy())[2][0]
    share = np.linalg.norm(reference.numpy() @ direction) / np.linalg.norm(reference.numpy(), 2)
    found = compare_linear(source, reference)["source_to_reference"].per_image["alpha_1"]
    np.testing.assert_allclose(found, share, rtol=1e-5)


def test_scaling_a_model_changes_nothing():
    """But for its loss, which is not a measure of transfer alone."""
    source, reference = random_weight(3), random_weight(4, seed=1)
    plain = compare_linear(source, reference)
    for scaled in (compare_linear(4 * source, reference), compare_linear(source, reference / 4)):
        for direction in DIRECTIONS:
            for name in set(plain[direction].values) - {"transferred_loss"}:
                assert scaled[direction].values[name] == pytest.approx(
                    plain[direction].values[name], rel=1e-5, abs=1e-9
                ), (direction, name)


# alpha_2: identity, floor and bias ---------------------------------------------------------------


def unit_vectors(stream: np.random.Generator, n: int, dimensions: int) -> np.ndarray:
    """Uniform on the sphere, (n, dimensions)."""
    vectors = stream.normal(size=(n, dimensions))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_alpha_2_is_the_consistency_over_pairs_of_images():
    """||E[u v^T]||_F^2 = E_{x, x'}[<u, u'> <v, v'>]: over all pairs, and over different ones."""
    stream = np.random.default_rng(0)
    n = 30
    u = unit_vectors(stream, n, 4)
    v = unit_vectors(stream, n, 6) + u @ stream.normal(size=(4, 6))  # related, not the same
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    weights = stream.uniform(0, 2, n)
    for w in (np.ones(n), weights):
        found = alpha_2(u, v, w)
        pairs = np.outer(w, w) * (u @ u.T) * (v @ v.T)
        assert found.squared == pytest.approx(pairs.mean())
        assert found.plain == pytest.approx(pairs.mean() ** 0.5)
        assert found.squared_unbiased == pytest.approx(pairs[~np.eye(n, dtype=bool)].mean())
        matrix = sum(w[k] * np.outer(u[k], v[k]) for k in range(n)) / n
        assert found.plain == pytest.approx(np.linalg.norm(matrix))


@pytest.mark.parametrize(("n", "d1", "d2"), [(5, 3, 3), (10, 10, 4), (40, 2, 10)])
def test_independent_deviations_leave_the_plug_in_at_one_over_n(n, d1, d2):
    """u and v independent and uniform on their spheres, so <u, u'> <v, v'> has mean 0.

    Its variance is 1/(d1 d2). The U-statistic is the mean over n(n-1)/2 uncorrelated pairs: mean 0,
    variance 2 / (n (n-1) d1 d2). The plug-in is 1/n + (1 - 1/n) times that.
    """
    stream = np.random.default_rng(n)
    repeats = 2000
    found = [
        alpha_2(unit_vectors(stream, n, d1), unit_vectors(stream, n, d2)) for _ in range(repeats)
    ]
    unbiased = np.array([result.squared_unbiased for result in found])
    deviation = (2 / (n * (n - 1) * d1 * d2)) ** 0.5
    assert abs(unbiased.mean()) < 4 * deviation / repeats**0.5
    assert unbiased.std() == pytest.approx(deviation, rel=0.15)
    plug_in = np.array([result.squared for result in found])
    np.testing.assert_allclose(plug_in, 1 / n + (1 - 1 / n) * unbiased, atol=1e-12)
    assert plug_in.mean() == pytest.approx(1 / n, abs=4 * deviation / repeats**0.5)


@pytest.mark.parametrize(("n", "d"), [(5, 3), (20, 10)])
def test_deviations_rotated_into_each_other_have_alpha_2_of_one_over_d(n, d):
    """v = R u: E[u v^T] = E[u u^T] R^T = R^T / d, so alpha_2^2 = 1/d; the plug-in is above it."""
    stream = np.random.default_rng(d)
    rotation = np.linalg.qr(stream.normal(size=(d, d)))[0]
    directions = [unit_vectors(stream, n, d) for _ in range(2000)]
    found = [alpha_2(u, u @ rotation.T) for u in directions]
    unbiased = np.array([result.squared_unbiased for result in found])
    plug_in = np.array([result.squared for result in found])
    error = 4 * unbiased.std() / len(found) ** 0.5
    assert unbiased.mean() == pytest.approx(1 / d, abs=error)
    assert plug_in.mean() == pytest.approx(1 / n + (1 - 1 / n) / d, abs=error)
    assert 1 / n - 1 / (n * d) > 10 * error  # the two are told apart


def test_weights_raise_the_floor_of_the_combined_metric():
    """Independent deviations, weights w: the plug-in's mean is E[w^2] / n, the U-statistic's 0."""
    stream = np.random.default_rng(1)
    n, weights = 10, np.linspace(0.5, 2, 10)
    found = [
        alpha_2(unit_vectors(stream, n, 4), unit_vectors(stream, n, 3), weights)
        for _ in range(2000)
    ]
    unbiased = np.array([result.squared_unbiased for result in found])
    error = 4 * unbiased.std() / len(found) ** 0.5
    assert abs(unbiased.mean()) < error
    floor = (weights**2).mean() / n
    assert np.mean([result.squared for result in found]) == pytest.approx(floor, abs=error)
    assert floor > 10 * error
