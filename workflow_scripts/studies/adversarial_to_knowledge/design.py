"""Liang et al. (2021): do sources that exchange adversarial examples also transfer knowledge?

The sources are architectures. All of its design is its kind's.
"""

from ..kinds.pairs.design import Reader as Reader

BASE = "pairs"  # the kind of study that this one extends
