"""Which epsilon of a source's training is best for a target, and what of the target predicts it.

Epsilon is looked at on the coordinate ``log2(1 + epsilon / unit)``, ``unit`` being the smallest
positive epsilon of the grid: natural training is at 0, and a doubling is one step further out.

Targets are no independent observations: those of one dataset share images, and all share the source
networks. So the bootstrap draws source seeds (the same ones for every target), then datasets, then
targets of every drawn dataset; there is a correlation within datasets beside that over all targets;
and a line fitted to the other datasets has to predict one that it has not seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from ...advtransfer.errors import UserError

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

ESTIMATORS = ("vertex", "softmax", "grid")
QUANTILES = (0.025, 0.975)  # of 95 % intervals
MINIMUM_TARGETS = 3  # of a rank correlation
NAN = float("nan")
TINY = 1e-12


class Curves(NamedTuple):
    """Accuracy of every target over epsilon: the mean over seeds, and bootstrap draws of it."""

    epsilons: Floats  # (E,), ascending, the first is 0
    means: Floats  # (targets, E)
    draws: Floats  # (B, targets, E); none where no training has two seeds


class Estimate(NamedTuple):
    """A best epsilon as a coordinate, with the 95 % interval of its draws."""

    value: Floats  # (targets,)
    low: Floats
    high: Floats
    draws: Floats  # (B, targets)


class Prediction(NamedTuple):
    """How well a measure predicts the best epsilon: a value, its interval, and a p-value.

    ``group``: which dataset was left out; empty: over all.
    """

    statistic: str
    group: str
    value: float
    low: float
    high: float
    p_value: float
    n_targets: int
    n_groups: int


def coordinate(epsilon: ArrayLike, grid: ArrayLike) -> Floats:
    """``log2(1 + epsilon / unit)``, with the smallest positive epsilon of ``grid`` as unit."""
    found: Floats = np.log2(1 + np.asarray(epsilon, dtype=np.float64) / _unit(grid))
    return found


def epsilon_at(where: ArrayLike, grid: ArrayLike) -> Floats:
    """The inverse of `coordinate`."""
    found: Floats = (2.0 ** np.asarray(where, dtype=np.float64) - 1) * _unit(grid)
    return found


def _unit(grid: ArrayLike) -> float:
    values = np.asarray(grid, dtype=np.float64)
    return float(values[values > 0].min())


def curves(accuracy: ArrayLike, epsilons: Sequence[float], number: int, seed: int = 0) -> Curves:
    """Mean accuracies over seeds, and bootstrap draws of them.

    Every draw takes seeds with replacement, for each epsilon of its own (other networks), but the
    same for all targets (the same networks); no draws where a source has one seed, as nothing says
    how much it would vary. With few seeds such draws vary too little, by the
    factor (n - 1) / n in variance: a third too little for three.

    Args:
        accuracy: (targets, epsilons, seeds); nan pads.
        epsilons: ascending, the first is 0.
        number: of draws.

    Raises:
        UserError: fewer than three epsilons, or no natural source, or a source that lacks a target.
    """
    values = np.asarray(accuracy, dtype=np.float64)
    grid = np.asarray(epsilons, dtype=np.float64)
    if len(grid) < 3 or grid[0] != 0 or (np.diff(grid) <= 0).any():
        raise UserError(
            "a best epsilon takes sources of at least three different epsilons, one of them 0 "
            f"(natural); there are {', '.join(f'{value:g}' for value in grid)}."
        )
    known = np.isfinite(values)
    if (known.any(axis=0) != known.all(axis=0)).any() or not known.any(axis=2).all():
        raise UserError("every source has to be transferred to every target; some are missing.")
    rng = np.random.default_rng([seed, 2])
    means = np.nanmean(values, axis=2)
    repeated = (known[0].sum(axis=1) > 1).all()
    drawn = np.empty((number if repeated else 0, *means.shape))
    if repeated:
        for k in range(len(grid)):
            own = values[:, k, known[0, k]]
            chosen = rng.integers(own.shape[1], size=(number, own.shape[1]))
            drawn[:, :, k] = own[:, chosen].mean(axis=2).T
    return Curves(grid, means, drawn)


def best(means: ArrayLike, epsilons: ArrayLike, estimator: str, temperature: float) -> Floats:
    """Coordinate of the best epsilon for accuracies (..., E), within the grid.

    * ``vertex``: of the parabola fitted to accuracy over the coordinate by least squares; where it
      has no maximum inside the grid, the end that it puts higher.
    * ``softmax``: mean coordinate, weighted by exp(accuracy / temperature). A flat curve gives the
      middle of the grid.
    * ``grid``: where the mean accuracy is highest; of equals the smallest epsilon.
    """
    values = np.asarray(means, dtype=np.float64)
    x = coordinate(epsilons, epsilons)
    if estimator == "grid":
        return x[values.argmax(axis=-1)]
    if estimator == "softmax":
        weights = np.exp((values - values.max(axis=-1, keepdims=True)) / temperature)
        found: Floats = (weights * x).sum(axis=-1) / weights.sum(axis=-1)
        return found
    if estimator != "vertex":
        raise UserError(f"estimator is one of {', '.join(ESTIMATORS)}, not '{estimator}'.")
    centred = values - values.mean(axis=-1, keepdims=True)
    coefficients = centred @ np.linalg.pinv(np.vander(x, 3)).T
    bend, slope = coefficients[..., 0], coefficients[..., 1]
    ends = x[[0, -1]]  # the first is 0, where the parabola is its constant
    higher = np.where(bend * ends[1] + slope > 0, ends[1], ends[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        vertex = np.clip(-slope / (2 * bend), *ends)
    return np.where(bend < -TINY, vertex, higher)


def estimate(known: Curves, estimator: str, temperature: float) -> Estimate:
    """The best epsilon of every target, and what seeds leave open."""
    value = best(known.means, known.epsilons, estimator, temperature)
    draws = best(known.draws, known.epsilons, estimator, temperature)
    low = high = np.full_like(value, NAN)
    if len(draws):
        low, high = np.quantile(draws, QUANTILES, axis=0)
    return Estimate(value, low, high, draws)


# What predicts it ---------------------------------------------------------------------------------


def dependence(value: ArrayLike, groups: Sequence[str]) -> tuple[float, float]:
    """Intraclass correlation of the best epsilon in groups, and the number of independent targets
    that so many dependent ones are worth.

    One-way analysis of variance: ICC = (MS_B - MS_W) / (MS_B + (n_0 - 1) MS_W), kept in [0, 1],
    n_0 = (N - sum n_g^2 / N) / (G - 1); N / (1 + (n_0 - 1) ICC) (Kish 1965, design effect). nan for
    one group, or groups of one target.
    """
    y = np.asarray(value, dtype=np.float64)
    members = list(_members(groups).values())
    sizes = np.array([len(rows) for rows in members])
    if len(sizes) < 2 or len(y) <= len(sizes):
        return NAN, NAN
    means = np.array([y[rows].mean() for rows in members])
    between = float(sizes @ (means - y.mean()) ** 2) / (len(sizes) - 1)
    within = sum(float(((y[rows] - y[rows].mean()) ** 2).sum()) for rows in members)
    within /= len(y) - len(sizes)
    size = (len(y) - float(sizes @ sizes) / len(y)) / (len(sizes) - 1)
    total = between + (size - 1) * within
    if total <= TINY:
        return NAN, NAN
    share = min(1.0, max(0.0, (between - within) / total))
    return share, len(y) / (1 + (size - 1) * share)


def predict(
    measure: ArrayLike,
    found: Estimate,
    groups: Sequence[str],
    given: ArrayLike | None = None,
    *,
    limits: tuple[float, float],
    bootstrap: int,
    permutations: int,
    seed: int = 0,
) -> list[Prediction]:
    """How well a measure of targets predicts their best epsilon.

    * ``spearman``: rank correlation over all targets.
    * ``spearman_within``: of ranks within each dataset, pooled. p: two-sided, orders of the targets
      within datasets.
    * ``spearman_given_resolution``: partial, of ranks, given ``given``.
    * ``left_out_error``: mean absolute error, in doublings, of a line fitted to the other datasets;
      for every dataset, and over all targets. ``left_out_baseline``: of their mean instead.

    Intervals: 95 % percentile bootstrap of source seeds, datasets, and targets within datasets.
    With three datasets they are a rough guide: a draw often has two different ones, or one.
    nan: fewer than three targets, or a constant.

    Args:
        measure: (targets,); nan where a target has no value (it is left out).
        found: the estimate of all targets.
        groups: the dataset of every target.
        given: (targets,), or None: without that correlation.
        limits: smallest and largest coordinate that a prediction can be.
    """
    x = np.asarray(measure, dtype=np.float64)
    kept = np.flatnonzero(np.isfinite(x))
    x, y = x[kept], found.value[kept]
    names = [groups[int(k)] for k in kept]
    members = _members(names)
    other = None if given is None else np.asarray(given, dtype=np.float64)[kept]
    codes = np.unique(names, return_inverse=True)[1] if len(kept) else np.zeros(0, dtype=np.intp)
    size = {"n_targets": len(x), "n_groups": len(members)}

    draws: dict[str, list[float]] = {}
    for rows, copies, which in _draws(members, bootstrap, len(found.draws), seed):
        drawn = found.draws[which][kept] if len(found.draws) else y
        for name, value in _correlations(x, drawn, other, rows, copies).items():
            draws.setdefault(name, []).append(value)
    everything = np.arange(len(x))
    results = []
    for name, value in _correlations(x, y, other, everything, codes).items():
        low, high = _interval(draws.get(name, []))
        p_value = NAN
        if name == "spearman_within":
            p_value = _permuted(x, y, codes, value, permutations, seed)
        results.append(Prediction(name, "", value, low, high, p_value, **size))
    return [*results, *_left_out(x, y, members, limits)]


def _correlations(
    x: Floats, y: Floats, given: Floats | None, rows: Indices, groups: Indices
) -> dict[str, float]:
    found = {
        "spearman": _cosine(*(_centred_ranks(values[rows]) for values in (x, y))),
        "spearman_within": _cosine(*(_ranks_within(values[rows], groups) for values in (x, y))),
    }
    if given is not None:
        ranks = _centred_ranks(given[rows])
        left = (_residuals(_centred_ranks(values[rows]), ranks) for values in (x, y))
        found["spearman_given_resolution"] = _cosine(*left)
    return found


def _left_out(
    x: Floats, y: Floats, members: Mapping[str, Indices], limits: tuple[float, float]
) -> list[Prediction]:
    errors = {"left_out_error": np.full(len(x), NAN), "left_out_baseline": np.full(len(x), NAN)}
    for rows in members.values() if len(members) > 1 else ():
        others = np.setdiff1d(np.arange(len(x)), rows)
        mean = float(y[others].mean())
        spread = x[others] - x[others].mean()
        square = float(spread @ spread)
        slope = float(spread @ y[others]) / square if square > TINY else 0.0
        line = np.clip(mean + slope * (x[rows] - x[others].mean()), *limits)
        errors["left_out_error"][rows] = np.abs(line - y[rows])
        errors["left_out_baseline"][rows] = np.abs(mean - y[rows])
    results = []
    for name, error in errors.items():
        for group, rows in {"": np.arange(len(x)), **members}.items():
            value = float(error[rows].mean()) if len(rows) else NAN
            count = {"n_targets": len(rows), "n_groups": 1 if group else len(members)}
            results.append(Prediction(name, group, value, NAN, NAN, NAN, **count))
    return results


def _draws(
    members: Mapping[str, Indices], number: int, estimates: int, seed: int
) -> list[tuple[Indices, Indices, int]]:
    """Rows of drawn targets, which drawn dataset each is of, and which draw of the estimate."""
    if not members:
        return []
    rng = np.random.default_rng([seed, 3])
    groups = list(members.values())
    found = []
    for k in range(number):
        chosen = rng.integers(len(groups), size=len(groups))
        rows = [rng.choice(groups[g], size=len(groups[g])) for g in chosen]
        copies = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
        found.append((np.concatenate(rows), copies, k % estimates if estimates else 0))
    return found


def _permuted(
    x: Floats, y: Floats, groups: Indices, observed: float, number: int, seed: int
) -> float:
    """Two-sided p of the correlation within groups: twice the smaller tail of random orders."""
    if not number or not math.isfinite(observed):
        return NAN
    rng = np.random.default_rng([seed, 4])
    ranks, others = _ranks_within(x, groups), _ranks_within(y, groups)
    above = below = 0
    for _ in range(number):
        order = np.lexsort((rng.random(len(x)), groups))  # random within each group
        moved = np.empty_like(others)
        moved[np.lexsort((np.arange(len(x)), groups))] = others[order]
        value = _cosine(ranks, moved)
        above += value >= observed - TINY
        below += value <= observed + TINY
    return min(1.0, 2 * (min(above, below) + 1) / (number + 1))


def _members(groups: Sequence[str]) -> dict[str, Indices]:
    names = np.asarray(groups, dtype=object)
    return {name: np.flatnonzero(names == name) for name in dict.fromkeys(groups)}


def _centred_ranks(values: Floats) -> Floats:
    ranks = rankdata(values)
    return ranks - ranks.mean() if len(ranks) else ranks


def _ranks_within(values: Floats, groups: Indices) -> Floats:
    found = np.zeros(len(values))
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        found[rows] = _centred_ranks(values[rows])
    return found


def _residuals(values: Floats, given: Floats) -> Floats:
    square = float(given @ given)
    residuals = values - (float(values @ given) / square if square > TINY else 0.0) * given
    return np.where(np.abs(residuals) > TINY * max(1, len(values)), residuals, 0.0)


def _cosine(a: Floats, b: Floats) -> float:
    norm = math.sqrt(float(a @ a) * float(b @ b))
    if len(a) < MINIMUM_TARGETS or norm <= TINY:
        return NAN
    return min(1.0, max(-1.0, float(a @ b) / norm))


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """Percentile interval; nan if more than half of the draws are undefined."""
    array = np.asarray(values, dtype=np.float64)
    defined = array[np.isfinite(array)]
    if not defined.size or 2 * defined.size < array.size:
        return NAN, NAN
    low, high = np.quantile(defined, QUANTILES)
    return float(low), float(high)
