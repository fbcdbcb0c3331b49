"""The recipe of the similarity of a target's images to those of a source."""

from __future__ import annotations

from dataclasses import dataclass

from ..data.view_recipe import ViewRecipe
from ..recipes import Addressed


@dataclass(frozen=True)
class SimilarityRecipe(Addressed):
    """The distances of a target's images from the source's, in the features of the source."""

    source: ViewRecipe
    target: ViewRecipe

    def label(self) -> str:
        return self.target.label()
