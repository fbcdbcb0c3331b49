"""The recipe of the measures of a target's granularity."""

from __future__ import annotations

from dataclasses import dataclass

from ..data.view_recipe import ViewRecipe
from ..recipes import Addressed


@dataclass(frozen=True)
class GranularityRecipe(Addressed):
    """How fine-grained a target is: its images, its labels, and the features of a source."""

    view: ViewRecipe
    # Path of every class of the view in a hierarchy: names from below the root to the class.
    paths: tuple[tuple[str, ...], ...] = ()
    images: int | None = None  # greatest number of images, from the first; None: all

    def label(self) -> str:
        return self.view.label()
