"""Photographs of the user in one folder per class, at the recipe's path."""

from pathlib import Path

from ...errors import UserError
from ..folders import class_folders
from ..photographs import RawPhotographs
from ..recipe import DROP, DatasetRecipe
from ..trees import FolderTree


def from_recipe(recipe: DatasetRecipe) -> RawPhotographs:
    """Return the dataset in ``recipe.path``; its names and sizes must hash to ``recipe.sha256``.

    Raises:
        UserError: The recipe has no path or no size, or the folder cannot be used.
    """
    if recipe.path is None or recipe.size is None:
        raise UserError("a dataset of the kind image_folder needs the keys path and size")
    found = class_folders(Path(recipe.path), recipe.split)
    if recipe.sha256 is not None and found.digest != recipe.sha256.lower():
        raise UserError(
            f"{recipe.path}: its files are not those that were planned with: sha256 of their names "
            f"and sizes expected {recipe.sha256}, found {found.digest}. Run the same command again."
        )
    raw = RawPhotographs(
        tree=FolderTree(Path(recipe.path)),
        listing=found.listing,
        size=recipe.size,
        class_names=found.class_names,
        source=f"image folder {Path(recipe.path).name}",
        licence="not stated: a folder of the user's own",
        prepared=True,
        separate=True,
    )
    return raw.separated() if recipe.shared_images == DROP else raw
