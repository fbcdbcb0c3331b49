"""Look-up of the known datasets, which are modules of ``advtransfer.data.datasets``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import UserError
from . import datasets
from .dataset import Dataset
from .folders import class_folders
from .packs import class_names_of_pack, size_of_pack
from .photographs import Photographs
from .view_recipe import ViewRecipe


def known_datasets() -> list[str]:
    """Return the names of the modules in ``advtransfer.data.datasets``."""
    return sorted(module.name for module in pkgutil.iter_modules(datasets.__path__))


def dataset_module(name: str) -> ModuleType:
    """Return the module of a dataset.

    Raises:
        UserError: No dataset has this name.
    """
    if name not in known_datasets():
        raise UserError(
            f"unknown dataset '{name}'; known are {', '.join(known_datasets())}. To add one, write "
            f"workflow_scripts/advtransfer/data/datasets/{name}.py like the modules beside it, or "
            "use hdf5_pack with the path of an HDF5 pack, or image_folder with that of a folder."
        )
    return importlib.import_module(f"{datasets.__name__}.{name}")


def description(name: str) -> Dataset | Photographs:
    """Return the description of a dataset that providers can supply."""
    module = dataset_module(name)
    found: Dataset | Photographs = getattr(module, "PHOTOGRAPHS", None) or module.DATASET
    return found


def class_names(name: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Return all classes of a dataset, in the order of ``classes: all``, without fetching it.

    Args:
        name: name of the dataset in ``data.datasets`` of the configuration.
        entry: its entry there. The classes of a pack or a folder are read from it.

    Raises:
        UserError: The classes are unknown, or the pack or folder cannot be read.
    """
    if "pack" in entry:
        return class_names_of_pack(Path(entry["pack"]))
    if "folder" in entry:
        return class_folders(Path(entry["folder"]), entry.get("split")).class_names
    return description(name).class_names


def image_size(view: ViewRecipe) -> int | None:
    """Return the pixels a side of a view's images, without fetching them; None: unknown."""
    dataset = view.dataset
    if view.size is not None or dataset.size is not None:
        return view.size or dataset.size
    if dataset.path is not None:
        return size_of_pack(Path(dataset.path))
    return getattr(description(dataset.name), "size", None)
