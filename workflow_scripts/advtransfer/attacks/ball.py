"""Geometry of the linf and l2 balls, shared by all attacks. Tensors are (N, C, H, W)."""

from __future__ import annotations

import copy
from typing import Any

import torch

TINY = 1e-12


class PartGenerator(torch.Generator):
    """The generator of a process that has a part of a batch.

    Random starts are drawn for the whole batch, as a single process would draw them, and those of
    the part are kept.

    Attributes:
        whole: number of images of the whole batch.
        part: positions of this process's images in the batch.
    """

    whole: int
    part: slice


def l2_norms(batch: torch.Tensor) -> torch.Tensor:
    """Return the l2 norm of every image, (N, 1, 1, 1)."""
    norms: torch.Tensor = torch.linalg.vector_norm(batch, dim=(1, 2, 3), keepdim=True)
    return norms


def random_start(
    like: torch.Tensor, epsilon: float, norm: str, generator: torch.Generator
) -> torch.Tensor:
    """Return a point drawn uniformly from the ball, on the device of ``generator``.

    A generator on the CPU gives the same starts on every device; one on a GPU avoids waiting for
    the CPU. With a `PartGenerator`, ``like`` is a part of the batch.
    """
    count, part = len(like), slice(None)
    if isinstance(generator, PartGenerator):
        count, part = generator.whole, generator.part
    shape: Any = (count, *like.shape[1:])
    place: dict[str, Any] = {"generator": generator, "device": generator.device}
    if norm == "linf":
        noise = (torch.rand(shape, **place) * 2 - 1) * epsilon
    else:
        direction = torch.randn(shape, **place)
        dimensions = direction[0].numel()
        radius = torch.rand((count, 1, 1, 1), **place) ** (1 / dimensions)
        noise = direction / l2_norms(direction).clamp_min(TINY) * radius * epsilon
    return torch.empty_like(like).copy_(noise[part])  # in the images' memory format


class Ball:
    """The allowed perturbations of images: norm at most epsilon, images + delta in [0, 1].

    With a small network, passes over the pixels take most of an attack's time, so the methods work
    in place.
    """

    def __init__(self, images: torch.Tensor, epsilon: float, norm: str) -> None:
        self.epsilon, self.norm = epsilon, norm
        # -x and 1 - x are rounded such that adding x to either gives exactly 0 or 1.
        self.low, self.high = -images, 1 - images
        if norm == "linf":
            self.low.clamp_(min=-epsilon)
            self.high.clamp_(max=epsilon)

    def project_(self, delta: torch.Tensor) -> torch.Tensor:
        """Move ``delta`` to the nearest point of the ball, then clip the image to [0, 1]."""
        if self.norm == "l2":
            delta *= (self.epsilon / l2_norms(delta).clamp_min(TINY)).clamp_max(1)
        return torch.clamp(delta, self.low, self.high, out=delta)

    def ascend_(self, delta: torch.Tensor, gradient: torch.Tensor, size: float) -> torch.Tensor:
        """Add a step of length ``size`` along the steepest ascent; none if the gradient is zero.

        In l2 the step shrinks if a gradient is shorter than 1e-12. Gradients of
        `pgd.input_gradient` are that short only if the network hardly depends on its input.
        """
        if self.norm == "linf":
            delta.add_(gradient.sign(), alpha=size)
        else:
            delta.addcmul_(gradient, size / l2_norms(gradient).clamp_min(TINY))
        return self.project_(delta)

    def keep(self, chosen: torch.Tensor) -> Ball:
        """Return the ball of the chosen images."""
        kept = copy.copy(self)
        kept.low, kept.high = self.low[chosen], self.high[chosen]
        return kept


def towards_zero_half(delta: torch.Tensor) -> torch.Tensor:
    """Return a float16 copy in which no entry grew, so that it stays in the ball and in [0, 1]."""
    half = delta.to(torch.float16)
    grew = half.to(torch.float32).abs() > delta.abs()
    return torch.where(grew, torch.nextafter(half, torch.zeros_like(half)), half)
