"""Images of a target that a source is trained on, as columns of the tables of transfers."""

from __future__ import annotations

from ..advtransfer.addresses import comparison_path
from ..advtransfer.data.comparison_recipe import SHARED_COLUMNS
from ..advtransfer.data.comparisons import Shared, read_shared
from ..advtransfer.transfer.compared import compared
from ..advtransfer.transfer.recipe import TransferRecipe
from ..advtransfer.transfer.subsets_recipe import SubsetsRecipe
from .columns import Row
from .sources import Source


def shared_with(source: Source, transfer: TransferRecipe | SubsetsRecipe) -> Shared | None:
    """Return the images that a transfer leaves out; None if the source was imported."""
    comparison = compared(source.recipe, transfer)
    return None if comparison is None else read_shared(comparison_path(comparison))


def of_shared(shared: Shared | None) -> Row:
    """Return the columns that say how many images a transfer leaves out."""
    if shared is None:
        return dict.fromkeys(SHARED_COLUMNS, "")
    return dict(zip(SHARED_COLUMNS, (len(shared.train), len(shared.test)), strict=True))
