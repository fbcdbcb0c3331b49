"""The recipe of the perturbations of a view."""

from __future__ import annotations

from dataclasses import dataclass

from ..data.view_recipe import ViewRecipe
from ..recipes import Addressed
from .recipe import AttackRecipe


@dataclass(frozen=True)
class AttackBlockRecipe(Addressed):
    """Perturbations of one view: a block of attacks that one job makes."""

    view: ViewRecipe
    attacks: tuple[AttackRecipe, ...]

    def label(self) -> str:
        return self.view.label()
