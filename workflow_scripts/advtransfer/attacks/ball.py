"""Geometry of the linf and l2 balls, shared by all attacks. Tensors are (N, C, H, W)."""

from __future__ import annotations

from typing import Any

import torch

TINY = 1e-12


def l2_norms(batch: torch.Tensor) -> torch.Tensor:
    """l2 norm of every image, shaped (N, 1, 1, 1)."""
    return batch.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def random_start(
    like: torch.Tensor, epsilon: float, norm: str, generator: torch.Generator
) -> torch.Tensor:
    """A point uniform in the ball, drawn where ``generator`` lives.

    A generator on the CPU starts every device alike; one on the GPU keeps it from waiting.
    """
    shape: Any = like.shape
    place: dict[str, Any] = {"generator": generator, "device": generator.device}
    if norm == "linf":
        noise = (torch.rand(shape, **place) * 2 - 1) * epsilon
    else:
        direction = torch.randn(shape, **place)
        dimensions = direction[0].numel()
        radius = torch.rand((len(like), 1, 1, 1), **place) ** (1 / dimensions)
        noise = direction / l2_norms(direction).clamp_min(TINY) * radius * epsilon
    return noise.to(like.device)


def ascent(gradient: torch.Tensor, norm: str) -> torch.Tensor:
    """Steepest ascent direction of length 1 in the norm (zero where the gradient is)."""
    if norm == "linf":
        return gradient.sign()
    # Squares of a confident network's tiny gradients would underflow: scaled first, by a power of
    # two, which rounds nothing.
    exponent = torch.frexp(gradient.abs().amax((1, 2, 3), keepdim=True)).exponent
    gradient = torch.ldexp(gradient, -exponent.clamp_min(-126))
    return gradient / l2_norms(gradient).clamp_min(TINY)


def project(delta: torch.Tensor, images: torch.Tensor, epsilon: float, norm: str) -> torch.Tensor:
    """Nearest point of the ball, then clipped so that images + delta stays in [0, 1]."""
    if norm == "linf":
        delta = delta.clamp(-epsilon, epsilon)
    else:
        delta = delta * (epsilon / l2_norms(delta).clamp_min(TINY)).clamp_max(1)
    return (images + delta).clamp(0, 1) - images


def towards_zero_half(delta: torch.Tensor) -> torch.Tensor:
    """float16 copy in which no entry grew: it stays in the ball and in [0, 1]."""
    half = delta.to(torch.float16)
    grew = half.to(torch.float32).abs() > delta.abs()
    return torch.where(grew, torch.nextafter(half, torch.zeros_like(half)), half)
