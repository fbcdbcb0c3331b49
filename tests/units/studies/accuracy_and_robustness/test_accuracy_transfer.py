"""Left-out prediction, squared correlations and contrasts against scikit-learn, scipy and paper."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict

from workflow_scripts.advtransfer.statistics.correlations import correlate
from workflow_scripts.studies.accuracy_and_robustness import published
from workflow_scripts.studies.accuracy_and_robustness.relation import (
    compare_predictors,
    contrast,
    predict_left_out,
    squared_pearson,
)


def measured(n_groups=8, n_points=3, robustness=1.0, noise=0.05, seed=0):
    """Points of architectures: labels, accuracy, robustness, and a response that follows both."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n_groups), n_points)
    accuracy = rng.normal(size=groups.size)
    robust = rng.normal(size=groups.size)
    own = 0.2 * rng.normal(size=n_groups)[groups]
    response = accuracy + robustness * robust + own + noise * rng.normal(size=groups.size)
    return groups, accuracy, robust, response


# Squared correlations ---------------------------------------------------------------------------


def test_squared_correlation_equals_numpy_and_keeps_the_correlation_itself():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(8, 3))
    y = x + 0.5 * rng.normal(size=(8, 3))
    found = squared_pearson(x, y, seed=1)
    assert found.value == pytest.approx(np.corrcoef(x.mean(1), y.mean(1))[0, 1] ** 2, abs=1e-12)
    assert found.pearson == correlate(x, y, "pearson", seed=1)
    assert (found.ci_low, found.ci_high) == (found.pearson.ci_low**2, found.pearson.ci_high**2)
    assert found.ci_low < found.value < found.ci_high


def test_a_negative_correlation_has_an_ordered_interval():
    x = np.arange(8.0)
    found = squared_pearson(x, -x + 0.3 * np.sin(5 * x))
    assert found.pearson.value < 0
    assert found.ci_low <= found.value <= found.ci_high <= 1


def test_interval_of_an_uncertain_correlation_begins_at_zero():
    rng = np.random.default_rng(0)
    found = squared_pearson(rng.normal(size=8), rng.normal(size=8))
    assert found.pearson.ci_low < 0 < found.pearson.ci_high
    assert found.ci_low == 0


def test_no_interval_without_models():
    found = squared_pearson([1.0, 2.0], [1.0, 3.0])
    assert math.isnan(found.value)
    assert math.isnan(found.ci_low)
    assert math.isnan(found.ci_high)


def test_published_correlation_table_recomputed_from_its_rows():
    squares = published.squared_correlations()
    found = {epsilon: square.value for epsilon, square in squares.items()}
    assert found == pytest.approx({0.0: 0.793, 3.0: 0.976}, abs=5e-4)
    for epsilon, printed in published.PRINTED.items():
        assert round(found[epsilon], 2) == printed
        rows = [row for row in published.CORRELATION_TABLE if row.epsilon == epsilon]
        r = stats.pearsonr([r.source_accuracy for r in rows], [r.accuracy for r in rows]).statistic
        assert found[epsilon] == pytest.approx(r**2, abs=1e-12)


def test_published_source_accuracies_are_the_released_list():
    accuracy = published.SOURCE_ACCURACY
    assert accuracy["ResNet18"][0] == 0.6979
    assert accuracy["WRN50_4"][5] == 0.6520
    assert set(accuracy["MnasNet"]) == {0, 3}
    assert len(accuracy) == 10
    for values in (accuracy[name] for name in ("ResNet18", "ResNet50", "WRN50_2", "WRN50_4")):
        assert tuple(values) == published.L2_EPSILONS
        assert values[5] < values[1] < values[0.01]
    # Wider networks are more accurate at every epsilon.
    for narrow, wide in (("ResNet18", "ResNet50"), ("ResNet50", "WRN50_2")):
        assert all(accuracy[narrow][e] < accuracy[wide][e] for e in published.L2_EPSILONS)
    assert published.SOURCE_ACCURACY_LINF["ResNet50"][8] == 0.5453


# Leaving groups out -----------------------------------------------------------------------------


def test_left_out_predictions_by_hand():
    # Without (0, 0), the line through (1, 1), (2, 4), (3, 9) is 4 x - 10/3.
    predicted = predict_left_out([0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 4, 9])
    assert predicted[0] == pytest.approx(-10 / 3)
    # Without (3, 9), that through (0, 0), (1, 1), (2, 4) is 2 x - 1/3.
    assert predicted[3] == pytest.approx(6 - 1 / 3)
    # No factor predicts the mean of the other groups: both points of a group leave together.
    means = predict_left_out(["a", "a", "b", "c"], np.empty((4, 0)), [1.0, 3.0, 10.0, 20.0])
    assert means == pytest.approx([15, 15, 8, 14 / 3])


@pytest.mark.parametrize("n_factors", [1, 2])
def test_left_out_predictions_equal_scikit_learn(n_factors):
    groups, accuracy, robust, response = measured()
    factors = np.column_stack([accuracy, robust])[:, :n_factors]
    expected = cross_val_predict(
        LinearRegression(), factors, response, groups=groups, cv=LeaveOneGroupOut()
    )
    assert predict_left_out(groups, factors, response) == pytest.approx(expected, abs=1e-10)


