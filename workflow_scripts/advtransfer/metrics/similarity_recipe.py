"""What the similarity of a target to the images of a source is made from."""

from __future__ import annotations

from dataclasses import dataclass

from ..data.view_recipe import ViewRecipe
from ..recipes import Addressed


@dataclass(frozen=True)
class SimilarityRecipe(Addressed):
    """How far a target's images are from the source's own, in the source's features."""

    source: ViewRecipe
    target: ViewRecipe

    def label(self) -> str:
        return self.target.label()
