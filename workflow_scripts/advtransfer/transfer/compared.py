"""Which comparison of images a transfer needs."""

from __future__ import annotations

from ..data.comparison_recipe import ComparisonRecipe
from ..recipes import Addressed
from ..training.recipe import SourceRecipe
from .recipe import TransferRecipe
from .subsets_recipe import SubsetsRecipe


def compared(
    source: Addressed, transfer: TransferRecipe | SubsetsRecipe
) -> ComparisonRecipe | None:
    """Return the comparison of a source's images with a target's.

    None for an imported source: what it was trained on is not known.
    """
    if not isinstance(source, SourceRecipe):
        return None
    return ComparisonRecipe(source.view, transfer.train, transfer.test, transfer.shared_images)
