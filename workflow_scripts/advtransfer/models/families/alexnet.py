"""AlexNet for small images (Krizhevsky et al. 2012; five convolutions, no batch norm).

The defaults give the 64-192-384-256-256 form of Liang et al. 2021, with 256 features.
"""

from torch import nn

from ..network import Blocks


def build(
    size: int, width: int = 64, stem_kernel: int = 11, stem_stride: int = 4
) -> tuple[Blocks, int]:
    """Build an AlexNet of ``width`` filters in the first layer, others in the usual proportions."""
    c1, c2, c3, c4 = width, 3 * width, 6 * width, 4 * width
    side = (size - 1) // stem_stride + 1
    side = side // 2 // 2 // 2  # after three poolings
    if not side:
        raise ValueError(f"stem_stride {stem_stride} leaves no pixels")
    stem = nn.Conv2d(3, c1, stem_kernel, stem_stride, padding=stem_kernel // 2)
    blocks: dict[str, nn.Module] = {
        "conv1": nn.Sequential(stem, nn.ReLU(), nn.MaxPool2d(2)),
        "conv2": nn.Sequential(nn.Conv2d(c1, c2, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        "conv3": nn.Sequential(nn.Conv2d(c2, c3, 3, padding=1), nn.ReLU()),
        "conv4": nn.Sequential(nn.Conv2d(c3, c4, 3, padding=1), nn.ReLU()),
        "conv5": nn.Sequential(
            nn.Conv2d(c4, c4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
        ),
    }
    return blocks, c4 * side * side
