"""ResNet (He et al. 2016) in its CIFAR form (3x3 stem, no stem pooling) or its ImageNet form.

ResNet-18 is ``blocks: [2, 2, 2, 2]``, ResNet-50 ``blocks: [3, 4, 6, 3], bottleneck: true``. With
``stem: imagenet`` they are torchvision's. A bottleneck's 3x3 convolution has the stride, as there.
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
    stem: str = "small",
    inner_factor: int = 1,
) -> tuple[Blocks, int]:
    """Build stages of ``blocks[k]`` residual blocks of ``width * 2**k`` filters.

    Args:
        bottleneck: use 1x1-3x3-1x1 blocks that widen fourfold.
        stem_stride: 2 halves the resolution in the stem, which leaves a quarter of the work.
        stem: "imagenet" is a 7x7 convolution and a 3x3 max pooling, both of stride 2.
        inner_factor: factor on the width of a bottleneck's first two convolutions (Zagoruyko &
            Komodakis 2016); 2 gives Wide ResNet-50-2. The width of its output stays the same.
    """
    if stem not in ("small", "imagenet"):
        raise ValueError(f"stem is 'small' or 'imagenet', not '{stem}'")
    if stem == "imagenet" and stem_stride != 1:
        raise ValueError("stem 'imagenet' has its own stride: leave out stem_stride")
    if inner_factor != 1 and not bottleneck:
        raise ValueError("inner_factor is for bottleneck blocks")
    expansion = 4 if bottleneck else 1
    if stem == "imagenet":
        first = [*conv_norm_relu(3, width, 7, 2), nn.MaxPool2d(3, 2, padding=1)]
    else:
        first = conv_norm_relu(3, width, 3, stem_stride)
    named: dict[str, nn.Module] = {"stem": nn.Sequential(*first)}
    inputs = width
    for stage, count in enumerate(blocks):
        outputs = width * 2**stage * expansion
        inner = width * 2**stage * inner_factor
        for k in range(count):
            stride = 2 if stage and k == 0 else 1
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
