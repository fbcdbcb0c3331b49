"""The datasets that the project knows, by name: modules of ``advtransfer.data.datasets``."""

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
from .packs import class_names_of_pack
from .photographs import Photographs


def known_datasets() -> list[str]:
    """Names of the modules in ``advtransfer.data.datasets``."""
    return sorted(module.name for module in pkgutil.iter_modules(datasets.__path__))


def dataset_module(name: str) -> ModuleType:
    """The module of a dataset.

    Raises:
        UserError: there is none of that name.
    """
    if name not in known_datasets():
        raise UserError(
            f"unknown dataset '{name}'; known are {', '.join(known_datasets())}. To add one, write "
            f"workflow_scripts/advtransfer/data/datasets/{name}.py like the modules beside it, or "
            "use hdf5_pack with the path of an HDF5 pack, or image_folder with that of a folder."
        )
    return importlib.import_module(f"{datasets.__name__}.{name}")


def description(name: str) -> Dataset | Photographs:
    """The description of a dataset that providers can serve."""
    module = dataset_module(name)
    found: Dataset | Photographs = getattr(module, "PHOTOGRAPHS", None) or module.DATASET
    return found


def class_names(name: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    """All classes of a dataset, as ``classes: all`` means them; nothing is fetched.

    Args:
        name: in ``data.datasets`` of the configuration.
        entry: what stands there. A pack and a folder are asked themselves.

    Raises:
        UserError: they cannot be known, or the pack or folder cannot be read.
    """
    if "pack" in entry:
        return class_names_of_pack(Path(entry["pack"]))
    if "folder" in entry:
        return class_folders(Path(entry["folder"]), entry.get("split")).class_names
    return description(name).class_names
