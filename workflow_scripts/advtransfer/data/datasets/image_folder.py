"""Photographs of the user in one folder per class, at the recipe's path."""

import logging
from pathlib import Path

from ...errors import UserError
from ...home import expanded
from ..folders import class_folders
from ..photographs import RawPhotographs
from ..recipe import DatasetRecipe
from ..trees import FolderTree

log = logging.getLogger("advtransfer")


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
    if found.missing:
        log.warning(
            "%s: %d test images that %s lists are not there; the results are about the %d that are",
            recipe.path,
            found.missing,
            recipe.split,
            len(found.listing["test"]),
        )
    return RawPhotographs(
        tree=FolderTree(expanded(recipe.path)),
        listing=found.listing,
        size=recipe.size,
        class_names=found.class_names,
        source=f"image folder {Path(recipe.path).name}",
        licence="not stated: a folder of the user's own",
        attributes={"test_images_missing": found.missing} if found.missing else {},
        prepared=True,
    )
