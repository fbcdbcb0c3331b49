"""Numbers that Salman et al. published on detection and segmentation, as data to compare with.

Source: H. Salman, A. Ilyas, L. Engstrom, A. Kapoor, A. Madry, "Do Adversarially Robust ImageNet
Models Transfer Better?", NeurIPS 2020, arXiv 2007.08489, figure 4 [text]: average precision of
detectors on ImageNet backbones trained naturally, and by PGD in l2 at the best of the epsilons they
tried. Which networks and which detectors they used in detail is not known here.
"""

from __future__ import annotations

from typing import NamedTuple


class PublishedPrecision(NamedTuple):
    """Average precision in [0, 1] on a natural and on the best robust backbone."""

    task: str
    of: str  # "box" or "mask"
    natural: float
    robust: float


PRECISIONS = (
    PublishedPrecision("VOC detection", "box", 0.5280, 0.5387),
    PublishedPrecision("COCO detection", "box", 0.3961, 0.4013),
    PublishedPrecision("COCO segmentation", "box", 0.4074, 0.4104),
    PublishedPrecision("COCO segmentation", "mask", 0.3698, 0.3723),
)
# Epsilons (l2, pixels in [0, 1] at 224 pixels) of the robust sources, by task; 0 is natural.
EPSILONS = {
    "VOC detection": (0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5),
    "COCO detection": (0, 0.02, 0.04, 0.25),
    "COCO segmentation": (0, 0.02, 0.04, 0.15),
}
