"""The recipe of a view: the selection of images, and the changes of their pixels."""

from __future__ import annotations

from dataclasses import dataclass

from ..recipes import Addressed
from .recipe import DatasetRecipe


@dataclass(frozen=True)
class ViewRecipe(Addressed):
    """A fixed selection of images. Labels are positions in ``label_names``."""

    dataset: DatasetRecipe
    split: str
    classes: tuple[str, ...]
    images: int | None = None  # number of images, as balanced as possible; None: all
    half: int | None = None  # 0 or 1: one of two disjoint halves of every class
    subset_seed: int = 0
    size: int | None = None  # pixels a side after resizing; None: as stored
    detail: int | None = None  # pixels a side that images are first reduced to; None: unreduced
    superclasses: tuple[str, ...] = ()  # the superclass of every class, if those are the labels

    @property
    def label_names(self) -> tuple[str, ...]:
        """Return the names of the labels: classes, or superclasses in order of first occurrence."""
        return tuple(dict.fromkeys(self.superclasses)) or self.classes

    def label(self) -> str:
        return f"{self.dataset.name}-{self.split}-{len(self.classes)}classes"
