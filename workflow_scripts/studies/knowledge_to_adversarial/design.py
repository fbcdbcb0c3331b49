"""Liang et al. (2021): do sources that transfer knowledge also exchange adversarial examples?

The sources are mixtures of classes. The design is that of every study of pairs.
"""

from ..kinds.pairs import design

BASE = "pairs"  # the kind of study that this one extends


class Reader(design.Reader):
    """The part of the configuration of this study."""
