"""Layers that several families share.

A convolution and its norm are neighbours in a Sequential, so that `network.inference_copy` can fold
one into the other.
"""

from __future__ import annotations

from torch import Tensor, nn


def conv_norm(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Return a same-padded convolution without bias, and a batch norm."""
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


def conv_norm_relu(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Return a convolution, a batch norm and a ReLU."""
    return [*conv_norm(inputs, outputs, kernel, stride, groups), nn.ReLU()]


class Residual(nn.Module):
    """A residual block: ``after(body(x) + shortcut(x))``."""

    def __init__(
        self, body: nn.Module, shortcut: nn.Module | None = None, after: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut or nn.Identity()
        self.after = after or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.body(x) + self.shortcut(x))


def global_pool() -> nn.Sequential:
    """Return a module that averages maps (N, C, H, W) to vectors (N, C)."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
