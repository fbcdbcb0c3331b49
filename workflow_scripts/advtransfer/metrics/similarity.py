"""Distances between the penultimate features of two sets of images, as of a source and a target.

Features are (images, D) arrays; the numbers of images may differ. Functions accept anything that
numpy can read, including CPU tensors, and compute in float64.
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
    """Return the squared Frechet distance, at least 0, of Gaussians fitted to x (n, D), y (m, D).

    ``||mu1 - mu2||^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))``, with unbiased covariances

    The distance is that of Dowson and Landau 1982; on features it is the FID of Heusel et al.,
    NeurIPS 2017. Finite samples overestimate it, the more so the fewer images there are for D
    (Chong and Forsyth, CVPR 2020). Compare only values of equal numbers of images.

    Raises:
        UserError: Shapes do not fit, there are fewer than two images, or numbers are not finite.
    """
    first, second = _features(x, y)
    means = [values.mean(axis=0) for values in (first, second)]
    # With S = R^T R, the trace of (S1 S2)^(1/2) is the sum of the singular values of R1 R2^T. This
    # takes no root of an eigenvalue, so even the covariances of too few images lose no digits.
    roots = [
        np.linalg.qr((values - mean) / math.sqrt(len(values) - 1)).R
        for values, mean in zip((first, second), means, strict=True)
    ]
    traces = sum(float((root**2).sum()) for root in roots)
    shared = float(svdvals(roots[0] @ roots[1].T).sum())
    return float(((means[0] - means[1]) ** 2).sum()) + max(0.0, traces - 2 * shared)


def maximum_mean_discrepancy(x: ArrayLike, y: ArrayLike) -> float:
    """Return the unbiased squared maximum mean discrepancy between x (n, D) and y (m, D).

    It is the mean of k over pairs in x, plus that in y, minus twice that between x and y (Gretton
    et al., JMLR 2012, equation 3). The kernel is ``k(a, b) = exp(-||a - b||^2 / (2 s^2))``, where s
    is the median distance between all points of x and y. If at least half of all pairs are equal
    points (s = 0), k is the limit: 1 for equal points, otherwise 0.

    The value is at most 2. Its mean over samples of one distribution is 0, so single values can be
    slightly negative.

    Raises:
        UserError: Shapes do not fit, there are fewer than two images, or numbers are not finite.
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
    """Return x and y standardised, feature by feature, by the means and deviations of x.

    This makes distances comparable between networks whose features have different scales. Features
    that are constant over x are only centred.

    Raises:
        UserError: Shapes do not fit, there are fewer than two images, or numbers are not finite.
    """
    first, second = _features(x, y)
    mean, spread = first.mean(axis=0), first.std(axis=0, ddof=1)
    spread[spread <= ROUNDING * np.abs(first).max(axis=0)] = 1.0
    return (first - mean) / spread, (second - mean) / spread


def similarity(source: ArrayLike, target: ArrayLike) -> dict[str, float]:
    """Return distances from a source's features (n, D) to a target's (m, D); small means similar.

    Both sets are standardised by the source, so the distances are not symmetric. They are
    ``frechet``, divided by D, and ``mmd``, which is squared and unbiased.

    Raises:
        UserError: Shapes do not fit, there are fewer than two images, or numbers are not finite.
    """
    first, second = standardised(source, target)
    return {
        "frechet": frechet_distance(first, second) / first.shape[1],
        "mmd": maximum_mean_discrepancy(first, second),
    }
