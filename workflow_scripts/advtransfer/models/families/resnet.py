"""ResNet for small images (He et al. 2016; the CIFAR form: 3x3 stem, no stem pooling).

ResNet-18 is ``blocks: [2, 2, 2, 2]``, ResNet-50 ``blocks: [3, 4, 6, 3], bottleneck: true``.
"""

from collections.abc import Sequence

from torch import nn

from ..layers import Residual, conv_norm, conv_norm_relu, global_pool
from ..network import Blocks


def build(
    size: int,
    width: int = 64,
    blocks: Sequence[int] = (2, 2, 2, 2),
    bottleneck: bool = False,
    stem_stride: int = 1,
) -> tuple[Blocks, int]:
    """Stage k has ``blocks[k]`` residual blocks of ``width * 2**k`` filters.

    Args:
        bottleneck: 1x1-3x3-1x1 blocks that widen fourfold.
        stem_stride: 2 halves the resolution at once: a quarter of the work.
    """
    expansion = 4 if bottleneck else 1
    named: dict[str, nn.Module] = {"stem": nn.Sequential(*conv_norm_relu(3, width, 3, stem_stride))}
    inputs = width
    for stage, count in enumerate(blocks):
        inner = width * 2**stage
        for k in range(count):
            stride = 2 if stage and k == 0 else 1
            outputs = inner * expansion
            if bottleneck:
                body = [
                    *conv_norm_relu(inputs, inner, 1),
                    *conv_norm_relu(inner, inner, 3, stride),
                    *conv_norm(inner, outputs, 1),
                ]
            else:
                body = [*conv_norm_relu(inputs, inner, 3, stride), *conv_norm(inner, outputs, 3)]
            shortcut = None
            if stride != 1 or inputs != outputs:
                shortcut = nn.Sequential(*conv_norm(inputs, outputs, 1, stride))
            named[f"stage{stage + 1}_{k}"] = Residual(nn.Sequential(*body), shortcut, nn.ReLU())
            inputs = outputs
    named["pool"] = global_pool()
    return named, inputs
