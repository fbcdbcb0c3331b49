"""Numbers that Salman et al. published, as data to compare with.

Source: H. Salman, A. Ilyas, L. Engstrom, A. Kapoor, A. Madry, "Do Adversarially Robust ImageNet
Models Transfer Better?", NeurIPS 2020, arXiv 2007.08489. Their setting: sources trained on ImageNet
with l2-PGD at epsilon (images in [0, 1], 224 pixels), 12 targets. How each number is known:

* ``CORRELATION_TABLE``: [text], the paper's table of source and transfer accuracy at fixed
  epsilon: full-network transfer to CIFAR-10. The table calls the architectures A to F; their names
  are derived from the released source accuracies.
* ``PRINTED``: the R^2 that the table prints; `squared_correlations` computes them from its rows.
* ``SOURCE_ACCURACY``: [code], ImageNet top-1 accuracy as the released models' list has it.
"""

from __future__ import annotations

from typing import NamedTuple

from .relation import SquaredCorrelation, squared_pearson

MODE = "full_network"


class PublishedTransfer(NamedTuple):
    """An architecture at one epsilon: accuracy on ImageNet, and on CIFAR-10 after transfer."""

    model: str
    epsilon: float
    source_accuracy: float
    accuracy: float


CORRELATION_TABLE = (
    PublishedTransfer("ResNeXt50_32x4d", 0, 0.7738, 0.9747),
    PublishedTransfer("DenseNet161", 0, 0.7737, 0.9784),
    PublishedTransfer("VGG16_bn", 0, 0.7366, 0.9608),
    PublishedTransfer("MobileNet_v2", 0, 0.6526, 0.9586),
    PublishedTransfer("ShuffleNet", 0, 0.6425, 0.9582),
    PublishedTransfer("MnasNet", 0, 0.6097, 0.9555),
    PublishedTransfer("ResNeXt50_32x4d", 3, 0.6625, 0.9822),
    PublishedTransfer("DenseNet161", 3, 0.6698, 0.9867),
    PublishedTransfer("VGG16_bn", 3, 0.5719, 0.9727),
    PublishedTransfer("MobileNet_v2", 3, 0.5040, 0.9691),
    PublishedTransfer("ShuffleNet", 3, 0.4332, 0.9623),
    PublishedTransfer("MnasNet", 3, 0.4183, 0.9599),
)
PRINTED = {0.0: 0.79, 3.0: 0.98}

L2_EPSILONS = (0, 0.01, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 3, 5)
LINF_EPSILONS = (0.5, 1, 2, 4, 8)  # of 255
# l2-robust and natural sources, by epsilon.
SOURCE_ACCURACY: dict[str, dict[float, float]] = {
    name: dict(zip(L2_EPSILONS, values, strict=True))
    for name, values in {
        "ResNet18": (
            *(0.6979, 0.6990, 0.6924, 0.6915, 0.6877, 0.6743, 0.6549, 0.6232, 0.5312, 0.4559),
        ),
        "ResNet50": (
            *(0.7580, 0.7568, 0.7576, 0.7559, 0.7478, 0.7414, 0.7316, 0.7043, 0.6283, 0.5613),
        ),
        "WRN50_2": (
            *(0.7697, 0.7725, 0.7726, 0.7717, 0.7674, 0.7621, 0.7511, 0.7341, 0.6690, 0.6094),
        ),
        "WRN50_4": (
            *(0.7791, 0.7802, 0.7787, 0.7777, 0.7764, 0.7710, 0.7652, 0.7551, 0.6967, 0.6520),
        ),
    }.items()
}
for _row in CORRELATION_TABLE:
    SOURCE_ACCURACY.setdefault(_row.model, {})[_row.epsilon] = _row.source_accuracy
# linf-robust sources, by epsilon * 255.
SOURCE_ACCURACY_LINF: dict[str, dict[float, float]] = {
    name: dict(zip(LINF_EPSILONS, values, strict=True))
    for name, values in {
        "ResNet18": (0.6613, 0.6346, 0.5963, 0.5249, 0.4211),
        "ResNet50": (0.7373, 0.7205, 0.6910, 0.6386, 0.5453),
        "WRN50_2": (0.7582, 0.7465, 0.7235, 0.6841, 0.6082),
    }.items()
}


def squared_correlations() -> dict[float, SquaredCorrelation]:
    """R^2 of the table's rows by epsilon, with intervals over its six architectures."""
    found = {}
    for epsilon in PRINTED:
        rows = [row for row in CORRELATION_TABLE if row.epsilon == epsilon]
        x, y = ([getattr(row, name) for row in rows] for name in ("source_accuracy", "accuracy"))
        found[epsilon] = squared_pearson(x, y)
    return found
