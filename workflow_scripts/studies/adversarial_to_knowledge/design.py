"""Liang et al. (2021): do sources that exchange adversarial examples also transfer knowledge?

The sources are architectures. The design is that of every study of pairs.
"""

from ..kinds.pairs import design

BASE = "pairs"  # the kind of study that this one extends


class Reader(design.Reader):
    """The part of the configuration of this study."""
