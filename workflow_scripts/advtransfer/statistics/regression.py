"""Least squares lines and their bootstrap bands."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .arrays import NAN, QUANTILES, Floats, dot, without_mean
from .resampling import resamples_of

MIN_POINTS = 3  # with one point fewer, every line would be exact


class RegressionBand(NamedTuple):
    """A least squares line at the points of a grid, and its 95 % bootstrap band there."""

    line: Floats
    low: Floats
    high: Floats


def _line(x: Floats, y: Floats, grid: Floats) -> Floats:
    """Return least squares lines of y on x (last axis: points) at ``grid``; nan if all x equal."""
    centre = without_mean(x)
    spread, product = dot(centre, centre), dot(centre, y)
    slope = np.divide(product, spread, out=np.full_like(spread, NAN), where=spread > 0)
    return y.mean(axis=-1, keepdims=True) + slope[..., None] * (
        grid - x.mean(axis=-1, keepdims=True)
    )


def regression_band(
    x: ArrayLike, y: ArrayLike, grid: ArrayLike, *, bootstrap: int = 1000, seed: int = 0
) -> RegressionBand:
    """Return the least squares line of y on x at ``grid``, and its 95 % bootstrap band.

    The bootstrap draws points. Points with a nan are left out. The line is nan if all x are equal,
    the band if there are fewer than three points. Draws with equal x are dropped.

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
    if points_x.size < MIN_POINTS or not bootstrap:
        return RegressionBand(line, undefined, undefined)
    rows = resamples_of((1,) * points_x.size, bootstrap, seed).rows[0]
    lines = _line(points_x[rows], points_y[rows], at)
    lines = lines[np.isfinite(lines).all(axis=1)]
    if not len(lines):
        return RegressionBand(line, undefined, undefined)
    low, high = np.quantile(lines, QUANTILES, axis=0)
    return RegressionBand(line, low, high)
