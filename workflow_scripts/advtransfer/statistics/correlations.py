"""Correlations over models, their bootstrap intervals and permutation tests.

The unit of observation is the model. Seeds of one model are repeated measurements of it, not more
models. A statistic is computed on the models' means over seeds; the bootstrap draws models (and
seeds within each drawn model); the permutation test permutes whole models. More seeds thus make the
means more precise, but never make a small study look like a large one.

Variables are (models, seeds) arrays; nan pads where a model has fewer seeds. A seed counts if all
variables of the correlation are finite there; a model without such a seed is left out.

Every statistic here is the cosine of two transformed vectors (centred values, centred ranks, signs
of pairwise differences, residuals), so all resamples of all of them are array operations. Resamples
and permutations depend on the numbers of models and seeds only: they are drawn once and shared by
the rows of a table, which also makes rows comparable (common random numbers).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import permutations as all_permutations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .arrays import NAN, QUANTILES, ROUNDING, Floats, Indices, dot, without_mean
from .resampling import resamples_of

KINDS = ("pearson", "spearman", "kendall", "partial_pearson")
# With one model fewer, every value would be +-1 or undefined.
MIN_MODELS = {"pearson": 3, "spearman": 3, "kendall": 3, "partial_pearson": 4}
EXACT_UP_TO = 5040  # number of permutations of 7 models


class Correlation(NamedTuple):
    """A correlation over ``n_models`` models, from ``n_rows`` (model, seed) measurements.

    ``ci_low`` and ``ci_high`` are a 95 % percentile bootstrap interval; ``p_value`` is that of a
    two-sided permutation test.
    """

    value: float
    ci_low: float
    ci_high: float
    p_value: float
    n_models: int
    n_rows: int


class _Permutations(NamedTuple):
    """Orders of models, and of pairs of models as positions in a flattened square matrix."""

    models: Indices
    pairs: Indices
    exact: bool


@lru_cache(maxsize=16)
def _permutations(n: int, number: int, seed: int) -> _Permutations:
    exact = math.factorial(n) <= EXACT_UP_TO
    if exact:
        models = np.array(list(all_permutations(range(n))), dtype=np.intp)
    else:
        rng = np.random.default_rng([seed, 1])
        models = rng.permuted(np.tile(np.arange(n), (number, 1)), axis=1)
    first, second, _ = _pairs(n)
    return _Permutations(models, models[:, first] * n + models[:, second], exact)


@lru_cache(maxsize=16)
def _pairs(n: int) -> tuple[Indices, Indices, Floats]:
    """Return the two models of every pair, and the matrix from signs of pairs to centred ranks."""
    first, second = np.triu_indices(n, 1)
    models = np.arange(n)
    return first, second, ((first[:, None] == models) - 1.0 * (second[:, None] == models)) / 2


def _signs(values: Floats) -> Floats:
    """Return sign(v_i - v_j) for every pair i < j."""
    first, second, _ = _pairs(values.shape[-1])
    return np.sign(np.take(values, first, axis=-1) - np.take(values, second, axis=-1))


def _centred_ranks(signs: Floats, n: int) -> Floats:
    """Return the average ranks of ``n`` values minus their mean, from the signs of the pairs."""
    return signs @ _pairs(n)[2]


def _residuals(values: Floats, given: Floats) -> Floats:
    """Return the residuals of a least squares line of ``values`` on ``given``; both are centred."""
    spread, product = dot(given, given), dot(values, given)
    slope = np.divide(product, spread, out=np.zeros_like(product), where=spread > 0)
    residuals = values - slope[..., None] * given
    explained = dot(residuals, residuals) <= ROUNDING**2 * dot(values, values)
    return np.where(explained[..., None], 0.0, residuals)


def _cosine(a: Floats, b: Floats) -> Floats:
    """Return the cosine along the last axis; nan if a vector is 0."""
    norms = np.sqrt(dot(a, a) * dot(b, b))
    cosine = np.divide(dot(a, b), norms, out=np.full_like(norms, np.nan), where=norms > 0)
    return np.clip(cosine, -1, 1)


def _statistics(
    kinds: Sequence[str], x: Floats, y: Floats, given: Floats | None
) -> dict[str, Floats]:
    """Return each kind of correlation along the last axis."""
    found: dict[str, Floats] = {}
    if "pearson" in kinds:
        found["pearson"] = _cosine(without_mean(x), without_mean(y))
    if "spearman" in kinds or "kendall" in kinds:
        signs_x, signs_y = _signs(x), _signs(y)
        if "spearman" in kinds:
            n = x.shape[-1]
            found["spearman"] = _cosine(_centred_ranks(signs_x, n), _centred_ranks(signs_y, n))
        if "kendall" in kinds:
            found["kendall"] = _cosine(signs_x, signs_y)
    if "partial_pearson" in kinds:
        assert given is not None
        centre = without_mean(given)
        found["partial_pearson"] = _cosine(
            _residuals(without_mean(x), centre), _residuals(without_mean(y), centre)
        )
    return found


def _permuted(
    kind: str, x: Floats, y: Floats, given: Floats | None, orders: _Permutations
) -> Floats:
    """Return one kind of correlation for every order of y's models."""
    if kind == "pearson":
        return _cosine(without_mean(x), without_mean(y)[orders.models])
    if kind == "spearman":
        ranks_x, ranks_y = (_centred_ranks(_signs(values), len(values)) for values in (x, y))
        return _cosine(ranks_x, ranks_y[orders.models])
    if kind == "kendall":
        return _cosine(_signs(x), np.sign(y[:, None] - y).ravel()[orders.pairs])
    assert given is not None
    centre = without_mean(given)
    residuals = _residuals(without_mean(y), centre)[orders.models]
    return _cosine(_residuals(without_mean(x), centre), _residuals(residuals, centre))


