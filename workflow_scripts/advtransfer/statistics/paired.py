"""Differences of two means over the same source seeds and subset seeds, and their intervals."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from .arrays import NAN, QUANTILES, ROUNDING, Floats, without_mean


class PairedDifference(NamedTuple):
    """The mean of values minus baseline, its 95 % interval, and the two means.

    ``n_source_seeds`` and ``n_subset_seeds`` count the seeds that were measured on both sides.
    """

    value: float
    ci_low: float
    ci_high: float
    mean: float
    baseline_mean: float
    n_source_seeds: int
    n_subset_seeds: int


def _crossed_half_width(differences: Floats) -> float:
    """Return half the width of the interval for complete differences (I, J)."""
    sources, subsets = differences.shape
    if differences.size < 2:
        return NAN
    flat = without_mean(differences.ravel())
    total = float(flat @ flat)
    if total < np.finfo(np.float64).tiny:
        return 0.0
    if 1 in differences.shape:
        freedom: float = differences.size - 1
        scaled = total / freedom
    else:
        centred = flat.reshape(differences.shape)
        by_source, by_subset = centred.mean(axis=1), centred.mean(axis=0)
        square_a = subsets * float(by_source @ by_source)
        square_b = sources * float(by_subset @ by_subset)
        freedom_a, freedom_b = sources - 1, subsets - 1
        freedom_e = freedom_a * freedom_b
        mean_a, mean_b = square_a / freedom_a, square_b / freedom_b
        mean_e = max(total - square_a - square_b, 0.0) / freedom_e
        # A negative component is dropped together with its mean square and one MS_E. Equal mean
        # squares are common (one difference among zeros), so rounding must not decide the sign.
        has_a, has_b = (mean > mean_e * (1 + ROUNDING) for mean in (mean_a, mean_b))
        part_a, part_b, part_e = mean_a * has_a, mean_b * has_b, mean_e * (1 - has_a - has_b)
        scaled = part_a + part_b + part_e
        # Shares are used, because squares of tiny numbers would underflow.
        share_a, share_b, share_e = part_a / scaled, part_b / scaled, part_e / scaled
        freedom = 1 / (share_a**2 / freedom_a + share_b**2 / freedom_b + share_e**2 / freedom_e)
        # A sum of mean squares has at least the smallest degrees of freedom of its parts. Only the
        # subtraction of MS_E can give fewer.
        freedom = max(freedom, min(freedom_a, freedom_b))
    return float(stdtrit(freedom, QUANTILES[1])) * math.sqrt(scaled / differences.size)


def paired_difference(values: ArrayLike, baseline: ArrayLike) -> PairedDifference:
    """Return the mean of values minus baseline over source and subset seeds, with a 95 % interval.

    The differences follow a crossed two-way random effects model with one observation per cell,
    ``d_ij = mu + a_i + b_j + e_ij``. Here i is the source seed, j the subset seed (with the same
    subsets for all source seeds), and e_ij the residual. I x J differences have the mean squares
    MS_A (over source seeds), MS_B (over subset seeds) and MS_E (residual), and

    ``Var(mean) = (MS_A + MS_B - MS_E) / (I J)``

    Negative variance components are set to zero, so the variance is at least MS_E / (I J). The t
    quantile has Satterthwaite's degrees of freedom, ``V^2 / sum(part^2 / df)`` over the mean
    squares that make up V, but no fewer than ``min(I, J) - 1`` (Searle, Casella and McCulloch 1992,
    Variance Components, chapter 4; Satterthwaite 1946, Biometrics Bulletin 2).

    More subsets do not replace source seeds. If source seeds differ, three of them leave two
    degrees of freedom and 4.3 standard errors on either side. Such an interval is wide because
    three seeds hardly show how much seeds differ. If it includes 0, this does not show that there
    is no difference. Coverage depends on the unknown components. For normal effects and 3 x 10
    seeds it is 93 % (source seeds differ more than the rest) to 99 % (only e_ij); with two source
    seeds it can fall to 89 %.

    With one source seed, this is the t interval over subset seeds and concerns that source only.
    With one subset seed, it is the t interval over source seeds. Constant differences have an
    interval of width 0; a single value has none (nan).

    Args:
        values, baseline: (source seeds, subset seeds), paired by position; nan marks a missing
            measurement. Source seeds without any pair are left out first, then subset seeds that
            lack a pair for some source seed.
    """
    first = np.asarray(values, dtype=np.float64)
    second = np.asarray(baseline, dtype=np.float64)
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(
            "values and baseline have to be (source seeds, subset seeds) of one shape, not "
            f"{first.shape} and {second.shape}"
        )
    counts = np.isfinite(first) & np.isfinite(second)
    if not counts.all():
        sources = counts.any(axis=1)
        kept = np.ix_(sources, counts[sources].all(axis=0))
        first, second = first[kept], second[kept]
    if not first.size:
        return PairedDifference(NAN, NAN, NAN, NAN, NAN, 0, 0)
    differences = first - second
    value, half = float(differences.mean()), _crossed_half_width(differences)
    return PairedDifference(
        value,
        value - half,
        value + half,
        float(first.mean()),
        float(second.mean()),
        *differences.shape,
    )
