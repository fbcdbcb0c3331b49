"""LeNet-5 (LeCun et al. 1998) as in Liang et al. 2021: 6 and 16 5x5 filters, 120-84, ReLU."""

from torch import nn

from ..network import Blocks


def build(size: int, width: int = 6) -> tuple[Blocks, int]:
    """Build a LeNet of ``width`` filters in the first layer, others in the usual proportions."""
    outputs = 16 * width // 6
    side = ((size - 4) // 2 - 4) // 2
    hidden, features = 20 * width, 14 * width
    blocks: dict[str, nn.Module] = {
        "conv1": nn.Sequential(nn.Conv2d(3, width, 5), nn.ReLU(), nn.MaxPool2d(2)),
        "conv2": nn.Sequential(nn.Conv2d(width, outputs, 5), nn.ReLU(), nn.MaxPool2d(2)),
        "hidden1": nn.Sequential(nn.Flatten(), nn.Linear(outputs * side * side, hidden), nn.ReLU()),
        "hidden2": nn.Sequential(nn.Linear(hidden, features), nn.ReLU()),
    }
    return blocks, features
