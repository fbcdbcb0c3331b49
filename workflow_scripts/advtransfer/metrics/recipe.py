"""The recipe of the transferability metrics of a pairing."""

from __future__ import annotations

from dataclasses import dataclass

from ..recipes import Addressed
from .pairing_recipe import PairingRecipe


@dataclass(frozen=True)
class MetricsRecipe(Addressed):
    """Transferability metrics of a pairing, over the images that ``mask`` selects."""

    pairing: PairingRecipe
    mask: str = "reference_correct"  # or "all"

    def label(self) -> str:
        return self.pairing.label()
