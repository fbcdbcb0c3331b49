"""What a view is made from: which images of a dataset, and what is done to their pixels."""

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
    images: int | None = None  # as even over the classes as it can be; None: all
    half: int | None = None  # 0 or 1: one of two disjoint halves of every class
    subset_seed: int = 0
    size: int | None = None  # pixels a side after resizing; None: as stored
    detail: int | None = None  # pixels a side that images are reduced to first; None: not
    superclasses: tuple[str, ...] = ()  # the superclass of every class, if those are the labels

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the labels in their order: the classes, or superclasses as they first occur."""
        return tuple(dict.fromkeys(self.superclasses)) or self.classes

    def label(self) -> str:
        return f"{self.dataset.name}-{self.split}-{len(self.classes)}classes"
