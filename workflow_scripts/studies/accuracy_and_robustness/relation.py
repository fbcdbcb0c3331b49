"""What accuracy and robustness of a source say about transfer, and what width adds.

After Salman et al. 2020: the correlation of source and transfer accuracy at a fixed epsilon (their
section on accuracy and robustness together), and the width of the network. As in `statistics`, the
unit of observation is the architecture, and seeds are repeated measurements of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from ...advtransfer.statistics.arrays import NAN, QUANTILES
from ...advtransfer.statistics.correlations import Correlation, correlate
from ...advtransfer.statistics.intervals import MeanInterval, mean_interval

Floats = NDArray[np.float64]


class SquaredCorrelation(NamedTuple):
    """Squared Pearson correlation with its interval, and the correlation itself."""

    value: float
    ci_low: float
    ci_high: float
    pearson: Correlation


class Predictor(NamedTuple):
    """How well a linear predictor does on groups that it was not fitted on.

    ``absolute_error``: mean over groups of the groups' mean absolute errors, left out; ``gain`` is
    how much smaller it is than the baseline's, with its 95 % interval over groups.
    ``squared_left_out``: 1 - squared errors left out / those of the left-out mean of the response;
    ``squared_in_sample``: the usual R^2 of the fit to all points.
    """

    absolute_error: float
    root_mean_square_error: float
    gain: MeanInterval
    squared_left_out: float
    squared_in_sample: float
    n_groups: int
    n_points: int


def squared_pearson(x: ArrayLike, y: ArrayLike, **options: Any) -> SquaredCorrelation:
    """R^2 of a line through models, as in the paper's table of correlations.

    The interval holds the squares of what the bootstrap interval of the correlation holds: it
    begins at 0 if that includes 0, which the percentiles of squares never do.

    Args:
        x, y: (models,) or (models, seeds), as in `statistics.correlate`.
        options: of `statistics.correlate`: bootstrap, permutations, seed.
    """
    found = correlate(x, y, "pearson", **options)
    squares = found.ci_low**2, found.ci_high**2
    crosses = found.ci_low <= 0 <= found.ci_high
    low = 0.0 if crosses else min(squares)
    return SquaredCorrelation(found.value**2, low, max(squares), found)


def _fit(factors: Floats, response: Floats) -> Floats | None:
    """Least squares coefficients, intercept first; None where they are not determined."""
    design = np.column_stack([np.ones(len(factors)), factors])
    if len(design) <= design.shape[1] or np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    return np.asarray(np.linalg.lstsq(design, response, rcond=None)[0], dtype=np.float64)


def predict_left_out(groups: ArrayLike, factors: ArrayLike, response: ArrayLike) -> Floats:
    """For every point, what a least squares fit on all other groups predicts.

    A whole group is left out at once: the points of an architecture (its epsilons) are alike in
    much that a source's accuracy does not say. nan where the other groups do not determine the
    fit: a factor that is constant, a sum of others, or as many coefficients as points.

    Args:
        groups: (points,) labels.
        factors: (points, factors); no factor predicts the mean.
        response: (points,).
    """
    labels = np.asarray(groups)
    x = np.asarray(factors, dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    y = np.asarray(response, dtype=np.float64)
    predicted = np.full(len(y), NAN)
    for label in np.unique(labels):
        left_out = labels == label
        coefficients = _fit(x[~left_out], y[~left_out])
        if coefficients is not None:
            predicted[left_out] = coefficients[0] + x[left_out] @ coefficients[1:]
    return predicted


def compare_predictors(
    groups: ArrayLike,
    response: ArrayLike,
    predictors: Mapping[str, Sequence[ArrayLike]],
    baseline: str,
) -> dict[str, Predictor]:
    """Linear predictors of ``response``, judged by leaving groups out.

    The gain's interval is the t interval of the groups' differences in mean absolute error. The
    groups' errors share most of what the fits were fitted on, so they are not quite independent;
    in simulations of 8 groups of 3 points with one or two factors it covered 92 to 97 %, the
    percentile bootstrap of the same differences 80 to 91 %.

    Args:
        groups: (points,) labels; points with a nan in the response or in any factor are left out
            of all predictors.
        response: (points,).
        predictors: factors, (points,) each, by the predictor's name; none predicts the mean.
        baseline: the predictor that the others are compared with.

    Raises:
        ValueError: no such baseline, or lengths differ.
    """
    if baseline not in predictors:
        raise ValueError(f"no predictor '{baseline}'; there are {', '.join(predictors)}")
    labels, y = np.asarray(groups), np.asarray(response, dtype=np.float64)
    columns = {}
    for name, factors in predictors.items():
        if any(np.shape(values) != labels.shape for values in (y, *factors)):
            raise ValueError(f"groups, response and factors of '{name}' have to be (points,)")
        columns[name] = np.column_stack([np.empty((len(y), 0)), *factors])
    counts = np.isfinite(np.column_stack([y, *columns.values()])).all(axis=1)
    labels, y = labels[counts], y[counts]
    columns = {name: values[counts] for name, values in columns.items()}
    if not len(y):
        nothing = MeanInterval(NAN, NAN, NAN)
        return dict.fromkeys(columns, Predictor(NAN, NAN, nothing, NAN, NAN, 0, 0))

    errors = {name: predict_left_out(labels, x, y) - y for name, x in columns.items()}
    own = [labels == label for label in np.unique(labels)]
    absolute = {
        name: np.array([np.abs(error[of_group]).mean() for of_group in own])
        for name, error in errors.items()
    }
    of_mean = predict_left_out(labels, np.empty((len(y), 0)), y) - y
    return {
        name: Predictor(
            absolute_error=float(absolute[name].mean()),
            root_mean_square_error=math.sqrt(float((error**2).mean())),
            gain=_gain(absolute[baseline] - absolute[name], name == baseline),
            squared_left_out=_share_explained(error, of_mean),
            squared_in_sample=_in_sample(columns[name], y),
            n_groups=len(own),
            n_points=len(y),
        )
        for name, error in errors.items()
    }


def _gain(differences: Floats, of_baseline: bool) -> MeanInterval:
    """Mean over groups; nan where a fit was not determined, or there is nothing to compare."""
    if of_baseline or not np.isfinite(differences).all():
        return MeanInterval(NAN, NAN, NAN)
    return mean_interval(differences)


def _share_explained(errors: Floats, of_mean: Floats) -> float:
    total = float((of_mean**2).sum())
    return 1 - float((errors**2).sum()) / total if total > 0 else NAN


def _in_sample(factors: Floats, response: Floats) -> float:
    coefficients = _fit(factors, response)
    if coefficients is None:
        return NAN
    if not factors.shape[1]:
        return 0.0  # but for rounding
    errors = coefficients[0] + factors @ coefficients[1:] - response
    return _share_explained(errors, response - response.mean())


def contrast(samples: Sequence[ArrayLike], weights: Sequence[float]) -> MeanInterval:
    """Weighted sum of the means of independent samples, with a 95 % interval.

    Welch's: variances may differ, and the t quantile has Satterthwaite's degrees of freedom. With
    weights 1 and -1 it is the difference of two means; with 1, -1, -1, 1 the difference of two
    differences. nan values are left out. The interval is nan if a sample has fewer than two values,
    the value if one has none; constant samples have an interval without width.

    Args:
        samples: (seeds,) each; lengths may differ.
        weights: one a sample.
    """
    if len(samples) != len(weights):
        raise ValueError(f"{len(samples)} samples and {len(weights)} weights")
    finite = [np.asarray(sample, dtype=np.float64).ravel() for sample in samples]
    finite = [sample[np.isfinite(sample)] for sample in finite]
    if not all(sample.size for sample in finite):
        return MeanInterval(NAN, NAN, NAN)
    value = float(sum(w * sample.mean() for w, sample in zip(weights, finite, strict=True)))
    if min(sample.size for sample in finite) < 2:
        return MeanInterval(value, NAN, NAN)
    parts = np.array(
        [w**2 * sample.var(ddof=1) / sample.size for w, sample in zip(weights, finite, strict=True)]
    )
    total = float(parts.sum())
    if total < np.finfo(np.float64).tiny:
        return MeanInterval(value, value, value)
    freedoms = np.array([sample.size - 1 for sample in finite])
    freedom = 1 / float(((parts / total) ** 2 / freedoms).sum())
    half = float(stdtrit(freedom, QUANTILES[1])) * math.sqrt(total)
    return MeanInterval(value, value - half, value + half)
