"""Any labelled images as one HDF5 file, at the path that the recipe gives (see ``data.packs``)."""

from pathlib import Path

from ...errors import UserError
from ..dataset import RawDataset
from ..packs import read_pack
from ..recipe import DatasetRecipe


def from_recipe(recipe: DatasetRecipe) -> RawDataset:
    """The dataset in the pack at ``recipe.path``, whose content must hash to ``recipe.sha256``.

    Raises:
        UserError: no path is given, or the pack cannot be used.
    """
    if recipe.path is None:
        raise UserError("a dataset of the kind hdf5_pack needs the key path: the pack's file")
    return read_pack(Path(recipe.path), recipe.sha256)
