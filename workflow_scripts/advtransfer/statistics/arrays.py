"""Array arithmetic that the statistics share, and the quantiles of their intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
QUANTILES = (0.025, 0.975)  # quantiles of a 95 % interval
NAN = float("nan")
ROUNDING = 1e-12  # relative size below which a spread is rounding error


def dot(a: Floats, b: Floats) -> Floats:
    """Return the inner product along the last axis."""
    product: Floats = np.asarray(np.einsum("...i,...i->...", a, b))
    return product


def without_mean(values: Floats) -> Floats:
    """Return values minus their mean; exactly 0 if the values differ only by rounding."""
    centred = values - values.mean(axis=-1, keepdims=True)
    constant = dot(centred, centred) <= ROUNDING**2 * dot(values, values)
    return np.where(constant[..., None], 0.0, centred)
