"""Metrics of adversarial transferability, computed from logits and perturbations.

The notation follows Liang et al., ICML 2021 (arXiv 2006.14512). Perturbations ``d1`` are made on
the network f1, ``d2`` on f2. ``D_{i->j}(x) = f_j(x + d_i) - f_j(x)`` is the deviation of f_j's
logits under f_i's perturbation. Metrics f1->f2 say how well perturbations made on f1 work on f2.
``hat v = v/||v||``.

The alphas are from the ICML version, figure 1. The taus are from the first arXiv version ("arXiv
v1"), definitions 2 and 3. It is a different paper in all but its number, so the names are not
interchangeable.

Logits are (images, classes) arrays, perturbations (images, ...). Functions accept anything that
numpy can read, including CPU tensors, and compute in float64. Undefined values are nan.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UserError
from .losses import Floats, checked_logits, cross_entropy

NAN = float("nan")


class Alpha1Summary(NamedTuple):
    """Summaries of alpha_1 over the images with a denominator above 0; nan if there are none."""

    mean: float
    median: float
    ratio_of_means: float
    share_above_1: float
    zero_denominators: int


class Alpha2(NamedTuple):
    """alpha_2, or its combined form, over ``n_images``; ``n_undefined`` images were left out."""

    plain: float
    squared: float
    squared_unbiased: float
    n_images: int
    n_undefined: int


class PairMetrics(NamedTuple):
    """All metrics of a pair of networks, in one direction.

    ``n_images`` says for each metric how many images counted; ``per_image`` holds ``alpha_1`` and
    ``transferred_loss`` of all images, nan outside the mask.
    """

    values: dict[str, float]
    per_image: dict[str, Floats]
    n_images: dict[str, int]


def _same_shape(**arrays: NDArray[Any]) -> None:
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"these have to have one shape: {shapes}")


def _same_length(**arrays: NDArray[Any]) -> None:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"these have to hold the same images: {lengths}")


def _defined(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else NAN


def _deviation_norms(
    clean: ArrayLike, transferred: ArrayLike, own: ArrayLike
) -> tuple[Floats, Floats]:
    """Return ||D_{1->2}(x)|| and ||D_{2->2}(x)|| of every image."""
    clean = checked_logits(clean, "clean")
    transferred, own = checked_logits(transferred, "transferred"), checked_logits(own, "own")
    _same_shape(clean=clean, transferred=transferred, own=own)
    return np.linalg.norm(transferred - clean, axis=1), np.linalg.norm(own - clean, axis=1)


def alpha_1(clean: ArrayLike, transferred: ArrayLike, own: ArrayLike) -> Floats:
    """Return the effect of f1's perturbation on f2, relative to that of f2's own, for each image.

    ``alpha_1(x) = ||f2(x + d1) - f2(x)||_2 / ||f2(x + d2) - f2(x)||_2``

    See Liang et al., ICML 2021, figure 1; the adversarial loss is the L2 distance of logits, as in
    the authors' code. The value is at least 0. It is at most 1 if d2 is optimal for f2, which FGSM
    and PGD do not guarantee. It is nan if f2's own perturbation changes nothing (denominator
    exactly 0).

    Args:
        clean: f2's logits on clean images, (n, d).
        transferred: f2's logits on f1's perturbed images, (n, d).
        own: f2's logits on its own perturbed images, (n, d).
    """
    numerator, denominator = _deviation_norms(clean, transferred, own)
    return np.divide(
        numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0
    )


def alpha_1_summary(clean: ArrayLike, transferred: ArrayLike, own: ArrayLike) -> Alpha1Summary:
    """Return summaries of alpha_1: mean (the paper's), median, ratio of means, share above 1.

    ``ratio_of_means = mean ||D_{1->2}|| / mean ||D_{2->2}||`` depends less on images with a tiny
    denominator. Values above 1 show that f2's own attack is weak. All four are over the same
    images, whose denominator is not 0; ``zero_denominators`` counts the others.

    Args: see ``alpha_1``.
    """
    numerator, denominator = _deviation_norms(clean, transferred, own)
    counts = denominator > 0
    n_zero = int((~counts).sum())
    if not counts.any():
        return Alpha1Summary(NAN, NAN, NAN, NAN, n_zero)
    numerator, denominator = numerator[counts], denominator[counts]
    ratio = numerator / denominator
    return Alpha1Summary(
        mean=float(ratio.mean()),
        median=float(np.median(ratio)),
        ratio_of_means=float(numerator.mean() / denominator.mean()),
        share_above_1=float((ratio > 1).mean()),
        zero_denominators=n_zero,
    )


def alpha_2(own: ArrayLike, transferred: ArrayLike, weights: ArrayLike | None = None) -> Alpha2:
    """Return how consistently f1's deviation goes with the one that it causes in f2.

    ``alpha_2 = || E_x[ hat D_{1->1}(x) hat D_{1->2}(x)^T ] ||_F``, in [0, 1]

    See Liang et al., ICML 2021, figure 1. The published image table and the authors' ``image_exp``
    have the *square*; their ``synthetic-exp`` has the plain norm. Over independent x, x', alpha_2^2
    is

    ``E_{x,x'}[ <hat D_{1->1}(x), hat D_{1->1}(x')> <hat D_{1->2}(x), hat D_{1->2}(x')> ]``

    Of the n^2 terms of the plug-in square, n pair an image with itself, so its expectation is
    1/n + (1 - 1/n) alpha_2^2. ``squared_unbiased`` is the U-statistic, the mean over pairs of
    different images. It can be negative (down to -1/(n-1)), and is nan for one image.

    ``weights`` = alpha_1(x) gives the combined metric ("alpha_1 * alpha_2" in the paper's table):
    ``|| E_x[ alpha_1(x) hat D_{1->1}(x) hat D_{1->2}(x)^T ] ||_F``, with the weight inside the
    expectation. ``squared`` is the form of ``image_exp``, ``plain`` that of ``synthetic-exp``.

    Images with a zero deviation have no direction. They are left out and counted, as are images
    with a nan weight. All three values are nan if no image is left.

    Args:
        own: D_{1->1}, f1's deviation under its own perturbation, (n, d1).
        transferred: D_{1->2}, f2's deviation under f1's perturbation, (n, d2).
        weights: weight of every image, (n,); None: 1.
    """
    own, transferred = checked_logits(own, "own"), checked_logits(transferred, "transferred")
    weight = np.ones(len(own)) if weights is None else np.asarray(weights, dtype=np.float64)
    if weight.ndim != 1:
        raise ValueError(f"weights have to be (images,), not of shape {weight.shape}")
    _same_length(own=own, transferred=transferred, weights=weight)

    own_norm = np.linalg.norm(own, axis=1)
    transferred_norm = np.linalg.norm(transferred, axis=1)
    counts = (own_norm > 0) & (transferred_norm > 0) & np.isfinite(weight)
    n = int(counts.sum())
    n_undefined = len(own) - n
    if n == 0:
        return Alpha2(NAN, NAN, NAN, n, n_undefined)
    weight = weight[counts]
    left = own[counts] * (weight / own_norm[counts])[:, None]
    right = transferred[counts] / transferred_norm[counts, None]
    squared_sum = float(((left.T @ right) ** 2).sum())
    diagonal = float((weight**2).sum())  # an outer product of unit vectors has Frobenius norm 1
    return Alpha2(
        plain=squared_sum**0.5 / n,
        squared=squared_sum / n**2,
        squared_unbiased=(squared_sum - diagonal) / (n * (n - 1)) if n > 1 else NAN,
        n_images=n,
        n_undefined=n_undefined,
    )


def tau_1(delta_1: ArrayLike, delta_2: ArrayLike) -> Floats:
    """Return the alignment of two networks' perturbations of the same image, for each image.

    ``tau_1(x) = <d1, d2>^2 / (||d1||^2 ||d2||^2)``, in [0, 1]: 1 parallel, 0 orthogonal

    See arXiv v1, definition 2; tau_1 itself is the mean over images. The value is symmetric in the
    networks, and nan if a perturbation is zero.

    Args:
        delta_1, delta_2: perturbations of the same images, (n, ...).
    """
    delta_1, delta_2 = np.asarray(delta_1), np.asarray(delta_2)
    _same_shape(delta_1=delta_1, delta_2=delta_2)
    first, second = (
        delta.astype(np.float64, copy=False).reshape(len(delta), -1) for delta in (delta_1, delta_2)
    )
    product, norm_1, norm_2 = (
        np.einsum("ij,ij->i", a, b) for a, b in ((first, second), (first, first), (second, second))
    )
    squared_norms = norm_1 * norm_2
    if not np.isfinite(squared_norms).all():
        raise UserError("model diverged: a perturbation holds nan or infinite values.")
    return np.divide(
        product**2, squared_norms, out=np.full(len(first), np.nan), where=squared_norms > 0
    )


def tau_2(own: ArrayLike, transferred: ArrayLike) -> float:
    """Return how well a linear map of bounded norm carries f1's deviation into f2's.

    ``tau_2 = <2 D_{1->2} - A D_{1->1}, A D_{1->1}>_D / ||D_{1->2}||_D^2``, in [0, 1]; where
    ``A = proj( E[D_{1->2} D_{1->1}^T] (E[D_{1->1} D_{1->1}^T])^+ , r )``,
    ``r = ||D_{1->2}||_D / ||D_{1->1}||_D``, ``<u, v>_D = E_x <u(x), v(x)>``, and ``proj(A, r)`` is
    A scaled down to the spectral norm r if it exceeds that.

    See arXiv v1, definition 3; the closed form of A is that of the authors' code. tau_2 is the
    share of ||D_{1->2}||_D^2 that A D_{1->1} explains: 1 if D_{1->2} = A D_{1->1} with an
    admissible A. With fewer images than classes the map fits anything. The value is nan if a
    deviation is zero on all images.

    Args:
        own: D_{1->1}, (n, d1).
        transferred: D_{1->2}, (n, d2).
    """
    own, transferred = checked_logits(own, "own"), checked_logits(transferred, "transferred")
    _same_length(own=own, transferred=transferred)
    own_norm, transferred_norm = np.linalg.norm(own), np.linalg.norm(transferred)
    if own_norm == 0 or transferred_norm == 0:
        return NAN
    # With images as rows, E[D12 D11^T] (E[D11 D11^T])^+ = (D11^+ D12)^T, the smallest least squares
    # solution. Squaring D11 would halve the digits available to decide its rank.
    transposed_map = np.linalg.lstsq(own, transferred, rcond=None)[0]
    length = np.linalg.norm(transposed_map, 2)
    limit = transferred_norm / own_norm
    if length > limit:
        transposed_map = transposed_map * (limit / length)
    mapped = own @ transposed_map
    return float(((2 * transferred - mapped) * mapped).sum() / transferred_norm**2)


def transfer_success(clean: ArrayLike, transferred: ArrayLike) -> NDArray[np.bool_]:
    """Return whether f1's perturbation changes f2's prediction (arg max), for each image.

    Args:
        clean, transferred: f2's logits on clean and on f1's perturbed images, (n, d).
    """
    clean, transferred = checked_logits(clean, "clean"), checked_logits(transferred, "transferred")
    _same_shape(clean=clean, transferred=transferred)
    return clean.argmax(axis=1) != transferred.argmax(axis=1)


def measure_pair(
    *,
    f1_clean: ArrayLike,
    f1_own: ArrayLike,
    f2_clean: ArrayLike,
    f2_transferred: ArrayLike,
    f2_own: ArrayLike,
    alignment: ArrayLike,
    labels: ArrayLike,
    mask: ArrayLike,
) -> PairMetrics:
    """Return every metric f1->f2, over the images that ``mask`` selects.

    Besides the metrics of this module, these are ``transfer_success_rate``, the share of images
    whose prediction f1's perturbation changes, and ``transferred_loss``, the mean cross-entropy of
    f2 on f1's perturbed images.

    Args:
        f1_clean, f1_own: f1's logits on clean images and on its own perturbed ones, (n, d1).
        f2_clean, f2_transferred, f2_own: f2's logits on clean images, on f1's perturbed images and
            on its own, (n, d2).
        alignment: `tau_1` of the perturbations made on f1 and on f2, (n,).
        labels: labels for f2's loss, (n,): the true labels, or f2's clean predictions if its
            classes are not those of the images.
        mask: which images count, (n,) booleans.

    Raises:
        UserError: No image counts, or logits are not finite.
        ValueError: The arrays do not fit together.
    """
    f1_clean, f1_own = checked_logits(f1_clean, "f1_clean"), checked_logits(f1_own, "f1_own")
    f2_clean, f2_own = checked_logits(f2_clean, "f2_clean"), checked_logits(f2_own, "f2_own")
    f2_transferred = checked_logits(f2_transferred, "f2_transferred")
    alignment, labels, mask = np.asarray(alignment), np.asarray(labels), np.asarray(mask)
    _same_shape(f1_clean=f1_clean, f1_own=f1_own)
    _same_shape(f2_clean=f2_clean, f2_transferred=f2_transferred, f2_own=f2_own)
    if mask.ndim != 1 or mask.dtype != np.bool_:
        raise ValueError(f"mask has to be (images,) booleans, not {mask.dtype} {mask.shape}")
    _same_length(f1=f1_clean, f2=f2_clean, alignment=alignment, labels=labels, mask=mask)
    n = _n_counted(mask)

    clean, transferred, own = f2_clean[mask], f2_transferred[mask], f2_own[mask]
    own_deviation, transferred_deviation = (f1_own - f1_clean)[mask], transferred - clean
    alphas = alpha_1(clean, transferred, own)
    losses = cross_entropy(transferred, labels[mask])
    angles = _defined(alignment[mask])
    metrics = {
        **_alpha_1_metrics(clean, transferred, own),
        **_alpha_2_metrics("alpha_2", alpha_2(own_deviation, transferred_deviation)),
        **_alpha_2_metrics("combined", alpha_2(own_deviation, transferred_deviation, alphas)),
        "tau_1": (_mean(angles), angles.size),
        "tau_2": (tau_2(own_deviation, transferred_deviation), n),
        "transfer_success_rate": (float(transfer_success(clean, transferred).mean()), n),
        "transferred_loss": (float(losses.mean()), n),
    }
    per_image = {name: np.full(len(mask), np.nan) for name in ("alpha_1", "transferred_loss")}
    per_image["alpha_1"][mask] = alphas
    per_image["transferred_loss"][mask] = losses
    return PairMetrics(
        values={name: value for name, (value, _) in metrics.items()},
        per_image=per_image,
        n_images={name: count for name, (_, count) in metrics.items()},
    )


def _n_counted(mask: NDArray[np.bool_]) -> int:
    """Return the number of images that count.

    Raises:
        UserError: No image counts.
    """
    n = int(mask.sum())
    if n == 0:
        raise UserError(
            f"none of the {len(mask)} images counts (the reference classifies none correctly), so "
            "no metric is defined. Train the reference longer, or let all images count (mask: all)."
        )
    return n


def _alpha_1_metrics(
    clean: Floats, transferred: Floats, own: Floats
) -> dict[str, tuple[float, int]]:
    """Return the summaries of alpha_1, each with its number of images; see ``alpha_1``."""
    summary = alpha_1_summary(clean, transferred, own)
    n = len(clean) - summary.zero_denominators
    return {
        "alpha_1_mean": (summary.mean, n),
        "alpha_1_median": (summary.median, n),
        "alpha_1_ratio_of_means": (summary.ratio_of_means, n),
        "alpha_1_share_above_1": (summary.share_above_1, n),
        "alpha_1_zero_denominators": (float(summary.zero_denominators), len(clean)),
    }


def _alpha_2_metrics(name: str, found: Alpha2) -> dict[str, tuple[float, int]]:
    """Return the forms of alpha_2, or of the combined metric, each with its number of images."""
    return {
        name: (found.plain, found.n_images),
        f"{name}_squared": (found.squared, found.n_images),
        f"{name}_squared_unbiased": (found.squared_unbiased, found.n_images),
    }
