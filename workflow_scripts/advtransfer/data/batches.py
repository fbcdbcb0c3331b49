"""Batches on the device. Images stay there as uint8, and augmentation works on whole batches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

CROP_PADDING = 4
# A resized crop's range of area (share of the image), range of width over height, and greatest
# number of boxes that are drawn until one fits.
CROP_AREA, CROP_RATIO, CROP_TRIES = (0.08, 1.0), (3 / 4, 4 / 3), 10


def to_device(images: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return uint8 images (N, H, W, 3) as a uint8 tensor (N, 3, H, W), channels-last in memory."""
    tensor = torch.from_numpy(np.ascontiguousarray(images)).to(device)
    return tensor.permute(0, 3, 1, 2)


def as_float(images: torch.Tensor) -> torch.Tensor:
    """Return uint8 pixels as float32 in [0, 1], in the same memory format."""
    return images.to(torch.float32).div_(255)


def crop_and_flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return random crops, after zero padding by 4, with random flips, of uint8 (N, C, H, W).

    A strided view of the padded batch contains every possible crop, so that one indexing operation
    takes them all. ``generator`` is on the images' device.
    """
    count, _, height, width = images.shape
    place: dict[str, Any] = {"generator": generator, "device": images.device}
    down, right = torch.randint(0, 2 * CROP_PADDING + 1, (2, count), **place)
    flips = torch.rand((count, 1, 1, 1), **place) < 0.5
    padded = F.pad(images, (CROP_PADDING,) * 4)
    crops = padded.unfold(2, height, 1).unfold(3, width, 1).permute(0, 2, 3, 4, 5, 1)
    chosen = crops[torch.arange(count, device=images.device), down, right]  # (N, H, W, C)
    # This is three times as fast as torch.where, whose condition would be expanded over the pixels.
    return (chosen * ~flips + chosen.flip(2) * flips).permute(0, 3, 1, 2)


def crop_boxes(
    count: int, height: int, width: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return random boxes as torchvision's ``RandomResizedCrop`` draws: top, left, height, width.

    Each is int64 (count,) on the generator's device. If none of ten drawn boxes fits, the box is
    the whole image, as torchvision's is for a square image.
    """
    place: dict[str, Any] = {"generator": generator, "device": generator.device}
    drawn = torch.rand((2, count, CROP_TRIES), **place)
    area = height * width * (CROP_AREA[0] + (CROP_AREA[1] - CROP_AREA[0]) * drawn[0])
    low, high = math.log(CROP_RATIO[0]), math.log(CROP_RATIO[1])
    ratio = torch.exp(low + (high - low) * drawn[1])
    tall, wide = (area / ratio).sqrt().round().long(), (area * ratio).sqrt().round().long()
    fits = (tall > 0) & (tall <= height) & (wide > 0) & (wide <= width)
    first = fits.int().argmax(1, keepdim=True)
    some = fits.any(1)
    tall = torch.where(some, tall.gather(1, first)[:, 0], height)
    wide = torch.where(some, wide.gather(1, first)[:, 0], width)
    corner = torch.rand((2, count), **place)
    top = (corner[0] * (height - tall + 1)).long()
    left = (corner[1] * (width - wide + 1)).long()
    return top, left, tall, wide


def resized_crop_and_flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return a random part of every image, resized to the size of the image, with random flips.

    This is the augmentation of Salman et al. (2020) and of torchvision's references. Images are
    uint8 (N, C, H, W), before and after. Resizing is bilinear without antialiasing, because a part
    is never larger than the whole. ``generator`` is on the images' device.
    """
    count, _, height, width = images.shape
    top, left, tall, wide = crop_boxes(count, height, width, generator)
    flips = torch.rand(count, generator=generator, device=images.device) < 0.5

    def positions(start: torch.Tensor, length: torch.Tensor, size: int) -> torch.Tensor:
        """Return the source positions of a side's pixels: (N, size), -1 to 1 over the image."""
        steps = torch.arange(size, device=images.device) + 0.5
        inside = steps * (length[:, None] / size) - 0.5
        inside = torch.minimum(inside.clamp_(min=0), length[:, None] - 1.0)
        return (start[:, None] + inside) * (2 / (size - 1)) - 1

    down, across = positions(top, tall, height), positions(left, wide, width)
    across = torch.where(flips[:, None], across.flip(1), across)
    grid = torch.stack(
        (
            across[:, None, :].expand(count, height, width),
            down[:, :, None].expand(count, height, width),
        ),
        dim=-1,
    )
    found = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=True)
    return found.round_().to(torch.uint8).contiguous(memory_format=torch.channels_last)


def epoch_batches(
    images: torch.Tensor,
    labels: torch.Tensor,
    batch_size: int,
    augmentation: str,
    generator: torch.Generator,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield float batches and their labels for one shuffled pass; uint8 pixels become [0, 1].

    A last batch smaller than half of ``batch_size`` is joined to the one before it, because batch
    normalisation works badly on few images.
    """
    count = len(images)
    order = torch.randperm(count, generator=generator, device=images.device)
    for start, stop in batch_bounds(count, batch_size):
        chosen = order[start:stop]
        batch = images[chosen]
        if augmentation == "crop_flip":
            batch = crop_and_flip(batch, generator)
        elif augmentation == "resized_crop_flip":
            batch = resized_crop_and_flip(batch, generator)
        yield as_float(batch) if batch.dtype == torch.uint8 else batch, labels[chosen]


def batch_bounds(count: int, batch_size: int) -> list[tuple[int, int]]:
    """Return start and stop of every batch of an epoch.

    >>> batch_bounds(10, 4), batch_bounds(9, 4), batch_bounds(1, 4)
    ([(0, 4), (4, 8), (8, 10)], [(0, 4), (4, 9)], [(0, 1)])
    """
    bounds = [(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]
    if len(bounds) > 1 and bounds[-1][1] - bounds[-1][0] < batch_size / 2:
        bounds[-2:] = [(bounds[-2][0], count)]
    return bounds
