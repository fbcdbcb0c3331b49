"""ConvMixer (Trockman & Kolter 2022): patches, then depthwise and pointwise convolutions."""

from torch import nn

from ..layers import Residual, global_pool
from ..network import Blocks


def build(
    size: int, width: int = 256, depth: int = 8, kernel: int = 5, patch: int = 2
) -> tuple[Blocks, int]:
    """Build ``depth`` blocks of ``width`` channels on a grid of ``size / patch`` cells a side."""

    def activation() -> list[nn.Module]:
        return [nn.GELU(), nn.BatchNorm2d(width)]

    named: dict[str, nn.Module] = {
        "stem": nn.Sequential(nn.Conv2d(3, width, patch, patch), *activation())
    }
    for k in range(depth):
        depthwise = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        named[f"mixer{k + 1}"] = nn.Sequential(
            Residual(nn.Sequential(depthwise, *activation())),
            nn.Conv2d(width, width, 1),
            *activation(),
        )
    named["pool"] = global_pool()
    return named, width
