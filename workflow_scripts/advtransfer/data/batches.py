"""Batches on the device: uint8 images stay resident, augmentation works on whole batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

CROP_PADDING = 4


def to_device(images: np.ndarray, device: torch.device) -> torch.Tensor:
    """uint8 (N, H, W, 3) to a uint8 tensor (N, 3, H, W), channels-last in memory."""
    tensor = torch.from_numpy(np.ascontiguousarray(images)).to(device)
    return tensor.permute(0, 3, 1, 2)


def as_float(images: torch.Tensor) -> torch.Tensor:
    """uint8 pixels to float32 in [0, 1]; the memory format is kept."""
    return images.to(torch.float32).div_(255)


def crop_and_flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random crop after zero padding by 4, and random flip, of a uint8 batch (N, C, H, W).

    Every crop there is stands in a view of the padded batch, so that one index chooses them all.
    ``generator`` is on the images' device.
    """
    count, _, height, width = images.shape
    place: dict[str, Any] = {"generator": generator, "device": images.device}
    down, right = torch.randint(0, 2 * CROP_PADDING + 1, (2, count), **place)
    flips = torch.rand((count, 1, 1, 1), **place) < 0.5
    padded = F.pad(images, (CROP_PADDING,) * 4)
    crops = padded.unfold(2, height, 1).unfold(3, width, 1).permute(0, 2, 3, 4, 5, 1)
    chosen = crops[torch.arange(count, device=images.device), down, right]  # (N, H, W, C)
    # Three times as fast as torch.where, whose condition would be spread over the pixels.
    return (chosen * ~flips + chosen.flip(2) * flips).permute(0, 3, 1, 2)


def epoch_batches(
    images: torch.Tensor,
    labels: torch.Tensor,
    batch_size: int,
    augmentation: str,
    generator: torch.Generator,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One shuffled pass: float batches and their labels, uint8 pixels brought to [0, 1].

    A last batch smaller than half of ``batch_size`` is joined to the one before it: batch
    normalisation does badly on a few images.
    """
    count = len(images)
    order = torch.randperm(count, generator=generator, device=images.device)
    for start, stop in batch_bounds(count, batch_size):
        chosen = order[start:stop]
        batch = images[chosen]
        if augmentation == "crop_flip":
            batch = crop_and_flip(batch, generator)
        yield as_float(batch) if batch.dtype == torch.uint8 else batch, labels[chosen]


def batch_bounds(count: int, batch_size: int) -> list[tuple[int, int]]:
    """Start and stop of every batch of an epoch.

    >>> batch_bounds(10, 4), batch_bounds(9, 4), batch_bounds(1, 4)
    ([(0, 4), (4, 8), (8, 10)], [(0, 4), (4, 9)], [(0, 1)])
    """
    bounds = [(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]
    if len(bounds) > 1 and bounds[-1][1] - bounds[-1][0] < batch_size / 2:
        bounds[-2:] = [(bounds[-2][0], count)]
    return bounds
