"""One interface for every architecture: named blocks, then a linear head.

"Frozen up to block k", "penultimate features" and "replace the last layer" are the same few lines
for all of them.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import nn

Blocks = Mapping[str, nn.Module]


class Normalize(nn.Module):
    """First layer of every network: pixels in [0, 1] to about zero mean and unit variance."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: float = 0.5, std: float = 0.25) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((1, 3, 1, 1), mean))
        self.register_buffer("std", torch.full((1, 3, 1, 1), std))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images - self.mean) / self.std


class Network(nn.Module):
    """Images (N, 3, H, W) in [0, 1] to logits (N, classes), through named blocks and a head.

    Args:
        blocks: in order; the last one must give (N, features).
        features: width of the penultimate layer.
        classes: number of logits.
    """

    def __init__(self, blocks: Blocks, features: int, classes: int) -> None:
        super().__init__()
        self.normalize = Normalize()
        self.blocks = nn.Sequential(OrderedDict(blocks))
        self.head = nn.Linear(features, classes)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Penultimate features (N, features), in the dtype of the weights."""
        # Pixels are normalised in float32, whatever the weights' dtype: bf16 near 1 has a step of
        # one grey level, which would swallow small perturbations.
        normalized = self.normalize(images).to(self.head.weight.dtype)
        return self.blocks(normalized)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(images)).float()

    def replace_head(self, classes: int) -> None:
        """A fresh linear head with ``classes`` outputs, on the device and dtype of the old one."""
        old = self.head
        self.head = nn.Linear(old.in_features, classes).to(old.weight)


def inference_copy(network: Network, precision: str) -> Network:
    """A frozen copy in evaluation mode, batch norm folded into convolutions, fp32 or bf16.

    Freezing alone makes input gradients 1.5 times as fast, folding 1.2 times (docs/concepts.md).
    """
    duplicate = copy.deepcopy(network).eval().requires_grad_(False)
    for module in duplicate.modules():
        if isinstance(module, nn.Sequential):
            _fold(module)
    if precision == "bf16":
        duplicate.blocks.to(torch.bfloat16)
        duplicate.head.to(torch.bfloat16)
    return duplicate


def _fold(sequence: nn.Sequential) -> None:
    names = list(sequence._modules)
    for name, following in zip(names, names[1:], strict=False):
        convolution, norm = sequence._modules[name], sequence._modules[following]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            sequence._modules[name] = nn.utils.fuse_conv_bn_eval(convolution, norm)
            sequence._modules[following] = nn.Identity()
