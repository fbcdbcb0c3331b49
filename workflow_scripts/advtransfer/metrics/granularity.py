"""How fine-grained a target task is, measured from its images, its features and its labels.

Images are uint8 (N, H, W, 3); points, as pixels or features, are (N, D). Anything that numpy can
read is welcome, CPU tensors included; the arithmetic is in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UserError

Floats = NDArray[np.float64]

# Measures, and resolution, of which ratios mean something: a line is fitted to their logarithm.
LOGARITHMIC = ("resolution", "mean_frequency", "class_separation", "twonn", "levina_bickel")
DISCARDED = 0.1  # share of the largest ratios of distances that TwoNN leaves out
NEIGHBOURS = (10, 20)  # numbers of neighbours that the maximum likelihood estimate is averaged over
NO_CONTRAST = 1e-24  # power that rounding in float64 leaves of a constant image
GREY = (0.299, 0.587, 0.114)  # luma of red, green and blue (ITU-R BT.601)


def image_measures(images: ArrayLike) -> dict[str, float]:
    """All that is measured on the pixels of images (N, S, S, 3) alone.

    Raises:
        UserError: as `spectral_slope`, `twonn` and `levina_bickel`.
    """
    pixels = np.asarray(images)
    points = pixels.reshape(len(pixels), -1)
    return {
        "spectral_slope": spectral_slope(pixels),
        "mean_frequency": mean_frequency(pixels),
        "twonn": twonn(points),
        "levina_bickel": levina_bickel(points),
    }


def feature_measures(features: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """All that is measured on a network's features (N, D) of images with labels (N,).

    Raises:
        UserError: as `class_separation`, `twonn` and `levina_bickel`.
    """
    return {
        "class_separation": class_separation(features, labels),
        "twonn": twonn(features),
        "levina_bickel": levina_bickel(features),
    }


def spectral_slope(images: ArrayLike) -> float:
    """Slope of log power over log frequency of images (N, H, W, 3); about -2 for natural images.

    Power is that of the two-dimensional Fourier transform of the luma, less its mean and under a
    Hann window (the edges of an image are no edges in it), averaged over images and over rings one
    frequency wide. A least squares line is laid through the rings 1 ... S/2 - 1 of S x S pixels:
    log P(f) = constant + slope * log f. The steeper (the more negative), the less detail; but in
    images that were reduced below about a quarter of their pixels, most rings hold no more than the
    rounding of grey levels, so that the slope of still smaller ones is less steep again
    (`mean_frequency` has no such end).

    Field 1987, J. Opt. Soc. Am. A 4: amplitude falls as 1/f, power as 1/f^2.

    Raises:
        UserError: other shapes, images that are not square or smaller than 8 pixels, or images
            without any contrast.
    """
    power = radial_power(images)
    rings = np.arange(1, len(power) + 1)
    return float(np.polyfit(np.log(rings), np.log(power), 1)[0])


def mean_frequency(images: ArrayLike) -> float:
    """Mean frequency of the contrast of images (N, S, S, 3), in cycles an image.

    sum_f f n_f P(f) / sum_f n_f P(f), over the rings f and powers of `spectral_slope` with n_f
    frequencies each: the spectral centroid.

    Raises:
        UserError: as `spectral_slope`.
    """
    power, counts = _spectrum(images)
    rings = np.arange(1, len(power) + 1)
    return float((rings * power * counts).sum() / (power * counts).sum())


def radial_power(images: ArrayLike) -> Floats:
    """Mean power in the rings 1 ... S/2 - 1 of images (N, S, S, 3), as `spectral_slope` has it."""
    return _spectrum(images)[0]


def _spectrum(images: ArrayLike) -> tuple[Floats, Floats]:
    """Mean power of every ring, and how many frequencies it has."""
    pixels = np.asarray(images)
    if pixels.ndim != 4 or pixels.shape[3] != 3 or pixels.shape[1] != pixels.shape[2]:
        raise UserError(f"a spectrum is of square images (N, S, S, 3), not {tuple(pixels.shape)}.")
    size = pixels.shape[1]
    if size < 8 or not len(pixels):
        raise UserError(f"a spectrum takes images of at least 8 pixels a side, not {size}.")
    window = np.outer(np.hanning(size), np.hanning(size))
    window /= np.sqrt((window**2).mean())
    frequency = np.fft.fftfreq(size) * size
    ring = np.rint(np.hypot(frequency[:, None], frequency[None])).astype(np.intp)
    total = np.zeros((size, size))
    for image in pixels:
        luma = image.astype(np.float64) @ GREY / 255
        total += np.abs(np.fft.fft2((luma - luma.mean()) * window)) ** 2
    sums = np.bincount(ring.ravel(), (total / len(pixels)).ravel())
    counts = np.bincount(ring.ravel())
    power, counts = (sums / counts)[1 : size // 2], counts[1 : size // 2]
    if not (power > NO_CONTRAST).all():
        raise UserError("the images have no contrast at all, hence no spectrum.")
    return power, counts.astype(np.float64)


def class_separation(features: ArrayLike, labels: ArrayLike) -> float:
    """Between-class over within-class distance of features (N, D) with labels (N,).

    ``sum_c n_c ||mu_c - mu||^2 / sum_i ||x_i - mu_{y_i}||^2`` = tr(S_B) / tr(S_W)

    The trace criterion of discriminant analysis (Fukunaga 1990, Introduction to Statistical Pattern
    Recognition, chapter 10). Small: the classes are close together for their spread, the task is
    fine. It is at least about (classes - 1) / (N - classes), what classes without any difference
    have by chance, so compare values of the same numbers of images and classes with more trust.

    Raises:
        UserError: shapes that do not fit, fewer than two classes, a class with one image, or images
            of every class that are all alike.
    """
    points, known = _points(features), np.asarray(labels)
    if known.shape != (len(points),):
        raise UserError(f"labels have to be ({len(points)},), not {known.shape}.")
    classes, position, counts = np.unique(known, return_inverse=True, return_counts=True)
    if len(classes) < 2 or counts.min() < 2:
        raise UserError("a class separation takes two classes with two images each.")
    means = np.stack([points[position == k].mean(axis=0) for k in range(len(classes))])
    within = float(((points - means[position]) ** 2).sum())
    if not within:
        raise UserError("the images of every class are all alike: no distance within a class.")
    between = float(counts @ ((means - points.mean(axis=0)) ** 2).sum(axis=1))
    return between / within


def label_depth(paths: Sequence[Sequence[str]], labels: Sequence[int] | None = None) -> float:
    """Mean depth of the lowest common ancestor over all pairs of classes with different labels.

    A path leads from below the root to a class: ``("animal", "mammal", "dog")``. The root has depth
    0, so 0 says that all pairs have nothing in common; the larger, the finer the distinctions. (Wu
    and Palmer 1994 measure closeness of concepts by this depth, relative to theirs.)

    Args:
        paths: one a class.
        labels: the label of every class, where labels are unions of classes; None: all differ.

    Raises:
        UserError: no pair of classes has different labels, two classes have one path, or one's
            path ends on the way to another.
    """
    names = list(range(len(paths))) if labels is None else list(labels)
    depths = []
    for first, second in combinations(range(len(paths)), 2):
        shared = 0
        for one, other in zip(paths[first], paths[second], strict=False):
            if one != other:
                break
            shared += 1
        if shared in (len(paths[first]), len(paths[second])):
            raise UserError(
                f"'{' / '.join(paths[first])}' and '{' / '.join(paths[second])}' are no two "
                "classes of one hierarchy: each has to be a leaf of its own."
            )
        if names[first] != names[second]:
            depths.append(shared)
    if not depths:
        raise UserError("a depth in a hierarchy takes two classes with different labels.")
    return float(np.mean(depths))


def twonn(points: ArrayLike) -> float:
    """Intrinsic dimension by the two nearest neighbours of points (N, D).

    The ratio mu = r2 / r1 of the distances to the second and first neighbour follows
    F(mu) = 1 - mu^-d where density is even at that scale, so d is the slope of the line through
    the origin of -log(1 - F(mu)) over log mu, F being the share of points up to mu. The largest
    tenth of ratios is left out of the fit. Facco et al. 2017, Sci. Rep. 7:12140. Points that
    coincide with another (r1 = 0) say nothing and are left out.

    Raises:
        UserError: fewer than 20 points that differ, or shapes that do not fit.
    """
    distances = _neighbours(points, 2)
    distances = distances[distances[:, 0] > 0]
    if len(distances) < 20:
        raise UserError(
            f"an intrinsic dimension takes at least 20 points that differ, not {len(distances)}."
        )
    ratios = np.sort(np.log(distances[:, 1] / distances[:, 0]))
    kept = int(len(ratios) * (1 - DISCARDED))
    share = np.arange(1, kept + 1) / len(ratios)
    x, y = ratios[:kept], -np.log1p(-share)
    return _finite(float(x @ y), float(x @ x))


def levina_bickel(points: ArrayLike) -> float:
    """Intrinsic dimension of points (N, D) by maximum likelihood, a mean over 10 to 20 neighbours.

    With k neighbours at distances T_1 <= ... <= T_k of every point,
    d_k = 1 / mean over points and j < k of log(T_k / T_j).
    Levina and Bickel, NeurIPS 2004, equation 8, whose inverses are averaged over points, as the
    likelihood of all points together has it (MacKay and Ghahramani 2005). Points that coincide with
    another are left out.

    Raises:
        UserError: fewer than 30 points that differ, or shapes that do not fit.
    """
    first, last = NEIGHBOURS
    distances = _neighbours(points, last)
    distances = distances[distances[:, 0] > 0]
    if len(distances) < last + 10:
        raise UserError(
            f"an intrinsic dimension takes at least {last + 10} points that differ, not "
            f"{len(distances)}."
        )
    logs = np.log(distances)
    values = []
    for k in range(first, last + 1):
        mean = float((logs[:, k - 1 : k] - logs[:, : k - 1]).mean())
        values.append(_finite(1.0, mean))
    return float(np.mean(values))


def _neighbours(points: ArrayLike, number: int) -> Floats:
    """Distances (N, number) of every point to its nearest others, ascending."""
    known = _points(points)
    known = known - known.mean(axis=0)
    if len(known) <= number:
        raise UserError(f"{number} neighbours take more than {len(known)} points.")
    squares = (known**2).sum(axis=1)
    approximate = squares[:, None] + squares[None] - 2 * known @ known.T
    np.fill_diagonal(approximate, np.inf)
    nearest = np.argpartition(approximate, number - 1, axis=1)[:, :number]
    # The product above loses the digits of small distances: those that count are taken anew.
    found = np.empty((len(known), number))
    for row, others in enumerate(nearest):
        found[row] = np.sqrt(((known[others] - known[row]) ** 2).sum(axis=1))
    found.sort(axis=1)
    return found


def _points(points: ArrayLike) -> Floats:
    known = np.asarray(points, dtype=np.float64)
    if known.ndim != 2 or not known.size:
        raise UserError(f"points have to be (N, D), not {known.shape}.")
    if not np.isfinite(known).all():
        raise UserError(
            "points hold numbers that are not finite. If they are features, lower the learning "
            "rate of that network's training and train it again."
        )
    return known


def _finite(numerator: float, denominator: float) -> float:
    if denominator <= 0:
        raise UserError("all points have neighbours at equal distances: no dimension fits them.")
    return numerator / denominator
