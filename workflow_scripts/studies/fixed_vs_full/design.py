"""Salman et al. (2020): robust and natural sources as fixed features and as whole networks.

The design is that of every study of transfer to whole targets.
"""

from ..kinds.whole_targets import design

BASE = "whole_targets"  # the kind of study that this one extends


class Reader(design.Reader):
    """The part of the configuration of this study."""
