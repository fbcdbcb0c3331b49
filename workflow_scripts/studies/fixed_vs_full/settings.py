"""The section of the study: that of every transfer to whole targets."""

from __future__ import annotations

from ..kinds.whole_targets import settings as whole_targets


class Settings(whole_targets.Settings):
    """Salman et al. 2020: do adversarially trained sources transfer better, by fixed features and
    as whole networks?"""
