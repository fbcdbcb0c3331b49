"""Means of a few values, and their intervals."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from .arrays import NAN, QUANTILES


class MeanInterval(NamedTuple):
    """A mean and its 95 % t interval."""

    mean: float
    low: float
    high: float


def mean_interval(values: ArrayLike) -> MeanInterval:
    """Return the mean over seeds and its 95 % t interval; nan values are ignored.

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
