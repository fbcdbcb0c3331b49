"""Published numbers on granularity, to show beside this study's own.

Salman, Ilyas, Engstrom, Kapoor and Madry, NeurIPS 2020, arXiv 2007.08489, figure 7. Their setting:
ResNet-50 trained on ImageNet, naturally or by PGD in l2; twelve targets, all reduced to 32 pixels a
side and enlarged to 224; fixed-feature transfer. How each number is known:

* ``natural``, ``robust``: [fig], read off the figure by eye (+-0.01): accuracy with the sources of
  epsilon 0 and 3.
* ``best_full``: [code], the table of the best single runs in the authors' released repository:
  epsilon of the best fixed-feature run of a ResNet-50 at full resolution (over all epsilons and
  learning rates, chosen on test images).

At 32 pixels the best epsilon is 1 to 5 for all twelve [text].
"""

from __future__ import annotations

from typing import NamedTuple


class PublishedTarget(NamedTuple):
    """One target: accuracy from 32 pixels a side, and the best epsilon at full resolution."""

    name: str
    natural: float
    robust: float  # l2, 3
    best_full: float


TARGETS = (
    PublishedTarget("Aircraft", 0.16, 0.29, 1),
    PublishedTarget("Birdsnap", 0.14, 0.23, 0.1),
    PublishedTarget("CIFAR-10", 0.80, 0.95, 3),
    PublishedTarget("CIFAR-100", 0.58, 0.80, 3),
    PublishedTarget("Caltech-101", 0.57, 0.79, 1),
    PublishedTarget("Caltech-256", 0.43, 0.60, 0.05),
    PublishedTarget("Cars", 0.13, 0.24, 0.5),
    PublishedTarget("DTD", 0.413, 0.438, 0.01),
    PublishedTarget("Flowers", 0.67, 0.78, 0.1),
    PublishedTarget("Food-101", 0.365, 0.465, 0.05),
    PublishedTarget("Pets", 0.54, 0.695, 0.03),
    PublishedTarget("SUN397", 0.235, 0.34, 0.01),
)
EPSILON = 3.0
REDUCED, FULL = 32, 224  # pixels a side
