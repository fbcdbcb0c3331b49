"""Correlations over models against scipy, textbook formulas and known limits."""

import math
from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from workflow_scripts.advtransfer.statistics.correlations import KINDS, correlate, correlate_all
from workflow_scripts.advtransfer.statistics.intervals import mean_interval
from workflow_scripts.advtransfer.statistics.regression import regression_band
from workflow_scripts.studies.kinds.pairs.published import (
    ARCHITECTURE_CORRELATIONS,
    ARCHITECTURES,
    MIXTURE_CORRELATIONS,
    MIXTURES,
)

SCIPY = {
    "pearson": stats.pearsonr,
    "spearman": stats.spearmanr,
    "kendall": stats.kendalltau,
}


def measured(rng, n_models=10, n_seeds=3, slope=1.0, seed_noise=0.1):
    """x and y of models, with seeds around each model's own value."""
    x = rng.normal(size=(n_models, 1))
    y = slope * x + rng.normal(size=(n_models, 1))
    return (
        x + seed_noise * rng.normal(size=(n_models, n_seeds)),
        y + seed_noise * rng.normal(size=(n_models, n_seeds)),
    )


@pytest.mark.parametrize("kind", SCIPY)
@pytest.mark.parametrize("ties", [False, True])
def test_value_equals_scipy_on_model_means(kind, ties):
    x, y = measured(np.random.default_rng(0))
    if ties:
        x, y = np.repeat(x[::2], 2, axis=0), np.round(y)
    found = correlate(x, y, kind)
    assert found.value == pytest.approx(SCIPY[kind](x.mean(1), y.mean(1)).statistic, abs=1e-12)
    assert (found.n_models, found.n_rows) == (10, 30)
    assert found.ci_low < found.value < found.ci_high


def test_partial_correlation_equals_the_textbook_formula():
    rng = np.random.default_rng(1)
    x, y = measured(rng)
    given = x + rng.normal(size=x.shape)
    xy, xz, yz = (
        np.corrcoef(a.mean(1), b.mean(1))[0, 1] for a, b in ((x, y), (x, given), (y, given))
    )
    expected = (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))
    assert correlate(x, y, "partial_pearson", given=given).value == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["spearman", "kendall"])
def test_five_models_allow_no_small_p(kind):
    found = correlate(np.arange(5.0), np.exp(np.arange(5.0)), kind)
    assert found.value == pytest.approx(1)
    assert found.p_value == pytest.approx(2 / 120)  # this order and its reverse


def test_pearson_p_enumerates_all_orders():
    x, y = np.array([0.0, 1, 3, 4, 9]), np.array([1.0, 0, 2, 5, 3])
    exact = stats.permutation_test(
        (x,),
        lambda order: stats.pearsonr(order, y).statistic,
        permutation_type="pairings",
        n_resamples=np.inf,
    )
    expected = exact.pvalue
    assert correlate(x, y, "pearson").p_value == pytest.approx(expected)


def test_random_permutations_count_the_observed_order():
    x = np.arange(12.0)
    assert correlate(x, x, "pearson", permutations=999).p_value == pytest.approx(2 / 1000)


def test_random_permutations_agree_with_the_t_test():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 30))
    y += 0.35 * x
    expected = stats.pearsonr(x, y).pvalue
    assert correlate(x, y, "pearson", permutations=5000).p_value == pytest.approx(
        expected, abs=0.02
    )


def test_partial_p_equals_freedman_lane_one_order_at_a_time():
    given = np.array([0.0, 1, 2, 4, 7])
    x, y = np.array([1.0, 0, 3, 2, 6]), np.array([2.0, 0, 1, 5, 4])

    def residuals(values):
        fit = stats.linregress(given, values)
        return values - fit.intercept - fit.slope * given

    left = residuals(y)
    permuted = [
        stats.pearsonr(residuals(x), residuals(y - left + left[list(order)])).statistic
        for order in permutations(range(5))
    ]
    above = np.mean(np.array(permuted) >= permuted[0] - 1e-12)
    below = np.mean(np.array(permuted) <= permuted[0] + 1e-12)
    expected = min(1, 2 * min(above, below))
    found = correlate(x, y, "partial_pearson", given=given)
    assert found.value == pytest.approx(permuted[0])
    assert found.p_value == pytest.approx(expected)


