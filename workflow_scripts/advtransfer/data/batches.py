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

    One gather for the whole batch: an index of rows and one of columns for every image.
    ``generator`` is on the images' device.
    """
    count, _, height, width = images.shape
    padded = F.pad(images, (CROP_PADDING,) * 4).permute(0, 2, 3, 1)
    place: dict[str, Any] = {"generator": generator, "device": images.device}
    offsets = torch.randint(0, 2 * CROP_PADDING + 1, (2, count), **place)
    flips = torch.rand(count, **place) < 0.5
    rows = torch.arange(height, device=images.device) + offsets[0, :, None]
    columns = torch.arange(width, device=images.device) + offsets[1, :, None]
    columns = torch.where(flips[:, None], columns.flip(1), columns)
    which = torch.arange(count, device=images.device)[:, None, None]
    return padded[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def epoch_batches(
    images: torch.Tensor,
    labels: torch.Tensor,
    batch_size: int,
    augmentation: str,
    generator: torch.Generator,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One shuffled pass: float batches in [0, 1] and their labels.

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
        yield as_float(batch), labels[chosen]


def batch_bounds(count: int, batch_size: int) -> list[tuple[int, int]]:
    """Start and stop of every batch of an epoch.

    >>> batch_bounds(10, 4), batch_bounds(9, 4), batch_bounds(1, 4)
    ([(0, 4), (4, 8), (8, 10)], [(0, 4), (4, 9)], [(0, 1)])
    """
    bounds = [(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]
    if len(bounds) > 1 and bounds[-1][1] - bounds[-1][0] < batch_size / 2:
        bounds[-2:] = [(bounds[-2][0], count)]
    return bounds
