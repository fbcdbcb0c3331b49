"""Salman et al. (2020): robust and natural sources as fixed features and as whole networks.

All of its design is its kind's.
"""

from ..kinds.whole_targets.design import Reader as Reader

BASE = "whole_targets"  # the kind of study that this one extends
