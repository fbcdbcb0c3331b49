"""MobileNetV2 for small images (Sandler et al. 2018): inverted residuals, with ReLU for ReLU6."""

from collections.abc import Sequence

from torch import nn

from ..layers import Residual, conv_norm, conv_norm_relu, global_pool
from ..network import Blocks


def build(
    size: int,
    width: int = 32,
    expansion: int = 6,
    blocks: Sequence[int] = (1, 2, 3, 3),
    stem_stride: int = 1,
) -> tuple[Blocks, int]:
    """Build stages of ``blocks[k]`` inverted residuals of ``width * (k + 1)`` filters."""
    named: dict[str, nn.Module] = {"stem": nn.Sequential(*conv_norm_relu(3, width, 3, stem_stride))}
    inputs = width
    for stage, count in enumerate(blocks):
        outputs = width * (stage + 1)
        for k in range(count):
            stride = 2 if stage and k == 0 else 1
            inner = inputs * expansion
            body = nn.Sequential(
                *conv_norm_relu(inputs, inner, 1),
                *conv_norm_relu(inner, inner, 3, stride, groups=inner),
                *conv_norm(inner, outputs, 1),
            )
            named[f"stage{stage + 1}_{k}"] = (
                Residual(body) if stride == 1 and inputs == outputs else body
            )
            inputs = outputs
    features = 4 * inputs
    named["last"] = nn.Sequential(*conv_norm_relu(inputs, features, 1), *global_pool())
    return named, features