def test_undetermined_fits_predict_nothing():
    groups = np.repeat(np.arange(4), 2)
    response = np.arange(8.0)
    assert np.isnan(predict_left_out(groups, np.ones(8), response)).all()
    factors = np.column_stack([response, 2 * response])
    assert np.isnan(predict_left_out(groups, factors, response)).all()
    assert np.isnan(predict_left_out([0, 1, 2], [0, 1, 2], [0, 1, 4])).all()


def test_predictors_are_judged_by_their_left_out_errors():
    groups, accuracy, robust, response = measured(noise=0.02)
    predictors = {"mean": [], "accuracy": [accuracy], "both": [accuracy, robust]}
    found = compare_predictors(groups, response, predictors, "accuracy")
    errors = {}
    for name, factors in predictors.items():
        x = np.column_stack([np.zeros(24), *factors])
        predicted = cross_val_predict(
            LinearRegression(), x, response, groups=groups, cv=LeaveOneGroupOut()
        )
        errors[name] = np.abs(predicted - response).reshape(8, 3).mean(1)
        row = found[name]
        assert row.absolute_error == pytest.approx(errors[name].mean(), abs=1e-9)
        squared = ((predicted - response) ** 2).mean()
        assert row.root_mean_square_error == pytest.approx(math.sqrt(squared), abs=1e-9)
        fitted = LinearRegression().fit(x, response).predict(x)
        assert row.squared_in_sample == pytest.approx(r2_score(response, fitted), abs=1e-9)
        assert (row.n_groups, row.n_points) == (8, 24)
    expected = stats.ttest_rel(errors["accuracy"], errors["both"]).confidence_interval()
    gain = found["both"].gain
    assert (gain.low, gain.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert gain.low > 0
    assert found["mean"].gain.mean < 0
    assert found["mean"].squared_left_out == 0
    assert math.isnan(found["accuracy"].gain.mean)


def test_a_factor_of_noise_fits_better_and_predicts_no_better():
    groups, accuracy, robust, response = measured(robustness=0.0, noise=0.5, seed=2)
    predictors = {"accuracy": [accuracy], "both": [accuracy, robust]}
    found = compare_predictors(groups, response, predictors, "accuracy")
    assert found["both"].squared_in_sample > found["accuracy"].squared_in_sample
    assert found["both"].gain.low < 0


def test_points_that_lack_a_factor_count_for_no_predictor():
    groups, accuracy, robust, response = measured()
    robust[:3] = math.nan  # the first architecture was never attacked
    predictors = {"accuracy": [accuracy], "both": [accuracy, robust]}
    found = compare_predictors(groups, response, predictors, "accuracy")
    kept = slice(3, None)
    same = compare_predictors(
        groups[kept], response[kept], {"accuracy": [accuracy[kept]]}, "accuracy"
    )
    assert found["accuracy"].absolute_error == pytest.approx(same["accuracy"].absolute_error)
    assert found["accuracy"].squared_in_sample == same["accuracy"].squared_in_sample
    assert (found["both"].n_groups, found["both"].n_points) == (7, 21)


def test_constant_robustness_bears_no_comparison():
    groups, accuracy, _, response = measured()
    predictors = {"accuracy": [accuracy], "both": [accuracy, np.zeros(24)]}
    found = compare_predictors(groups, response, predictors, "accuracy")
    assert math.isnan(found["both"].absolute_error)
    assert math.isnan(found["both"].gain.mean)
    assert math.isfinite(found["accuracy"].absolute_error)


def test_nothing_measured_has_no_numbers():
    nan = [math.nan, math.nan]
    found = compare_predictors([0, 1], nan, {"accuracy": [[1, 2]]}, "accuracy")
    assert math.isnan(found["accuracy"].absolute_error)
    assert found["accuracy"].n_points == 0


def test_wrong_calls_are_named():
    with pytest.raises(ValueError, match="no predictor 'robust'"):
        compare_predictors([0], [1.0], {"accuracy": [[1.0]]}, "robust")
    with pytest.raises(ValueError, match="'accuracy'"):
        compare_predictors([0, 1], [1.0, 2.0], {"accuracy": [[1.0]]}, "accuracy")


# Contrasts --------------------------------------------------------------------------------------


def test_difference_of_means_is_welchs():
    rng = np.random.default_rng(5)
    wide, narrow = rng.normal(1, 1, 5), rng.normal(0, 0.1, 3)
    expected = stats.ttest_ind(wide, narrow, equal_var=False).confidence_interval()
    found = contrast([wide, narrow], [1, -1])
    assert found == pytest.approx((wide.mean() - narrow.mean(), expected.low, expected.high))


def test_difference_of_differences_by_hand():
    # Variances 2 / 2 each: the parts are 1, so that V = 4 and the degrees of freedom 4.
    found = contrast([[5, 7], [2, 4], [3, 5], [2, 4]], [1, -1, -1, 1])
    half = stats.t.ppf(0.975, 4) * 2
    assert found == pytest.approx((2, 2 - half, 2 + half))


def test_contrasts_without_spread_or_seeds():
    assert contrast([[1.0, 1.0], [0.5, 0.5]], [1, -1]) == (0.5, 0.5, 0.5)
    assert contrast([[1.0, math.nan], [0.5, 0.7]], [1, -1])[0] == pytest.approx(0.4)
    assert math.isnan(contrast([[1.0, math.nan], [0.5, 0.7]], [1, -1]).low)
    assert math.isnan(contrast([[], [0.5, 0.7]], [1, -1]).mean)
    with pytest.raises(ValueError, match="weights"):
        contrast([[1.0]], [1, -1])
