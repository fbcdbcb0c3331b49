"""Liang et al. (2021): do sources that transfer knowledge also exchange adversarial examples?

The sources are mixtures of classes. All of its design is its kind's.
"""

from ..kinds.pairs.design import Reader as Reader

BASE = "pairs"  # the kind of study that this one extends