def test_partial_p_is_uniform_when_only_the_given_variable_connects():
    rng = np.random.default_rng(3)
    p_values = []
    for _ in range(300):
        given = rng.normal(size=12)
        x, y = 3 * given + rng.normal(size=(2, 12))
        p_values.append(
            correlate(x, y, "partial_pearson", given=given, bootstrap=0, permutations=199).p_value
        )
    assert 0.02 < np.mean(np.array(p_values) <= 0.05) < 0.09
    assert correlate(x, y, "pearson").p_value < 0.01


def test_more_seeds_do_not_make_more_models():
    x, y = measured(np.random.default_rng(4), n_models=6, n_seeds=1)
    once = correlate_all(x, y)
    often = correlate_all(np.tile(x, 20), np.tile(y, 20))
    for kind in SCIPY:
        assert often[kind].p_value == once[kind].p_value
        assert often[kind].ci_low == pytest.approx(once[kind].ci_low, abs=0.15)
        assert often[kind].n_models == 6
        assert often[kind].n_rows == 120


def test_interval_covers_the_true_correlation():
    rng = np.random.default_rng(5)
    slope = 1.0
    truth = slope / math.sqrt(slope**2 + 1)
    covered = 0
    for _ in range(200):
        x, y = measured(rng, n_models=25, n_seeds=2, slope=slope, seed_noise=0.05)
        found = correlate(x, y, "pearson", bootstrap=300, permutations=0)
        covered += found.ci_low <= truth <= found.ci_high
    assert 0.84 <= covered / 200 <= 0.99


def test_seed_noise_widens_the_interval():
    rng = np.random.default_rng(6)
    x = np.arange(8.0)[:, None] + np.zeros((8, 3))
    y = x + rng.normal(size=x.shape)
    noisy = correlate(x, y, "pearson")
    steady = correlate(x, np.tile(y.mean(1, keepdims=True), 3), "pearson")
    assert noisy.value == pytest.approx(steady.value)
    assert noisy.ci_high - noisy.ci_low > steady.ci_high - steady.ci_low


def test_missing_seeds_are_padding():
    rng = np.random.default_rng(7)
    x, y = measured(rng, n_models=9, n_seeds=4)
    x[2, 1] = y[4, 3] = y[5, 0] = np.nan
    y[7] = np.nan
    keep = np.isfinite(x) & np.isfinite(y)
    models = [m for m in range(9) if m != 7]
    means_x, means_y = ([v[m, keep[m]].mean() for m in models] for v in (x, y))
    found = correlate_all(x, y)
    for kind, reference in SCIPY.items():
        assert found[kind].value == pytest.approx(reference(means_x, means_y).statistic)
        assert (found[kind].n_models, found[kind].n_rows) == (8, 29)
        assert found[kind].ci_low <= found[kind].value <= found[kind].ci_high


def test_padding_does_not_favour_early_seeds():
    # First seeds fall over models, second seeds rise; one model has more seeds than the others.
    x = np.full((6, 8), np.nan)
    x[:, :2] = np.arange(1.0, 7)[:, None] * np.array([-1.0, 3.0])
    x[0] = 1.0
    y = np.arange(6.0)[:, None] + np.zeros(8)
    found = correlate(x, y, "pearson")
    x[1:, :2] = x[1:, 1::-1]
    swapped = correlate(x, y, "pearson")
    assert found.value == swapped.value == pytest.approx(1)
    assert found.ci_low == pytest.approx(swapped.ci_low, abs=0.1)
    assert found.ci_high == pytest.approx(swapped.ci_high, abs=0.1)


def test_models_without_the_given_variable_count_for_the_other_kinds():
    rng = np.random.default_rng(8)
    x, y = measured(rng)
    given = rng.normal(size=x.shape)
    given[3] = np.nan
    found = correlate_all(x, y, given)
    assert [found[kind].n_models for kind in KINDS] == [10, 10, 10, 9]
    assert set(correlate_all(x, y)) == set(SCIPY)


@pytest.mark.parametrize("kind", KINDS)
def test_undefined_correlations_are_nan(kind):
    x, given = np.arange(6.0), np.array([1.0, 0, 2, 5, 3, 4])
    for a, b in ((x, np.full(6, 0.1)), (np.full(6, 0.1), x), (x[:2], x[:2])):
        found = correlate(a, b, kind, given=given[: len(a)])
        assert np.isnan(found[:4]).all()
        assert found.n_models == len(a)
    empty = correlate(np.full(6, np.nan), x, kind, given=given)
    assert np.isnan(empty[:4]).all()
    assert (empty.n_models, empty.n_rows) == (0, 0)


