"""A linear network, whose answers are worked out on paper."""

from __future__ import annotations

import torch
from torch import nn


class Linear(nn.Module):
    """f(x) = W x + b on images (N, 3, 2, 2)."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        super().__init__()
        self.weight = weight
        self.bias = torch.zeros(len(weight)) if bias is None else bias

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) @ self.weight.T + self.bias


def random_weight(classes: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(classes, 12, generator=torch.Generator().manual_seed(seed))
