"""The recipe of a source's clean and robust accuracies on its own classes."""

from __future__ import annotations

from dataclasses import dataclass

from ..attacks.recipe import AttackRecipe
from ..data.view_recipe import ViewRecipe
from ..recipes import Addressed


@dataclass(frozen=True)
class EvaluationRecipe(Addressed):
    """Clean and robust accuracy of a source on test images of its own classes."""

    view: ViewRecipe
    attacks: tuple[AttackRecipe, ...]

    def label(self) -> str:
        return self.view.label()
