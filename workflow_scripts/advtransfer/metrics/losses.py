"""Logits as the metrics take them, and the loss of each image."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UserError

Floats = NDArray[np.float64]


def checked_logits(values: ArrayLike, name: str) -> Floats:
    """Return logits as float64 (images, classes).

    Raises:
        ValueError: they have another shape.
        UserError: some are nan or infinite, because the network's training diverged.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"{name} has to be (images, classes), not of shape {array.shape}")
    broken = int((~np.isfinite(array)).any(axis=1).sum())
    if broken:
        raise UserError(
            f"model diverged: {name} holds nan or infinite logits for {broken} of {len(array)} "
            "images. Lower the learning rate of that network's training and train it again."
        )
    return array


def cross_entropy(logits: ArrayLike, labels: ArrayLike) -> Floats:
    """Return ``log sum_k exp z_k - z_label``, a non-negative value for each image.

    On f2's logits under f1's perturbations this is the empirical adversarial transferability of
    arXiv v1, equation 2.

    Args:
        logits: (n, d).
        labels: positions in the d classes, (n,).
    """
    logits, labels = checked_logits(logits, "logits"), np.asarray(labels)
    if labels.shape != (len(logits),) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"labels have to be {len(logits)} integers, not {labels.dtype} of shape {labels.shape}"
        )
    if labels.size and (labels.min() < 0 or labels.max() >= logits.shape[1]):
        raise ValueError(
            f"labels run from {labels.min()} to {labels.max()}, but there are {logits.shape[1]} "
            "classes"
        )
    shifted = logits - logits.max(axis=1, keepdims=True)  # otherwise exp overflows
    chosen = np.take_along_axis(shifted, labels[:, None], axis=1)[:, 0]
    return np.log(np.exp(shifted).sum(axis=1)) - chosen
