"""Correlations over models, their bootstrap intervals and permutation tests.

The unit of observation is the model. Seeds of one model are repeated measurements of it, not more
models: a statistic is computed on the models' means over seeds, the bootstrap draws models (and
seeds within each drawn model), and the permutation test moves models as wholes. So more seeds make
the means steadier, but never a small study look like a large one.

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
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

KINDS = ("pearson", "spearman", "kendall", "partial_pearson")
# With one model fewer, every value is +-1 or undefined.
MIN_MODELS = {"pearson": 3, "spearman": 3, "kendall": 3, "partial_pearson": 4}
QUANTILES = (0.025, 0.975)  # of 95 % intervals
EXACT_UP_TO = 5040  # permutations: 7 models
NAN = float("nan")
ROUNDING = 1e-12  # relative size below which a spread is rounding error


class Correlation(NamedTuple):
    """A correlation over ``n_models`` models, from ``n_rows`` (model, seed) measurements.

    ``ci_low``, ``ci_high``: 95 % percentile bootstrap. ``p_value``: two-sided permutation test.
    """

    value: float
    ci_low: float
    ci_high: float
    p_value: float
    n_models: int
    n_rows: int


class RegressionBand(NamedTuple):
    """A least squares line at the points of a grid, and its 95 % bootstrap band there."""

    line: Floats
    low: Floats
    high: Floats


class MeanInterval(NamedTuple):
    """Mean and its 95 % t interval."""

    mean: float
    low: float
    high: float


class PairedDifference(NamedTuple):
    """Mean of values minus baseline, its 95 % interval, and the two means that it compares.

    ``n_source_seeds``, ``n_subset_seeds``: how many of each were measured on both sides.
    """

    value: float
    ci_low: float
    ci_high: float
    mean: float
    baseline_mean: float
    n_source_seeds: int
    n_subset_seeds: int


class _Resamples(NamedTuple):
    """Hierarchical bootstrap draws: positions in the models' concatenated measurements.

    ``rows`` is (seeds, draws, models); drawn models with fewer seeds are padded with the position
    behind the last measurement. ``sizes`` is how many are no padding, ``distinct`` how many
    different models a draw has.
    """

    rows: Indices
    sizes: Floats
    distinct: Indices


class _Permutations(NamedTuple):
    """Orders of models, and the same for pairs of models: positions in a flattened square."""

    models: Indices
    pairs: Indices
    exact: bool


@lru_cache(maxsize=16)
def _resamples(sizes: tuple[int, ...], number: int, seed: int) -> _Resamples:
    rng = np.random.default_rng([seed, 0])
    n, most = len(sizes), max(sizes)
    all_sizes = np.asarray(sizes, dtype=np.intp)
    starts = all_sizes.cumsum() - all_sizes
    models = np.sort(rng.integers(n, size=(number, n)), axis=1)
    size = all_sizes[models]
    rows = rng.integers(size, size=(most, number, n)) + starts[models]
    rows = np.where(np.arange(most)[:, None, None] < size, rows, sum(sizes))
    rows.sort(axis=0)  # so that equal draws add up in the same order and stay exact ties
    distinct = 1 + (np.diff(models, axis=1) > 0).sum(axis=1)
    return _Resamples(rows, size.astype(np.float64), distinct)


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


def _dot(a: Floats, b: Floats) -> Floats:
    """Inner product along the last axis."""
    product: Floats = np.asarray(np.einsum("...i,...i->...", a, b))
    return product


def _centred(values: Floats) -> Floats:
    """Values minus their mean; exactly 0 where they only differ by rounding."""
    centred = values - values.mean(axis=-1, keepdims=True)
    constant = _dot(centred, centred) <= ROUNDING**2 * _dot(values, values)
    return np.where(constant[..., None], 0.0, centred)


@lru_cache(maxsize=16)
def _pairs(n: int) -> tuple[Indices, Indices, Floats]:
    """The two models of every pair, and what turns the signs of the pairs into centred ranks."""
    first, second = np.triu_indices(n, 1)
    models = np.arange(n)
    return first, second, ((first[:, None] == models) - 1.0 * (second[:, None] == models)) / 2


def _signs(values: Floats) -> Floats:
    """sign(v_i - v_j) for every pair i < j."""
    first, second, _ = _pairs(values.shape[-1])
    return np.sign(np.take(values, first, axis=-1) - np.take(values, second, axis=-1))


def _centred_ranks(signs: Floats, n: int) -> Floats:
    """Average ranks of ``n`` values minus their mean, from the signs of the pairs."""
    return signs @ _pairs(n)[2]


def _residuals(values: Floats, given: Floats) -> Floats:
    """What a least squares line on ``given`` leaves of ``values``; both centred."""
    spread, product = _dot(given, given), _dot(values, given)
    slope = np.divide(product, spread, out=np.zeros_like(product), where=spread > 0)
    residuals = values - slope[..., None] * given
    explained = _dot(residuals, residuals) <= ROUNDING**2 * _dot(values, values)
    return np.where(explained[..., None], 0.0, residuals)


def _cosine(a: Floats, b: Floats) -> Floats:
    """Cosine along the last axis; nan where a vector is 0."""
    norms = np.sqrt(_dot(a, a) * _dot(b, b))
    cosine = np.divide(_dot(a, b), norms, out=np.full_like(norms, np.nan), where=norms > 0)
    return np.clip(cosine, -1, 1)


def _statistics(
    kinds: Sequence[str], x: Floats, y: Floats, given: Floats | None
) -> dict[str, Floats]:
    """Each kind of correlation along the last axis."""
    found: dict[str, Floats] = {}
    if "pearson" in kinds:
        found["pearson"] = _cosine(_centred(x), _centred(y))
    if "spearman" in kinds or "kendall" in kinds:
        signs_x, signs_y = _signs(x), _signs(y)
        if "spearman" in kinds:
            n = x.shape[-1]
            found["spearman"] = _cosine(_centred_ranks(signs_x, n), _centred_ranks(signs_y, n))
        if "kendall" in kinds:
            found["kendall"] = _cosine(signs_x, signs_y)
    if "partial_pearson" in kinds:
        assert given is not None
        centre = _centred(given)
        found["partial_pearson"] = _cosine(
            _residuals(_centred(x), centre), _residuals(_centred(y), centre)
        )
    return found


def _permuted(
    kind: str, x: Floats, y: Floats, given: Floats | None, orders: _Permutations
) -> Floats:
    """One kind of correlation for every order of y's models."""
    if kind == "pearson":
        return _cosine(_centred(x), _centred(y)[orders.models])
    if kind == "spearman":
        ranks_x, ranks_y = (_centred_ranks(_signs(values), len(values)) for values in (x, y))
        return _cosine(ranks_x, ranks_y[orders.models])
    if kind == "kendall":
        return _cosine(_signs(x), np.sign(y[:, None] - y).ravel()[orders.pairs])
    assert given is not None
    centre = _centred(given)
    residuals = _residuals(_centred(y), centre)[orders.models]
    return _cosine(_residuals(_centred(x), centre), _residuals(residuals, centre))


