"""Fully connected network (Liang et al. 2021: 3072-1176-400-120-84, ReLU)."""

from collections.abc import Sequence

from torch import nn

from ..network import Blocks


def build(size: int, widths: Sequence[int] = (1176, 400, 120, 84)) -> tuple[Blocks, int]:
    """Build one block per hidden layer."""
    sizes = [3 * size * size, *widths]
    blocks: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    for k, (inputs, outputs) in enumerate(zip(sizes, sizes[1:], strict=False), 1):
        blocks[f"hidden{k}"] = nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU())
    return blocks, sizes[-1]
