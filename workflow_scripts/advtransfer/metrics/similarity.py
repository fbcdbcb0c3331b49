"""Distances between two sets of penultimate features, as between a source's and a target's images.

Features are (images, D) arrays; the numbers of images may differ. Anything that numpy can read is
welcome, CPU tensors included; the arithmetic is in float64.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import svdvals
from scipy.spatial.distance import cdist, pdist

from ..errors import UserError

Floats = NDArray[np.float64]

ROUNDING = 1e-12  # relative size below which a spread is rounding error


def _features(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if (
        first.ndim != 2
        or second.ndim != 2
        or first.shape[1] != second.shape[1]
        or not first.shape[1]
    ):
        raise UserError(
            "the two sets of features have to be (n, D) and (m, D) of one network, not "
            f"{first.shape} and {second.shape}."
        )
    if min(len(first), len(second)) < 2:
        raise UserError(
            "a distance between sets of features needs two images or more in both, not "
            f"{len(first)} and {len(second)}."
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise UserError(
            "features hold numbers that are not finite. Lower the learning rate of that network's "
            "training and train it again."
        )
    return first, second


def frechet_distance(x: ArrayLike, y: ArrayLike) -> float:
    """Squared Frechet distance between Gaussians fitted to x (n, D) and y (m, D); at least 0.

    ``||mu1 - mu2||^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))``, with unbiased covariances

    Dowson and Landau 1982; of features: the FID of Heusel et al., NeurIPS 2017. Of a finite
    sample it is too large, the more so the fewer images for D (Chong and Forsyth, CVPR 2020), so
    compare values of the same numbers of images only.

    Raises:
        UserError: shapes that do not fit, fewer than two images, numbers that are not finite.
    """
    first, second = _features(x, y)
    means = [values.mean(axis=0) for values in (first, second)]
    # With S = R^T R, the trace of (S1 S2)^(1/2) is the sum of the singular values of R1 R2^T. No
    # root of an eigenvalue is taken, so covariances of too few images lose no digits either.
    roots = [
        np.linalg.qr((values - mean) / math.sqrt(len(values) - 1)).R
        for values, mean in zip((first, second), means, strict=True)
    ]
    traces = sum(float((root**2).sum()) for root in roots)
    shared = float(svdvals(roots[0] @ roots[1].T).sum())
    return float(((means[0] - means[1]) ** 2).sum()) + max(0.0, traces - 2 * shared)


def maximum_mean_discrepancy(x: ArrayLike, y: ArrayLike) -> float:
    """Unbiased squared maximum mean discrepancy between x (n, D) and y (m, D).

    Mean of k over pairs in x, plus that in y, minus twice that between x and y

    Gretton et al., JMLR 2012, equation 3, with ``k(a, b) = exp(-||a - b||^2 / (2 s^2))`` and s the
    median distance between points of both together. At most 2. Its mean over samples of one
    distribution is 0, so single values can be slightly negative. Where half of all pairs or more
    are equal points (s = 0), k is 1 for equal points and else 0, the limit.

    Raises:
        UserError: shapes that do not fit, fewer than two images, numbers that are not finite.
    """
    first, second = _features(x, y)
    distances = [pdist(first), pdist(second), cdist(first, second).ravel()]
    bandwidth = float(np.median(np.concatenate(distances)))
    within_x, within_y, between = (
        float((np.exp(-((d / bandwidth) ** 2) / 2) if bandwidth else d == 0).mean())
        for d in distances
    )
    return within_x + within_y - 2 * between


def standardised(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Both sets of features in units of x's standard deviations, from x's means, by feature.

    So distances of networks whose features have different scales can be compared. Features that are
    constant over x have no unit and are only centred.

    Raises:
        UserError: shapes that do not fit, fewer than two images, numbers that are not finite.
    """
    first, second = _features(x, y)
    mean, spread = first.mean(axis=0), first.std(axis=0, ddof=1)
    spread[spread <= ROUNDING * np.abs(first).max(axis=0)] = 1.0
    return (first - mean) / spread, (second - mean) / spread


def similarity(source: ArrayLike, target: ArrayLike) -> dict[str, float]:
    """Distances from a source's features (n, D) to a target's (m, D); small: similar.

    On features standardised by the source: ``frechet``, divided by D, and ``mmd``, which is squared
    and unbiased. Not symmetric, for the source is the unit.

    Raises:
        UserError: shapes that do not fit, fewer than two images, numbers that are not finite.
    """
    first, second = standardised(source, target)
    return {
        "frechet": frechet_distance(first, second) / first.shape[1],
        "mmd": maximum_mean_discrepancy(first, second),
    }