def _p_value(observed: float, permuted: Floats, exact: bool) -> float:
    """Twice the smaller tail; a random sample of orders counts the observed one as well."""
    above = int((permuted >= observed - ROUNDING).sum())
    below = int((permuted <= observed + ROUNDING).sum())
    extra = 0 if exact else 1
    return min(1.0, 2 * (min(above, below) + extra) / (len(permuted) + extra))


def _interval(values: Floats) -> tuple[float, float]:
    """Percentile interval; nan if more than half of the draws are undefined."""
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

    # No statistic minds a shift, and this one makes means of a constant exactly equal.
    flat = [variable[counts] - variable[counts][0] for variable in variables]
    starts = np.cumsum(sizes) - sizes
    means = [np.add.reduceat(values, starts) / sizes for values in flat]
    x, y, *rest = means
    given = rest[0] if rest else None
    observed = _statistics(kinds, x, y, given)

    draws: dict[str, Floats] = {}
    if bootstrap:
        resamples = _resamples(tuple(sizes.tolist()), bootstrap, seed)
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
    """Correlations of x and y over models, by kind.

    * ``pearson``, ``spearman``, ``kendall`` (tau-b), and ``partial_pearson``, the correlation of
      what lines on ``given`` leave of x and of y. That one is left out without ``given``, and with
      a constant ``given`` it is ``pearson``.
    * Interval: 95 % percentile bootstrap. Every draw takes models with replacement and, for each
      model taken, its seeds with replacement. Draws with constant x or y or with fewer than
      three different models (partial: four) are dropped; if that is more than half, the interval is
      nan. That is the case for three models (partial: up to five): they bear no interval.
    * p: two-sided, twice the smaller share of orders of y's models whose correlation is at least
      (at most) the observed one. All orders up to seven models, else ``permutations`` random ones
      and (hits + 1) / (orders + 1) in each tail.
      ``partial_pearson`` permutes y's residuals on ``given``, adds back the fitted line and
      correlates anew (Freedman and Lane 1983), which is approximate rather than exact.
      The smallest p that M models allow is 2/M!: 2/120 for five.

    nan: fewer than three models (partial: four), constant x or y, x or y a linear function of
    ``given``, or no draws asked for (``bootstrap=0``, ``permutations=0``).

    Args:
        x, y, given: (models,) or (models, seeds) of one shape; nan where there is no measurement.
        kinds: which of ``KINDS``.
        bootstrap, permutations: numbers of draws.
        seed: decides the draws; the same for the same seed and numbers of models and seeds.
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
    """One kind of correlation; everything else as in ``correlate_all``."""
    if kind == "partial_pearson" and given is None:
        raise ValueError("partial_pearson needs `given`, the variable to hold fixed")
    options: dict[str, Any] = {"bootstrap": bootstrap, "permutations": permutations, "seed": seed}
    return correlate_all(x, y, given, kinds=[kind], **options)[kind]


def _line(x: Floats, y: Floats, grid: Floats) -> Floats:
    """Least squares lines of y on x (last axis: points) at ``grid``; nan where all x are equal."""
    centre = _centred(x)
    spread, product = _dot(centre, centre), _dot(centre, y)
    slope = np.divide(product, spread, out=np.full_like(spread, NAN), where=spread > 0)
    return y.mean(axis=-1, keepdims=True) + slope[..., None] * (
        grid - x.mean(axis=-1, keepdims=True)
    )


def regression_band(
    x: ArrayLike, y: ArrayLike, grid: ArrayLike, *, bootstrap: int = 1000, seed: int = 0
) -> RegressionBand:
    """Least squares line of y on x at ``grid``, with a 95 % band from a bootstrap of the points.

    Points with a nan are left out. The line is nan if all x are equal, the band if there are fewer
    than three points. Draws with equal x are dropped.

    Args:
        x, y: (points,), one point per model.
        grid: where to evaluate the line, (g,).
    """
    points_x, points_y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    at = np.asarray(grid, dtype=np.float64)
    if points_x.ndim != 1 or points_x.shape != points_y.shape:
        raise ValueError(f"x and y have to be (points,), not {points_x.shape}, {points_y.shape}")
    counts = np.isfinite(points_x) & np.isfinite(points_y)
    points_x, points_y = points_x[counts], points_y[counts]
    undefined = np.full_like(at, NAN)
    if not points_x.size:
        return RegressionBand(undefined, undefined, undefined)

    line = _line(points_x, points_y, at)
    if points_x.size < MIN_MODELS["pearson"] or not bootstrap:
        return RegressionBand(line, undefined, undefined)
    rows = _resamples((1,) * points_x.size, bootstrap, seed).rows[0]
    lines = _line(points_x[rows], points_y[rows], at)
    lines = lines[np.isfinite(lines).all(axis=1)]
    if not len(lines):
        return RegressionBand(line, undefined, undefined)
    low, high = np.quantile(lines, QUANTILES, axis=0)
    return RegressionBand(line, low, high)


def mean_interval(values: ArrayLike) -> MeanInterval:
    """Mean over seeds and its 95 % t interval; nan values are left out.

    The interval is nan for fewer than two values, the mean for none.
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    array = array[np.isfinite(array)]
    if not array.size:
        return MeanInterval(NAN, NAN, NAN)
    mean = float(array.mean())
    if array.size < 2:
        return MeanInterval(mean, NAN, NAN)
    error = array.std(ddof=1) / math.sqrt(array.size)
    half = float(stdtrit(array.size - 1, QUANTILES[1]) * error)
    return MeanInterval(mean, mean - half, mean + half)


