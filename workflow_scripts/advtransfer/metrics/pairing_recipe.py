"""The recipe of the responses of a source and its references to each other's attacks."""

from __future__ import annotations

from dataclasses import dataclass

from ..attacks.block_recipe import AttackBlockRecipe
from ..recipes import Addressed
from ..training.recipe import SourceRecipe


@dataclass(frozen=True)
class PairingRecipe(Addressed):
    """A source against a block of reference seeds, on one block of attacks, in both directions."""

    reference: SourceRecipe
    reference_seeds: tuple[int, ...]
    attacks: AttackBlockRecipe

    def label(self) -> str:
        return self.reference.label()


def pair_name(source_seed: int, reference_seed: int, label: str, what: str) -> str:
    """Return the name of a pair's array under one attack, in a file of responses or metrics."""
    return f"source{source_seed}/reference{reference_seed}/{label}/{what}"
