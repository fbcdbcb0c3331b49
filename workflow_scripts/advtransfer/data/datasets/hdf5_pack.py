"""Labelled images of the user in one HDF5 file, at the recipe's path (see ``data.packs``)."""

from pathlib import Path

from ...errors import UserError
from ..dataset import RawDataset
from ..packs import read_pack
from ..recipe import DatasetRecipe
from ..separation import separated


def from_recipe(recipe: DatasetRecipe) -> RawDataset:
    """Return the dataset in the pack at ``recipe.path``, whose sha256 must be ``recipe.sha256``.

    Raises:
        UserError: The recipe has no path, or the pack cannot be used.
    """
    if recipe.path is None:
        raise UserError("a dataset of the kind hdf5_pack needs the key path: the pack's file")
    raw = read_pack(Path(recipe.path), recipe.sha256)
    return separated(raw, recipe.shared_images, recipe.path)
