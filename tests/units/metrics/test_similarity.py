"""Distances between sets of features: closed forms, plain formulas, and invariances."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.stats import ortho_group

from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.metrics.similarity import (
    frechet_distance,
    maximum_mean_discrepancy,
    similarity,
    standardised,
)

DISTANCES = [frechet_distance, maximum_mean_discrepancy]


def features(n, width, seed):
    """Correlated features with means."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, width)) @ rng.normal(size=(width, width)) + rng.normal(size=width)


def test_frechet_of_one_feature():
    x, y = features(40, 1, 0), features(25, 1, 1)
    expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert frechet_distance(x, y) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "width"), [(50, 5), (5, 50)])  # 50 features: singular covariances
def test_frechet_of_a_copy_is_its_squared_shift(n, width):
    x, shift = features(n, width, 0), np.random.default_rng(9).normal(size=width)
    assert frechet_distance(x, x + shift) == pytest.approx(shift @ shift, rel=1e-12)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-12 * (x**2).sum())
    assert frechet_distance(x, x[::-1]) == pytest.approx(0, abs=1e-12 * (x**2).sum())


def test_frechet_equals_the_formula():
    x, y = features(60, 8, 0), features(35, 8, 1)
    first, second = np.cov(x.T), np.cov(y.T)
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(
        first + second - 2 * sqrtm(first @ second).real
    )
    assert frechet_distance(x, y) == pytest.approx(expected)


def test_frechet_of_singular_covariances():
    # On a line each, at right angles: nothing is shared, and the traces remain.
    rng = np.random.default_rng(0)
    x, y = np.zeros((2, 20, 3))
    x[:, 0], y[:, 1] = rng.normal(size=(2, 20))
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + x.var(ddof=1, axis=0)[0]
    expected += y.var(ddof=1, axis=0)[1]
    assert frechet_distance(x, y) == pytest.approx(expected)
    # On one line: as for one feature.
    assert frechet_distance(x, 3 * x) == pytest.approx(frechet_distance(x[:, :1], 3 * x[:, :1]))
    assert frechet_distance(np.ones((4, 3)), np.zeros((2, 3))) == pytest.approx(3)


def test_frechet_of_gaussians_nears_the_closed_form():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200_000, 2)) * [1, 2]
    y = rng.normal(size=(200_000, 2)) * [3, 2] + [0, 1]
    assert frechet_distance(x, y) == pytest.approx(1 + 4, rel=0.02)


def test_mmd_equals_a_double_loop():
    x, y = features(7, 3, 0), features(5, 3, 1)
    both = np.vstack([x, y])
    bandwidth = np.median([np.linalg.norm(a - b) for a, b in combinations(both, 2)])

    def mean(first, second, same):
        return np.mean(
            [
                np.exp(-(np.linalg.norm(a - b) ** 2) / (2 * bandwidth**2))
                for i, a in enumerate(first)
                for j, b in enumerate(second)
                if not same or i != j
            ]
        )

    expected = mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)
    assert maximum_mean_discrepancy(x, y) == pytest.approx(expected)


@pytest.mark.parametrize("n", [2, 4])
def test_mmd_is_unbiased(n):
    # Over all ways to deal the same points out to two samples, its mean is exactly 0.
    points = features(8, 2, 0)
    found = []
    for mine in combinations(range(8), n):
        x = np.isin(np.arange(8), mine)
        found.append(maximum_mean_discrepancy(points[x], points[~x]))
    assert np.mean(found) == pytest.approx(0, abs=1e-12)
    assert min(found) < 0 < max(found)


def test_mmd_tells_distributions_apart():
    rng = np.random.default_rng(2)
    x, same = rng.normal(size=(2, 300, 4))
    assert abs(maximum_mean_discrepancy(x, same)) < 0.005
    # Not by means alone: same mean, other spread; and the more, the farther away.
    assert maximum_mean_discrepancy(x, 3 * same) > 0.05
    near, far = (maximum_mean_discrepancy(x, same + shift) for shift in (0.5, 2))
    assert 0.01 < near < far < 2


def test_mmd_of_equal_points():
    ones = np.ones((4, 2))
    assert maximum_mean_discrepancy(ones, ones) == 0
    # Bandwidth 0: k says whether points are equal. 10 pairs of 15 are.
    mixed = np.array([[1.0, 1], [5, 5]])
    assert maximum_mean_discrepancy(ones, mixed) == pytest.approx(1 + 0 - 2 * 4 / 8)
    assert maximum_mean_discrepancy(np.ones((9, 2)), np.zeros((2, 2))) == 2


@pytest.mark.parametrize("distance", DISTANCES)
def test_distances_are_symmetric_and_do_not_see_axes_or_orders(distance):
    x, y = features(30, 4, 0), features(20, 4, 1)
    expected = distance(x, y)
    assert distance(y, x) == pytest.approx(expected)
    assert distance(x[::-1], np.roll(y, 3, axis=0)) == pytest.approx(expected)
    turn = ortho_group.rvs(4, random_state=0)
    assert distance(x @ turn + 5, y @ turn + 5) == pytest.approx(expected)


def test_scale_is_squared_in_frechet_and_not_seen_by_mmd():
    x, y = features(30, 4, 0), features(20, 4, 1)
    assert frechet_distance(3 * x, 3 * y) == pytest.approx(9 * frechet_distance(x, y))
    assert maximum_mean_discrepancy(3 * x, 3 * y) == pytest.approx(maximum_mean_discrepancy(x, y))


def test_standardised_by_the_first():
    x, y = features(30, 4, 0), features(20, 4, 1)
    x[:, 2] = 0.1  # constant, but not exactly its own mean
    first, second = standardised(x, y)
    np.testing.assert_allclose(first.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(first.std(0, ddof=1), [1, 1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(second[:, 2], y[:, 2] - 0.1)
    np.testing.assert_allclose(second[:, 0], (y[:, 0] - x[:, 0].mean()) / x[:, 0].std(ddof=1))


def test_similarity_does_not_see_units():
    source, target = features(40, 6, 0), features(30, 6, 1)
    found = similarity(source, target)
    assert set(found) == {"frechet", "mmd"}
    units, offset = np.array([1, 10, 0.1, 3, 1000, 2]), np.arange(6)
    other = similarity(source * units + offset, target * units + offset)
    assert other == pytest.approx(found)
    # One standard deviation away in every feature: 1, whatever their number.
    assert similarity(source, source + source.std(0, ddof=1))["frechet"] == pytest.approx(1)
    assert similarity(source, source)["frechet"] == pytest.approx(0, abs=1e-12)


def test_float32_tensors_are_welcome():
    source, target = (torch.from_numpy(features(20, 3, seed)).float() for seed in (0, 1))
    expected = similarity(source.double().numpy(), target.double().numpy())
    assert similarity(source, target) == pytest.approx(expected)


@pytest.mark.parametrize("function", [*DISTANCES, standardised, similarity])
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((4, 3)), np.zeros((4, 2)), "of one network"),
        (np.zeros(4), np.zeros((4, 2)), "of one network"),
        (np.zeros((4, 0)), np.zeros((4, 0)), "of one network"),
        (np.zeros((4, 3)), np.zeros((1, 3)), "two images"),
        (np.zeros((0, 3)), np.zeros((4, 3)), "two images"),
        (np.zeros((4, 3)), np.full((4, 3), np.nan), "not finite"),
        (np.full((4, 3), np.inf), np.zeros((4, 3)), "not finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(function, x, y, message):
    with pytest.raises(UserError, match=message):
        function(x, y)
