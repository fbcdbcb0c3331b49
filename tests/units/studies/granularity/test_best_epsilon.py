"""The best epsilon of a target, and what predicts it: on curves and tables worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.studies.granularity.best_epsilon import (
    Estimate,
    best,
    coordinate,
    curves,
    dependence,
    epsilon_at,
    estimate,
    predict,
)

GRID = np.array([0, 0.125, 0.25, 0.5, 1.0])
OPTIONS = {"limits": (0.0, 3.2), "bootstrap": 200, "permutations": 300}


def estimated(value: list[float]) -> Estimate:
    """Best coordinates that seeds leave no doubt about."""
    known = np.asarray(value, dtype=float)
    return Estimate(known, known, known, np.zeros((0, len(known))))


def by_name(found: list, group: str = "") -> dict:
    return {item.statistic: item for item in found if item.group == group}


def test_coordinate_and_back():
    where = coordinate(GRID, GRID)
    np.testing.assert_allclose(where[:3], [0, 1, np.log2(3)])
    np.testing.assert_allclose(epsilon_at(where, GRID), GRID)


@pytest.mark.parametrize("peak", [0.5, 1.7, 3.0])
def test_vertex_of_a_parabola_is_its_peak(peak):
    accuracy = 0.8 - 0.02 * (coordinate(GRID, GRID) - peak) ** 2
    assert best(accuracy, GRID, "vertex", 0.01) == pytest.approx(peak)


def test_vertex_outside_or_of_a_valley_is_an_end():
    x = coordinate(GRID, GRID)
    curves_ = np.stack(
        [
            0.8 - 0.02 * (x + 1) ** 2,  # falls all the way
            0.5 - 0.02 * (x - 5) ** 2,  # rises all the way
            0.5 + 0.02 * (x - 1) ** 2,  # a valley, higher on the right
            0.5 + 0.02 * (x - 2.5) ** 2,  # a valley, higher on the left
            0.5 + 0.01 * x,  # a line
        ]
    )
    np.testing.assert_allclose(best(curves_, GRID, "vertex", 0.01), x[[0, -1, -1, 0, -1]])


def test_softmax_mean_and_grid():
    x = coordinate(GRID, GRID)
    flat, peaked = np.full(5, 0.7), np.array([0.1, 0.2, 0.9, 0.2, 0.9])
    assert best(flat, GRID, "softmax", 0.01) == pytest.approx(x.mean())
    assert best(peaked, GRID, "softmax", 0.01) == pytest.approx((x[2] + x[4]) / 2)
    assert best(peaked, GRID, "grid", 0.01) == x[2]  # of equals the smallest
    # By hand: two epsilons one temperature apart have weights e : 1.
    two = best([0.5, 0.49], [0, 1], "softmax", 0.01)
    assert two == pytest.approx(1 / (1 + np.e))
    with pytest.raises(UserError, match="vertex, softmax, grid"):
        best(flat, GRID, "maximum", 0.01)


def test_draws_take_seeds_alike_for_all_targets():
    rng = np.random.default_rng(0)
    first = rng.uniform(size=(1, 5, 3))
    known = curves(np.concatenate([first, first + 0.1]), list(GRID), number=50)
    assert known.draws.shape == (50, 2, 5)
    np.testing.assert_allclose(known.draws[:, 1] - known.draws[:, 0], 0.1)
    np.testing.assert_allclose(known.means[0], first[0].mean(axis=1))
    assert known.draws[:, 0].std(axis=0).min() > 0
    again = curves(np.concatenate([first, first + 0.1]), list(GRID), number=50)
    np.testing.assert_array_equal(again.draws, known.draws)


def test_interval_is_of_seeds_and_there_is_none_of_one():
    x = coordinate(GRID, GRID)
    curve = 0.8 - 0.05 * (x - 1.5) ** 2
    steady = np.repeat(curve[None, :, None], 3, axis=2)
    found = estimate(curves(steady, list(GRID), 50), "vertex", 0.01)
    assert found.low[0] == pytest.approx(1.5) and found.high[0] == pytest.approx(1.5)
    noisy = steady + np.random.default_rng(1).normal(0, 0.03, steady.shape)
    found = estimate(curves(noisy, list(GRID), 200), "vertex", 0.01)
    assert found.low[0] < found.value[0] < found.high[0]
    found = estimate(curves(steady[:, :, :1], list(GRID), 50), "vertex", 0.01)
    assert found.value[0] == pytest.approx(1.5) and np.isnan(found.low[0])
    noisy[:, 1, 1:] = np.nan  # one source has one seed: nothing says how much it would vary
    found = estimate(curves(noisy, list(GRID), 50), "vertex", 0.01)
    assert np.isfinite(found.value[0]) and np.isnan(found.low[0])


def test_what_has_no_best_epsilon_is_told():
    with pytest.raises(UserError, match="three different epsilons"):
        curves(np.zeros((2, 2, 3)), [0, 0.5], 10)
    with pytest.raises(UserError, match="one of them 0"):
        curves(np.zeros((2, 3, 3)), [0.1, 0.5, 1], 10)
    missing = np.zeros((2, 5, 3))
    missing[1, 2, 0] = np.nan
    with pytest.raises(UserError, match="some are missing"):
        curves(missing, list(GRID), 10)


# What predicts it ---------------------------------------------------------------------------------

NAMES = ["a"] * 4 + ["b"] * 4 + ["c"] * 4


def test_a_measure_that_orders_the_targets_is_seen():
    value = list(np.linspace(0.2, 2.8, 12))
    found = by_name(predict(np.exp(value), estimated(value), NAMES, **OPTIONS))
    assert found["spearman"].value == pytest.approx(1)
    assert found["spearman_within"].value == pytest.approx(1)
    assert found["spearman"].n_targets == 12 and found["spearman"].n_groups == 3
    assert found["spearman_within"].p_value < 0.02
    assert np.isnan(found["spearman"].p_value)
    assert found["spearman"].low > 0.9


def test_a_measure_that_only_tells_datasets_apart_says_nothing_within_them():
    value = [0.1, 0.2, 0.3, 0.4, 1.1, 1.2, 1.3, 1.4, 2.1, 2.2, 2.3, 2.4]
    measure = [2, 1, 4, 3, 12, 11, 14, 13, 22, 21, 24, 23]
    reversed_within = [4, 3, 2, 1, 14, 13, 12, 11, 24, 23, 22, 21]
    found = by_name(predict(measure, estimated(value), NAMES, **OPTIONS))
    assert found["spearman"].value > 0.9
    # Swapped neighbours, by hand: rank differences +-1 in each four, 1 - 6 * 4 / (4 * 15).
    assert found["spearman_within"].value == pytest.approx(0.6)
    found = by_name(predict(reversed_within, estimated(value), NAMES, **OPTIONS))
    assert found["spearman"].value > 0.7 and found["spearman_within"].value == pytest.approx(-1)


def test_what_resolution_explains_is_taken_out():
    rng = np.random.default_rng(0)
    resolution = np.arange(12.0)
    value = list(resolution + rng.normal(0, 0.2, 12))
    found = by_name(predict(resolution**2, estimated(value), NAMES, resolution, **OPTIONS))
    assert found["spearman"].value > 0.9
    assert np.isnan(found["spearman_given_resolution"].value)  # the same ranks: nothing is left
    assert "spearman_given_resolution" not in by_name(
        predict(resolution, estimated(value), NAMES, **OPTIONS)
    )


def test_a_line_predicts_a_dataset_that_it_has_not_seen():
    measure = np.arange(12.0)
    value = list(0.25 * measure)
    found = predict(measure, estimated(value), NAMES, **OPTIONS)
    overall = by_name(found)
    assert overall["left_out_error"].value == pytest.approx(0, abs=1e-9)
    # The mean of b and c is 1.875, that of a's targets 0.375: all of them below it.
    assert by_name(found, "a")["left_out_baseline"].value == pytest.approx(1.5)
    assert by_name(found, "a")["left_out_error"].n_targets == 4
    # A prediction stays inside the grid.
    steep = predict(measure, estimated(value), NAMES, **(OPTIONS | {"limits": (0.0, 1.0)}))
    assert by_name(steep, "c")["left_out_error"].value == pytest.approx(2.375 - 1)


def test_targets_without_a_value_are_left_out():
    value = list(np.linspace(0, 2, 12))
    measure = np.array([*value[:8], *[np.nan] * 4])
    found = by_name(predict(measure, estimated(value), NAMES, **OPTIONS))
    assert found["spearman"].n_targets == 8 and found["spearman"].n_groups == 2
    nothing = by_name(predict([np.nan] * 12, estimated(value), NAMES, **OPTIONS))
    assert np.isnan(nothing["spearman"].value) and nothing["spearman"].n_targets == 0
    constant = by_name(predict([1.0] * 12, estimated(value), NAMES, **OPTIONS))
    assert np.isnan(constant["spearman"].value) and np.isnan(constant["spearman"].low)


def test_interval_grows_with_doubt_about_seeds():
    value = np.linspace(0.2, 2.8, 12)
    rng = np.random.default_rng(0)
    noisy = Estimate(value, value, value, value + rng.normal(0, 1.5, (200, 12)))
    sure = by_name(predict(value, estimated(list(value)), NAMES, **OPTIONS))["spearman"]
    unsure = by_name(predict(value, noisy, NAMES, **OPTIONS))["spearman"]
    assert unsure.low < sure.low - 0.2


def test_dependence_by_hand():
    share, worth = dependence([1, 1, 1, 2, 2, 2, 3, 3, 3], ["a"] * 3 + ["b"] * 3 + ["c"] * 3)
    assert share == pytest.approx(1) and worth == pytest.approx(3)
    share, worth = dependence([1, 2, 3, 1, 2, 3], ["a"] * 3 + ["b"] * 3)
    assert share == 0 and worth == 6
    assert np.isnan(dependence([1, 2, 3], ["a"] * 3)).all()
