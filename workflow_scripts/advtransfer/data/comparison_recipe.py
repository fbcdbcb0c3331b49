"""The recipe of a comparison: which images of a target a source is trained on."""

from __future__ import annotations

from dataclasses import dataclass

from ..recipes import Addressed
from .recipe import DROP
from .view_recipe import ViewRecipe

# Columns of tables of transfers: images of the target that the source is trained on and that are
# therefore left out, of those that the transfer trains on and of those that it measures on. They
# are empty if the source was imported.
SHARED_COLUMNS = ("shared_images", "shared_test_images")


@dataclass(frozen=True)
class ComparisonRecipe(Addressed):
    """The images of a source compared, by their pixels, with the views of a target."""

    source: ViewRecipe
    train: ViewRecipe
    test: ViewRecipe
    shared_images: str = DROP  # REFUSE: a shared image is an error

    def label(self) -> str:
        return self.train.label()
