"""What the measures of a target's granularity are made from."""

from __future__ import annotations

from dataclasses import dataclass

from ..data.view_recipe import ViewRecipe
from ..recipes import Addressed


@dataclass(frozen=True)
class GranularityRecipe(Addressed):
    """How fine-grained a target is: its images, its labels, and the features of a source."""

    view: ViewRecipe
    # Where every class of the view stands in a hierarchy: names from below its root to the class.
    paths: tuple[tuple[str, ...], ...] = ()
    images: int | None = None  # the first of the view, at most; None: all

    def label(self) -> str:
        return self.view.label()
