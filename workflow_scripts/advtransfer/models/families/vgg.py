"""VGG with batch norm for small images (Simonyan & Zisserman 2015)."""

from collections.abc import Sequence

from torch import nn

from ..layers import conv_norm_relu, global_pool
from ..network import Blocks


def build(
    size: int, width: int = 64, layers: Sequence[int] = (1, 1, 2, 2), stem_pool: bool = True
) -> tuple[Blocks, int]:
    """Build stages of ``layers[k]`` 3x3 convolutions of ``width * 2**k`` filters and max pooling.

    The width grows to at most 8 * ``width``.

    Args:
        stem_pool: False omits the first pooling, which doubles every later resolution.
    """
    blocks: dict[str, nn.Module] = {}
    inputs = 3
    for stage, count in enumerate(layers):
        outputs = width * min(2**stage, 8)
        for k in range(count):
            modules = conv_norm_relu(inputs, outputs)
            if k == count - 1 and (stage or stem_pool):
                modules.append(nn.MaxPool2d(2))
            blocks[f"stage{stage + 1}_{k}"] = nn.Sequential(*modules)
            inputs = outputs
    blocks["pool"] = global_pool()
    return blocks, inputs
