"""Small networks, and images that they learn in a moment."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from workflow_scripts.advtransfer.models.network import Network
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.models.zoo import build_network

SIZE = 16
CONVOLUTIONAL = ModelRecipe("lenet")
WITH_NORM = ModelRecipe("resnet", {"width": 8, "blocks": [1], "stem_stride": 2})


def small_network(model: ModelRecipe = CONVOLUTIONAL, classes: int = 3, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return build_network(model, classes, SIZE)


def toy_set(count: int = 96, classes: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth coloured patterns, one a class, under noise: uint8 images and labels.

    The patterns are always the same; ``seed`` draws the noise.
    """
    patterns = torch.rand(classes, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    patterns = F.interpolate(patterns, size=(SIZE, SIZE), mode="bilinear")
    labels = torch.arange(count) % classes
    noise = torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed + 1))
    pixels = patterns[labels] + 0.1 * noise
    images = (pixels.clamp(0, 1) * 255).round().to(torch.uint8)
    return images.contiguous(memory_format=torch.channels_last), labels


def weights(network: nn.Module) -> dict[str, bytes]:
    return {name: v.contiguous().numpy().tobytes() for name, v in network.state_dict().items()}
