"""Measures of how fine-grained a target is, from its images, its features and its labels.

Images are uint8 (N, H, W, 3); points, which are pixels or features, are (N, D). Functions accept
anything that numpy can read, including CPU tensors, and compute in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UserError

Floats = NDArray[np.float64]

# Measures, and the resolution, whose ratios are meaningful: lines are fitted to their logarithms.
LOGARITHMIC = ("resolution", "mean_frequency", "class_separation", "twonn", "levina_bickel")
DISCARDED = 0.1  # share of distance ratios, the largest ones, that TwoNN omits
NEIGHBOURS = (10, 20)  # numbers of neighbours that the maximum likelihood estimate is averaged over
NO_CONTRAST = 1e-24  # power of a constant image after rounding in float64
GREY = (0.299, 0.587, 0.114)  # luma of red, green and blue (ITU-R BT.601)


def image_measures(images: ArrayLike) -> dict[str, float]:
    """Return all measures that need only the pixels of images (N, S, S, 3).

    Raises:
        UserError: see `spectral_slope`, `twonn` and `levina_bickel`.
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
    """Return all measures of a network's features (N, D) of images with labels (N,).

    Raises:
        UserError: see `class_separation`, `twonn` and `levina_bickel`.
    """
    return {
        "class_separation": class_separation(features, labels),
        "twonn": twonn(features),
        "levina_bickel": levina_bickel(features),
    }


def spectral_slope(images: ArrayLike) -> float:
    """Return the slope of log power over log frequency of images (N, S, S, 3).

    Natural images have a slope of about -2 (Field 1987, J. Opt. Soc. Am. A 4: amplitude falls as
    1/f, power as 1/f^2). The steeper (the more negative) the slope, the less detail.

    The power is that of the two-dimensional Fourier transform of the luma. Its mean is subtracted,
    and a Hann window hides the borders of the image. Power is averaged over images and over rings
    one frequency wide. A least squares line is fitted to the rings 1 ... S/2 - 1 of S x S pixels:
    log P(f) = constant + slope * log f.

    The measure has a limit: when images are reduced below about a quarter of their pixels, most
    rings hold only the rounding of grey levels, and the slope becomes less steep again.
    `mean_frequency` has no such limit.

    Raises:
        UserError: Shapes do not fit, images are not square, have fewer than 8 pixels a side, or
            have no contrast.
    """
    power = radial_power(images)
    rings = np.arange(1, len(power) + 1)
    return float(np.polyfit(np.log(rings), np.log(power), 1)[0])


def mean_frequency(images: ArrayLike) -> float:
    """Return the mean frequency of the contrast of images (N, S, S, 3), in cycles per image.

    This is the spectral centroid, sum_f f n_f P(f) / sum_f n_f P(f), over the rings f and powers of
    `spectral_slope`, where ring f has n_f frequencies.

    Raises:
        UserError: see `spectral_slope`.
    """
    power, counts = _spectrum(images)
    rings = np.arange(1, len(power) + 1)
    return float((rings * power * counts).sum() / (power * counts).sum())


def radial_power(images: ArrayLike) -> Floats:
    """Return `spectral_slope`'s mean power in the rings 1 ... S/2 - 1 of images (N, S, S, 3)."""
    return _spectrum(images)[0]


def _spectrum(images: ArrayLike) -> tuple[Floats, Floats]:
    """Return the mean power of every ring, and its number of frequencies."""
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
    """Return the ratio of between-class to within-class distance of features (N, D).

    ``sum_c n_c ||mu_c - mu||^2 / sum_i ||x_i - mu_{y_i}||^2`` = tr(S_B) / tr(S_W)

    This is the trace criterion of discriminant analysis (Fukunaga 1990, Introduction to Statistical
    Pattern Recognition, chapter 10). A small value means that classes are close together relative
    to their spread, so the task is fine-grained. Classes without any difference have about
    (classes - 1) / (N - classes) by chance, so values are best compared at equal numbers of images
    and classes.

    Raises:
        UserError: Shapes do not fit, there are fewer than two classes, a class has one image, or
            all images of every class are alike.
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
    """Return the mean depth of the lowest common ancestors of classes with different labels.

    The mean is over all pairs of such classes. A path leads from below the root to a class:
    ``("animal", "mammal", "dog")``. The root has depth 0, so 0 means that no pair has anything in
    common. The larger the depth, the finer the distinctions. (Wu and Palmer 1994 measure the
    closeness of two concepts by this depth, relative to their own depths.)

    Args:
        paths: one path per class.
        labels: the label of every class, if labels are unions of classes; None: all differ.

    Raises:
        UserError: No pair of classes has different labels, two classes have the same path, or one
            path is the beginning of another.
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
    """Return the intrinsic dimension of points (N, D) by their two nearest neighbours.

    The method is TwoNN (Facco et al. 2017, Sci. Rep. 7:12140). Let mu = r2 / r1 be the ratio of the
    distances to the second and first neighbour. Where the density is even at that scale, it follows
    F(mu) = 1 - mu^-d. So d is the slope of a line through the origin, of -log(1 - F(mu)) over
    log mu, where F is the share of points up to mu. The fit omits the largest tenth of the ratios,
    and points that coincide with another (r1 = 0), which give no ratio.

    Raises:
        UserError: Fewer than 20 points differ, or shapes do not fit.
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
    """Return the maximum likelihood intrinsic dimension of points (N, D).

    For k neighbours of every point, at distances T_1 <= ... <= T_k,
    d_k = 1 / mean over points and j < k of log(T_k / T_j).
    The result is the mean of d_k over k from 10 to 20. The estimate is equation 8 of Levina and
    Bickel, NeurIPS 2004. Its inverses are averaged over points, as the likelihood of all points
    together requires (MacKay and Ghahramani 2005). Points that coincide with another are omitted.

    Raises:
        UserError: Fewer than 30 points differ, or shapes do not fit.
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
    """Return the distances (N, number) of every point to its nearest others, ascending."""
    known = _points(points)
    known = known - known.mean(axis=0)
    if len(known) <= number:
        raise UserError(f"{number} neighbours take more than {len(known)} points.")
    squares = (known**2).sum(axis=1)
    approximate = squares[:, None] + squares[None] - 2 * known @ known.T
    np.fill_diagonal(approximate, np.inf)
    nearest = np.argpartition(approximate, number - 1, axis=1)[:, :number]
    # The product above loses the digits of small distances, so the nearest ones are recomputed.
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