def test_uneven_means_of_a_constant_are_no_variation():
    x = np.full((5, 3), 0.1)
    x[1, 2] = np.nan
    y = np.random.default_rng(9).normal(size=(5, 3))
    assert all(np.isnan(found.value) for found in correlate_all(x, y).values())


def test_partial_correlation_needs_something_left():
    given = np.array([1.0, 0, 2, 5, 3])
    x = np.arange(5.0)
    assert np.isnan(correlate(2 * given + 1, x, "partial_pearson", given=given).value)
    assert np.isnan(correlate(x[:3], given[:3] ** 2, "partial_pearson", given=given[:3]).value)
    constant = correlate(x, given, "partial_pearson", given=np.full(5, 0.3))
    assert constant.value == pytest.approx(correlate(x, given, "pearson").value)


def test_three_models_bear_no_interval():
    found = correlate([0.0, 1, 2], [0.0, 2, 3], "pearson")
    assert np.isfinite(found.value)
    assert np.isnan([found.ci_low, found.ci_high]).all()
    assert found.p_value >= 1 / 6


def test_the_seed_decides():
    x, y = measured(np.random.default_rng(10))
    assert correlate(x, y, "pearson", seed=1) == correlate(x, y, "pearson", seed=1)
    assert correlate(x, y, "pearson", seed=1) != correlate(x, y, "pearson", seed=2)


def test_what_cannot_be_correlated_is_refused():
    x = np.arange(5.0)
    with pytest.raises(ValueError, match="no correlation"):
        correlate(x, x, "cosine")
    with pytest.raises(ValueError, match="given"):
        correlate(x, x, "partial_pearson")
    with pytest.raises(ValueError, match="one shape"):
        correlate(x, x[:4], "pearson")
    with pytest.raises(ValueError, match="models, seeds"):
        correlate(x.reshape(1, 1, 5), x.reshape(1, 1, 5), "pearson")


@pytest.mark.parametrize("metric", ARCHITECTURE_CORRELATIONS)
def test_published_architectures_correlate_as_derived(metric):
    found = correlate_all(
        [getattr(row, metric) for row in ARCHITECTURES],
        [row.last_layer_accuracy for row in ARCHITECTURES],
    )
    for kind, value in ARCHITECTURE_CORRELATIONS[metric].items():
        assert found[kind].value == pytest.approx(value, abs=6e-4)
        assert found[kind].p_value > 0.01


def test_published_mixtures_correlate_as_derived():
    found = correlate_all(
        [row.transferred_loss for row in MIXTURES], [row.last_layer_accuracy for row in MIXTURES]
    )
    for kind, value in MIXTURE_CORRELATIONS.items():
        assert found[kind].value == pytest.approx(value, abs=6e-4)
    assert all(row.animals == 100 - row.printed_animals for row in MIXTURES)


def test_regression_line_and_band():
    rng = np.random.default_rng(11)
    x = rng.uniform(size=40)
    y = 2 * x + 1 + 0.1 * rng.normal(size=40)
    grid = np.linspace(0, 1, 5)
    band = regression_band(np.append(x, np.nan), np.append(y, 3.0), grid)
    fit = stats.linregress(x, y)
    np.testing.assert_allclose(band.line, fit.intercept + fit.slope * grid)
    assert (band.low < band.line).all() and (band.line < band.high).all()
    # Narrowest in the middle, and about the textbook width there.
    width = band.high - band.low
    assert width.argmin() == 2
    assert width[2] == pytest.approx(4 * 0.1 / math.sqrt(40), rel=0.4)


def test_regression_without_enough_points():
    grid = [0.0, 1.0]
    two = regression_band([0.0, 1], [1.0, 3], grid)
    np.testing.assert_allclose(two.line, [1, 3])
    assert np.isnan(two.low).all()
    assert np.isnan(regression_band([1.0, 1, 1], [1.0, 2, 3], grid)).all()
    assert np.isnan(regression_band([], [], grid)).all()
    with pytest.raises(ValueError, match="points"):
        regression_band([1.0], [1.0, 2.0], grid)


def test_mean_interval_is_the_t_interval():
    values = [0.1, 0.4, 0.3, 0.35]
    found = mean_interval([*values, np.nan])
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert mean_interval([0.5]).mean == 0.5
    assert np.isnan(mean_interval([0.5])[1:]).all()
    assert np.isnan(mean_interval([])).all()
