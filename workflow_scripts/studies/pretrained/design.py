"""temporary"""

from ..kinds.whole_targets import design

BASE = "whole_targets"  # the kind of study that this one extends


class Reader(design.Reader):
    """The part of the configuration of this study."""
