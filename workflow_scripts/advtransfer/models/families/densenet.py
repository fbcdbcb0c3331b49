"""DenseNet for small images (Huang et al. 2017)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..layers import global_pool
from ..network import Blocks


class DenseLayer(nn.Module):
    """A layer (norm, ReLU, 3x3 convolution) that adds ``growth`` channels to its input."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, growth, 3, padding=1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], dim=1)


def build(
    size: int, growth: int = 12, layers: Sequence[int] = (6, 12, 24), stem_stride: int = 1
) -> tuple[Blocks, int]:
    """Build dense stages with halving transitions (1x1 convolution, average pooling) between."""
    channels = 2 * growth
    named: dict[str, nn.Module] = {
        "stem": nn.Sequential(nn.Conv2d(3, channels, 3, stem_stride, padding=1, bias=False))
    }
    for stage, count in enumerate(layers, 1):
        dense: list[nn.Module] = []
        for _ in range(count):
            dense.append(DenseLayer(channels, growth))
            channels += growth
        named[f"stage{stage}"] = nn.Sequential(*dense)
        if stage < len(layers):
            named[f"transition{stage}"] = nn.Sequential(
                nn.BatchNorm2d(channels),
                nn.ReLU(),
                nn.Conv2d(channels, channels // 2, 1, bias=False),
                nn.AvgPool2d(2),
            )
            channels //= 2
    named["pool"] = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), *global_pool())
    return named, channels
