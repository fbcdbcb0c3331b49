"""Differences over source seeds and subset seeds: by hand, against scipy, and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import stats

from workflow_scripts.advtransfer.statistics.intervals import mean_interval
from workflow_scripts.advtransfer.statistics.paired import paired_difference

DESIGN = (3, 10)  # source seeds, subset seeds
DRAWS = 2000
# Numbers that a study holds: shares and percentages, with nan for what was not measured.
measured = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(-100, 100) | st.just(math.nan),
)


def half_width(differences):
    found = paired_difference(differences, np.zeros_like(differences))
    assert found.value - found.ci_low == pytest.approx(found.ci_high - found.value)
    return (found.ci_high - found.ci_low) / 2


def t_quantile(freedom):
    return stats.t.ppf(0.975, freedom)


@pytest.mark.parametrize(
    ("differences", "variance", "freedom"),
    [
        # MS_A = 24, MS_B = 39/2, MS_E = 7/2, so 6 V = 40.
        ([[0, 2, 4], [3, 4, 11]], 40 / 6, 40**2 / (24**2 / 1 + 19.5**2 / 2 + 3.5**2 / 2)),
        # MS_A = 6, MS_B = MS_E = 2: nothing is left for subsets, and source seeds decide.
        ([[1, 2, 3], [3, 6, 3]], 1, 1),
        # Likewise with the two sides exchanged.
        ([[1, 3], [2, 6], [3, 3]], 1, 1),
        # One difference among zeros: all three are 1/6, whichever rounding makes the larger.
        ([[1, 0], [0, 0], [0, 0]], 1 / 36, 2),
        ([[0, 0], [0, 0], [0, 1]], 1 / 36, 2),
        # MS_A = MS_B = 0, MS_E = 4: less than the residual's share is never claimed.
        ([[1, -1], [-1, 1]], 1, 1),
        # Source seeds alone, subset seeds alone: no residual.
        ([[1, 1, 1], [2, 2, 2], [6, 6, 6]], 7 / 3, 2),
        ([[1, 2, 6], [1, 2, 6], [1, 2, 6]], 7 / 3, 2),
    ],
)
def test_interval_by_hand(differences, variance, freedom):
    differences = np.array(differences, dtype=float)
    found = paired_difference(differences + 50, np.full_like(differences, 50))
    half = t_quantile(freedom) * math.sqrt(variance)
    assert found.value == pytest.approx(differences.mean())
    assert (found.ci_low, found.ci_high) == pytest.approx((found.value - half, found.value + half))
    assert (found.mean, found.baseline_mean) == pytest.approx((50 + differences.mean(), 50))
    assert (found.n_source_seeds, found.n_subset_seeds) == differences.shape


def test_mean_squares_equal_an_analysis_of_variance_by_least_squares():
    rng = np.random.default_rng(0)
    i, j = DESIGN
    rows, columns = np.indices(DESIGN).reshape(2, -1)
    source, subset = 1.0 * (rows[:, None] == np.arange(i)), 1.0 * (columns[:, None] == np.arange(j))
    differences = (source @ rng.normal(size=i) + subset @ rng.normal(size=j)) * 2
    differences += rng.normal(size=i * j)

    def left(*design):
        design = np.hstack([np.ones((i * j, 1)), *design])
        return np.sum((differences - design @ np.linalg.lstsq(design, differences)[0]) ** 2)

    error = left(source, subset)
    mean_squares = np.array([left(subset) - error, left(source) - error, error])
    freedoms = np.array([i - 1, j - 1, (i - 1) * (j - 1)])
    mean_squares /= freedoms
    assert mean_squares[:2].min() > mean_squares[2]
    total = mean_squares @ [1, 1, -1]
    freedom = total**2 / np.sum(mean_squares**2 / freedoms)
    expected = t_quantile(freedom) * math.sqrt(total / (i * j))
    assert half_width(differences.reshape(DESIGN)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("source", "subset", "rest", "at_most"),
    [
        (3, 0.3, 0.3, 0.965),  # nearly the t interval of three means
        (0.3, 3, 0.3, 0.965),  # nearly the t interval of ten
        (0.2, 0.2, 1, 0.99),  # conservative: components are never negative
        (0, 0, 1, 0.995),
        (1, 1, 1, 0.965),
    ],
)
def test_interval_covers_the_true_difference(source, subset, rest, at_most):
    rng = np.random.default_rng(1)
    truth = 0.4
    covered = 0
    for _ in range(DRAWS):
        differences = truth + source * rng.normal(size=(DESIGN[0], 1))
        differences = differences + subset * rng.normal(size=DESIGN[1])
        differences += rest * rng.normal(size=DESIGN)
        found = paired_difference(differences, np.zeros(DESIGN))
        covered += found.ci_low <= truth <= found.ci_high
    assert 0.93 <= covered / DRAWS <= at_most


def test_three_source_seeds_stay_three_with_many_subsets():
    source = np.array([[0.0], [1], [2]])
    rest = 0.01 * np.random.default_rng(2).normal(size=(3, 300))
    assert half_width(source + rest) == pytest.approx(4.303 / math.sqrt(3), rel=0.01)


def test_shared_variation_of_both_sides_cancels():
    rng = np.random.default_rng(3)
    shared = 10 * rng.normal(size=(3, 1)) + 10 * rng.normal(size=10)
    rest = rng.normal(size=DESIGN)
    together = paired_difference(shared + rest, shared)
    alone = paired_difference(rest, np.zeros(DESIGN))
    assert together[:3] == pytest.approx(alone[:3])


def test_degrees_of_freedom_are_no_fewer_than_source_seeds_leave():
    # MS_A = MS_B = 1.1 MS_E: Satterthwaite alone would say 1.8.
    mean_e = 60 / 18
    differences = np.outer([1.0, -2, 1], [-1] * 5 + [1] * 5)
    differences += math.sqrt(1.1 * mean_e / 10) * np.array([[-1], [0], [1]])
    differences += math.sqrt(1.1 * mean_e * 9 / 6) * np.array([1, -1] + [0] * 8)
    expected = t_quantile(2) * math.sqrt(1.2 * mean_e / 30)
    assert half_width(differences) == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(1, 8), (8, 1)])
def test_one_seed_leaves_the_t_interval_over_the_others(shape):
    differences = np.random.default_rng(4).normal(size=shape)
    found = paired_difference(differences, np.zeros(shape))
    assert found[:3] == pytest.approx(mean_interval(differences))
    assert (found.n_source_seeds, found.n_subset_seeds) == shape


def test_what_lacks_a_partner_is_left_out():
    rng = np.random.default_rng(5)
    values, baseline = rng.normal(size=(2, 4, 6))
    expected = paired_difference(values[:3][:, [0, 2, 5]], baseline[:3][:, [0, 2, 5]])
    values[3, :3] = baseline[3, 3:] = np.nan  # a source seed without any pair
    values[:, 1] = np.nan  # a subset seed without any
    values[1, 3] = np.nan  # subset seeds that one source seed lacks
    baseline[2, 4] = np.inf
    assert paired_difference(values, baseline) == expected
    assert (expected.n_source_seeds, expected.n_subset_seeds) == (3, 3)


def test_without_enough_pairs():
    one = paired_difference([[0.7, np.nan]], [[0.5, 0.4]])
    assert one.value == pytest.approx(0.2)
    assert (one.mean, one.baseline_mean) == (0.7, 0.5)
    assert np.isnan([one.ci_low, one.ci_high]).all()
    assert one[5:] == (1, 1)
    apart = [[0.1, np.nan], [np.nan, 0.2]]  # no subset seed that both source seeds have
    for nothing in (np.full((3, 2), np.nan), np.empty((0, 4)), np.empty((2, 0)), apart):
        found = paired_difference(nothing, nothing)
        assert np.isnan(found[:5]).all()
        assert found[5:] == (0, 0)


@pytest.mark.parametrize("shape", [(3, 10), (1, 10), (3, 1), (2, 2)])
@pytest.mark.parametrize("difference", [0.0, 0.1, -7.3])
def test_constant_differences_have_no_width(shape, difference):
    found = paired_difference(np.full(shape, difference), np.zeros(shape))
    assert found.ci_low == found.value == found.ci_high == pytest.approx(difference)


@pytest.mark.parametrize("scale", [1e-90, 1e90])
def test_scale_does_not_matter(scale):
    differences = np.random.default_rng(6).normal(size=DESIGN)
    assert half_width(differences * scale) == pytest.approx(half_width(differences) * scale)


@pytest.mark.parametrize("scale", [1e-170, 1e-162, 1e-155])
def test_differences_whose_squares_vanish_are_no_error(scale):
    differences = np.random.default_rng(6).normal(size=DESIGN)
    assert half_width(differences * scale) == pytest.approx(0, abs=1e-150)


def test_unpaired_arrays_are_refused():
    with pytest.raises(ValueError, match="source seeds, subset seeds"):
        paired_difference(np.zeros((3, 10)), np.zeros((3, 9)))
    with pytest.raises(ValueError, match="source seeds, subset seeds"):
        paired_difference(np.zeros(10), np.zeros(10))


@given(values=measured, data=st.data())
@settings(max_examples=150, deadline=None)
def test_exchanging_the_sides_and_orders(values, data):
    baseline = data.draw(
        arrays(np.float64, values.shape, elements=st.floats(-100, 100) | st.just(math.nan))
    )
    found = paired_difference(values, baseline)
    swapped = paired_difference(baseline, values)
    np.testing.assert_array_equal(
        swapped,
        (-found[0], -found[2], -found[1], found[4], found[3], *found[5:]),
    )
    if np.isfinite(found.ci_low):
        assert found.ci_low <= found.value <= found.ci_high
    assert found.value == pytest.approx(found.mean - found.baseline_mean, abs=1e-9, nan_ok=True)
    sources, subsets = (data.draw(st.permutations(range(n))) for n in values.shape)
    order = np.ix_(sources, subsets)
    shuffled = paired_difference(values[order], baseline[order])
    np.testing.assert_allclose(shuffled[:5], found[:5], rtol=1e-6, atol=1e-6)
    assert shuffled[5:] == found[5:]