def _crossed_half_width(differences: Floats) -> float:
    """Half of the interval of ``paired_difference``, of complete differences (I, J)."""
    sources, subsets = differences.shape
    if differences.size < 2:
        return NAN
    flat = _centred(differences.ravel())
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
        # A component that comes out negative takes its mean square with it, and one MS_E. Equal
        # mean squares are common (one difference among zeros), so rounding must not decide there.
        has_a, has_b = (mean > mean_e * (1 + ROUNDING) for mean in (mean_a, mean_b))
        part_a, part_b, part_e = mean_a * has_a, mean_b * has_b, mean_e * (1 - has_a - has_b)
        scaled = part_a + part_b + part_e
        # Shares, as squares of tiny numbers would vanish.
        share_a, share_b, share_e = part_a / scaled, part_b / scaled, part_e / scaled
        freedom = 1 / (share_a**2 / freedom_a + share_b**2 / freedom_b + share_e**2 / freedom_e)
        # No sum of mean squares has fewer than its smallest; only the subtraction gets below.
        freedom = max(freedom, min(freedom_a, freedom_b))
    return float(stdtrit(freedom, QUANTILES[1])) * math.sqrt(scaled / differences.size)


def paired_difference(values: ArrayLike, baseline: ArrayLike) -> PairedDifference:
    """Mean of values minus baseline over source seeds and subset seeds, with a 95 % interval.

    The differences follow a crossed two-way random effects model with one observation per cell,
    ``d_ij = mu + a_i + b_j + e_ij``: source seed i, subset seed j (the same subsets for all source
    seeds), and the rest. Of I x J differences, with the mean squares MS_A (over source seeds), MS_B
    (over subset seeds) and MS_E (residual),

    ``Var(mean) = (MS_A + MS_B - MS_E) / (I J)``

    with negative variance components set to zero, so it is at least MS_E / (I J). The t quantile
    has Satterthwaite's degrees of freedom, ``V^2 / sum(part^2 / df)`` over the mean squares that
    make up V, but no fewer than ``min(I, J) - 1`` (Searle, Casella and McCulloch 1992, Variance
    Components, chapter 4; Satterthwaite 1946, Biometrics Bulletin 2).

    More subsets do not replace source seeds: where source seeds differ, three of them leave two
    degrees of freedom and 4.3 standard errors on either side. Such an interval is wide because
    three seeds hardly tell how much seeds differ; that it holds 0 does not show that there is no
    difference. Coverage depends on the unknown components: for normal effects and 3 x 10 it is
    93 % (source seeds differ more than the rest) to 99 % (only e_ij), and with two source seeds
    down to 89 %.

    With one source seed it is the t interval over subset seeds, and speaks of that source only;
    with one subset seed, over source seeds. Constant differences have an interval without width,
    one value has none (nan).

    Args:
        values, baseline: (source seeds, subset seeds), paired by position. nan: not measured; left
            out are source seeds without any pair, then subset seeds that lack one for some source
            seed.
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