def _p_value(observed: float, permuted: Floats, exact: bool) -> float:
    """Return twice the smaller tail; a random sample of orders also counts the observed one."""
    above = int((permuted >= observed - ROUNDING).sum())
    below = int((permuted <= observed + ROUNDING).sum())
    extra = 0 if exact else 1
    return min(1.0, 2 * (min(above, below) + extra) / (len(permuted) + extra))


def _interval(values: Floats) -> tuple[float, float]:
    """Return the percentile interval; nan if more than half of the draws are undefined."""
    defined = values[np.isfinite(values)]
    if 2 * defined.size < values.size or not defined.size:
        return NAN, NAN
    low, high = np.quantile(defined, QUANTILES)
    return float(low), float(high)


def _measurements(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise ValueError(f"{name} has to be (models,) or (models, seeds), not {array.shape}")
    return array


def _correlate(
    kinds: Sequence[str],
    variables: Sequence[Floats],
    bootstrap: int,
    permutations: int,
    seed: int,
) -> dict[str, Correlation]:
    counts = np.all([np.isfinite(variable) for variable in variables], axis=0)
    sizes = counts.sum(axis=1)
    sizes = sizes[sizes > 0]
    n_models, n_rows = len(sizes), int(sizes.sum())
    nothing = Correlation(NAN, NAN, NAN, NAN, n_models, n_rows)
    found = {kind: nothing for kind in kinds}
    kinds = [kind for kind in kinds if n_models >= MIN_MODELS[kind]]
    if not kinds:
        return found

    # Statistics do not depend on a shift, and this one makes the means of a constant exactly equal.
    flat = [variable[counts] - variable[counts][0] for variable in variables]
    starts = np.cumsum(sizes) - sizes
    means = [np.add.reduceat(values, starts) / sizes for values in flat]
    x, y, *rest = means
    given = rest[0] if rest else None
    observed = _statistics(kinds, x, y, given)

    draws: dict[str, Floats] = {}
    if bootstrap:
        resamples = resamples_of(tuple(sizes.tolist()), bootstrap, seed)
        x_drawn, y_drawn, *rest_drawn = (
            np.append(values, 0.0)[resamples.rows].sum(axis=0) / resamples.sizes for values in flat
        )
        draws = _statistics(kinds, x_drawn, y_drawn, rest_drawn[0] if rest else None)

    for kind in kinds:
        value = float(observed[kind])
        if not math.isfinite(value):
            continue
        low = high = p_value = NAN
        if bootstrap:
            enough = resamples.distinct >= MIN_MODELS[kind]
            low, high = _interval(np.where(enough, draws[kind], np.nan))
        if permutations:
            orders = _permutations(n_models, permutations, seed)
            p_value = _p_value(value, _permuted(kind, x, y, given, orders), orders.exact)
        found[kind] = Correlation(value, low, high, p_value, n_models, n_rows)
    return found


def correlate_all(
    x: ArrayLike,
    y: ArrayLike,
    given: ArrayLike | None = None,
    *,
    kinds: Sequence[str] = KINDS,
    bootstrap: int = 1000,
    permutations: int = 2000,
    seed: int = 0,
) -> dict[str, Correlation]:
    """Return correlations of x and y over models, by kind.

    * The kinds are ``pearson``, ``spearman``, ``kendall`` (tau-b) and ``partial_pearson``. The last
      correlates the residuals of x and y from lines on ``given``. It is omitted without ``given``,
      and equals ``pearson`` if ``given`` is constant.
    * The interval is a 95 % percentile bootstrap. Every draw takes models with replacement and, for
      each model, its seeds with replacement. Draws with constant x or y, or with fewer than three
      different models (partial: four), are dropped. If more than half are dropped, the interval is
      nan. This always happens with three models (partial: up to five).
    * p is two-sided: twice the smaller share of orders of y's models whose correlation is at least
      (at most) the observed one. Up to seven models, all orders are used. Otherwise there are
      ``permutations`` random ones, and each tail is (hits + 1) / (orders + 1).
      ``partial_pearson`` permutes y's residuals on ``given``, adds the fitted line and correlates
      again (Freedman and Lane 1983), which is approximate rather than exact.
      The smallest p that M models allow is 2/M!: 2/120 for five.

    A value is nan if there are fewer than three models (partial: four), x or y is constant, or x or
    y is a linear function of ``given``. Intervals are nan with ``bootstrap=0``, p-values with
    ``permutations=0``.

    Args:
        x, y, given: (models,) or (models, seeds), all of one shape; nan marks a missing
            measurement.
        kinds: which of ``KINDS``.
        bootstrap, permutations: numbers of draws.
        seed: seed of the draws, which also depend on the numbers of models and seeds.
    """
    if unknown := set(kinds) - set(KINDS):
        raise ValueError(f"there is no correlation {sorted(unknown)}; there are {list(KINDS)}")
    variables = [_measurements(x, "x"), _measurements(y, "y")]
    if given is not None:
        variables.append(_measurements(given, "given"))
    if len({variable.shape for variable in variables}) > 1:
        shapes = [variable.shape for variable in variables]
        raise ValueError(f"x, y and given have to have one shape, not {shapes}")
    plain = [kind for kind in kinds if kind != "partial_pearson"]
    found = _correlate(plain, variables[:2], bootstrap, permutations, seed)
    if "partial_pearson" in kinds and given is not None:
        found |= _correlate(["partial_pearson"], variables, bootstrap, permutations, seed)
    return found


def correlate(
    x: ArrayLike,
    y: ArrayLike,
    kind: str,
    *,
    given: ArrayLike | None = None,
    bootstrap: int = 1000,
    permutations: int = 2000,
    seed: int = 0,
) -> Correlation:
    """Return one kind of correlation; see ``correlate_all``."""
    if kind == "partial_pearson" and given is None:
        raise ValueError("partial_pearson needs `given`, the variable to hold fixed")
    options: dict[str, Any] = {"bootstrap": bootstrap, "permutations": permutations, "seed": seed}
    return correlate_all(x, y, given, kinds=[kind], **options)[kind]
