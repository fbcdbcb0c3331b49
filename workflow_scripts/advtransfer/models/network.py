"""One interface for every architecture: named blocks, then a linear head.

Freezing blocks, computing penultimate features and replacing the head are thus the same few lines
for all architectures.
"""

from __future__ import annotations

import copy
import itertools
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from ..errors import UserError

Blocks = Mapping[str, nn.Module]


class Normalize(nn.Module):
    """The first layer of every network, which standardises pixels in [0, 1].

    Mean and variance become about zero and one.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: float = 0.5, std: float = 0.25) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((1, 3, 1, 1), mean))
        self.register_buffer("std", torch.full((1, 3, 1, 1), std))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # Mean and std are expanded to an image. Broadcasting three channels, which are innermost in
        # memory, takes ten times as long, which is a fifth of a small network's time.
        mean, std = (torch.empty_like(images[:1]).copy_(value) for value in (self.mean, self.std))
        return (images - mean) / std


class Network(nn.Module):
    """A network from images (N, 3, H, W) in [0, 1] to logits (N, classes): named blocks and a head.

    Args:
        blocks: blocks in order; the last one must return (N, features).
        features: width of the penultimate layer.
        classes: number of logits.

    Attributes:
        frozen_blocks: number of first blocks that stay in evaluation mode whatever ``train`` says,
            so that their batch norm statistics do not move.
    """

    def __init__(self, blocks: Blocks, features: int, classes: int) -> None:
        super().__init__()
        self.frozen_blocks = 0
        self.normalize = Normalize()
        self.blocks = nn.Sequential(OrderedDict(blocks))
        self.head = nn.Linear(features, classes)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return penultimate features (N, features), in the dtype of the weights."""
        # Pixels are normalised in float32, whatever the weights' dtype. Near 1, bf16 has a step of
        # one grey level, so that small perturbations would vanish.
        normalized = self.normalize(images).to(self.head.weight.dtype)
        return self.blocks(normalized)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(images)).float()

    def train(self, mode: bool = True) -> Network:
        super().train(mode)
        self.blocks[: self.frozen_blocks].eval()
        return self

    def split(self, unfrozen: int) -> tuple[nn.Sequential, Tail]:
        """Return trunk and tail, made of this network's own modules.

        ``tail(trunk(images))`` are the network's logits.

        Args:
            unfrozen: number of last blocks with parameters in the tail, together with all that
                follows. Pooling has no parameters and does not count; 0 leaves only the head.

        Raises:
            UserError: The network has fewer blocks with parameters.
        """
        weighty = [
            k for k, block in enumerate(self.blocks) if any(True for _ in block.parameters())
        ]
        if not 0 <= unfrozen <= len(weighty):
            raise UserError(
                f"cannot unfreeze {unfrozen} blocks: this network has {len(weighty)} with weights "
                f"({', '.join(self.blocks._modules)})."
            )
        cut = weighty[-unfrozen] if unfrozen else len(self.blocks)
        return nn.Sequential(self.normalize, *self.blocks[:cut]), Tail(self, cut)

    def replace_head(self, classes: int) -> None:
        """Replace the head by a new one with ``classes`` outputs, of the same device and dtype."""
        old = self.head
        self.head = nn.Linear(old.in_features, classes).to(old.weight)

    def with_head(self, weight: torch.Tensor, bias: torch.Tensor) -> Network:
        """Return a copy in evaluation mode with another head.

        Its weight is (classes, features), its bias (classes,).
        """
        duplicate = copy.deepcopy(self).eval()
        duplicate.replace_head(len(weight))
        with torch.no_grad():
            duplicate.head.weight.copy_(weight)
            duplicate.head.bias.copy_(bias)
        return duplicate


class Tail(Network):
    """The part of a network from block ``cut`` on: from activations at the cut to logits.

    The modules are the network's own, so training the tail trains the network.
    """

    def __init__(self, network: Network, cut: int) -> None:
        super(Network, self).__init__()
        self.frozen_blocks, self.cut = 0, cut
        self.blocks = network.blocks[cut:]
        self.head = network.head

    def features(self, activations: torch.Tensor) -> torch.Tensor:
        """Return penultimate features (N, features) of activations at the cut."""
        return self.blocks(activations)


def inference_copy(network: Network, precision: str) -> Network:
    """Return a frozen copy in evaluation mode, fp32 or bf16, with batch norms folded.

    Each batch norm is folded into the convolution before it. Freezing makes input gradients 1.5
    times as fast, and folding 1.2 times (docs/speed.md).
    """
    duplicate = copy.deepcopy(network).eval().requires_grad_(False)
    for module, first, second in list(_foldable(duplicate)):
        convolution: Any = module.get_submodule(first)
        norm: Any = module.get_submodule(second)
        module.set_submodule(first, nn.utils.fuse_conv_bn_eval(convolution, norm))
        module.set_submodule(second, nn.Identity())
    if precision == "bf16":
        duplicate.blocks.to(torch.bfloat16)
        duplicate.head.to(torch.bfloat16)
    return duplicate


@torch.no_grad()
def refresh(duplicate: Network, network: Network) -> None:
    """Update an `inference_copy` in place to the present weights of ``network``."""
    folded: dict[nn.Module, nn.Module] = {}
    for module, first, second in _foldable(network):
        folded[module.get_submodule(first)] = module.get_submodule(second)
    gone = set(folded.values())
    for module, target in zip(network.modules(), duplicate.modules(), strict=True):
        if module in gone:
            continue
        values = dict(module.named_parameters(recurse=False))
        values |= dict(module.named_buffers(recurse=False))  # type: ignore[arg-type]
        if module in folded:
            n: Any = folded[module]
            values["weight"], values["bias"] = nn.utils.fuse_conv_bn_weights(
                values["weight"],
                values.get("bias"),
                n.running_mean,
                n.running_var,
                n.eps,
                n.weight,
                n.bias,
            )
        for name, value in values.items():
            getattr(target, name).copy_(value)


def _foldable(network: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    """Yield modules with the names, in them, of a convolution and the batch norm that follows it.

    These are neighbours in a Sequential, or pairs that a module lists itself (`library.Chain`).
    """
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for (first, one), (second, other) in itertools.pairwise(module._modules.items()):
                if not isinstance(one, nn.Conv2d) or not isinstance(other, nn.BatchNorm2d):
                    continue
                # A subclass may do more: timm's batch norm contains an activation.
                if not any(True for _ in other.children()):
                    yield module, first, second
        for first, second in getattr(module, "folds", ()):
            yield module, first, second
