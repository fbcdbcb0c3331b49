"""Where the bytes of a dataset come from.

Providers, tried in the order that the config lists:

``local``     files that the user has: an HDF5 pack ``<name>.h5`` or the official files
``official``  the authors' own files, checked by their published checksums
``registry``  a package that carries the data, accepted only if the decoded arrays' digests are
              the known ones
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from ..artifacts import file_error
from ..errors import UserError
from ..recipes import DatasetRecipe, ViewRecipe
from . import datasets
from .dataset import (
    Blob,
    Dataset,
    OfficialFile,
    RawDataset,
    Splits,
    Unavailable,
    checked_splits,
    split_digests,
)
from .download import download, md5_of
from .formats import blob_name, read_members
from .packages import fetch_package
from .packs import read_pack

log = logging.getLogger("advtransfer")


def fetch(
    recipe: DatasetRecipe, providers: Sequence[str], local: Path | None, downloads: Path
) -> RawDataset:
    """The dataset that ``recipe`` names, from the first provider that has it.

    Args:
        recipe: ``name`` is a module of ``advtransfer.data.datasets``.
        providers: names out of ``local``, ``official``, ``registry``, in the order to try them.
        local: folder with the user's own files (config key ``data.local``), or None.
        downloads: folder that keeps what was downloaded, for the next time.

    Raises:
        UserError: unknown dataset or provider; a local file is damaged; a mirror's content is not
            the known one; or no provider has the dataset, with the reason of each and the ways
            to supply it.
    """
    module = _dataset_module(recipe.name)
    if hasattr(module, "from_recipe"):  # the recipe itself says where the data is
        raw: RawDataset = module.from_recipe(recipe)
        return raw
    dataset: Dataset = module.DATASET
    unknown = [name for name in providers if name not in PROVIDERS]
    if unknown or not providers:
        raise UserError(
            f"data.providers lists {list(providers)}; expected one or more of {list(PROVIDERS)}."
        )
    reasons = []
    for name in providers:
        try:
            raw = PROVIDERS[name](recipe.name, dataset, local, downloads / recipe.name)
        except Unavailable as reason:
            log.info("%s: provider %s cannot supply it: %s", dataset.title, name, reason)
            reasons.append(f"  - {name}: {reason}")
        else:
            log.info("%s: %s", dataset.title, raw.source)
            return raw
    files = ", ".join(file.name for file in dataset.files)
    folder = local or "<the folder that data.local names>"
    raise UserError(
        f"the dataset {recipe.name} ({dataset.title}) could not be had from any provider:\n"
        + "\n".join(reasons)
        + "\nWays to supply it:\n"
        f"  - put the official files ({files}) into {folder}/{recipe.name}/\n"
        f"  - or an HDF5 pack of it at {folder}/{recipe.name}.h5 (its form: "
        "workflow_scripts/advtransfer/data/packs.py)\n"
        "  - or run the same command again with a network connection: what has already been "
        "downloaded is kept"
    )


def check_classes(views: Iterable[ViewRecipe]) -> None:
    """Refuse a class that a known dataset does not have, before anything is fetched.

    A pack is there already: `views.select` tells the same for it.

    Raises:
        UserError: with the nearest class and all that there are.
    """
    for view in views:
        if view.dataset.path is not None:
            continue
        known = _dataset_module(view.dataset.name).DATASET.class_names
        for name in view.classes:
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f"Did you mean '{near[0]}'? " if near else ""
                raise UserError(
                    f"studies: dataset '{view.dataset.name}' has no class '{name}'. {hint}Its "
                    f"classes are {', '.join(known)}."
                )


def known_datasets() -> list[str]:
    """Names of the modules in ``advtransfer.data.datasets``."""
    return sorted(module.name for module in pkgutil.iter_modules(datasets.__path__))


def _dataset_module(name: str) -> ModuleType:
    if name not in known_datasets():
        raise UserError(
            f"unknown dataset '{name}'; known are {', '.join(known_datasets())}. To add one, write "
            f"workflow_scripts/advtransfer/data/datasets/{name}.py like the modules beside it, or "
            "use hdf5_pack with the path of an HDF5 pack."
        )
    return importlib.import_module(f"{datasets.__name__}.{name}")


def _from_local(name: str, dataset: Dataset, local: Path | None, downloads: Path) -> RawDataset:
    if local is None:
        raise Unavailable("the config key data.local is not set")
    pack = local / f"{name}.h5"
    if pack.is_file():
        raw = read_pack(pack)
        if raw.class_names != dataset.class_names:
            raise UserError(
                f"{pack}: its classes {list(raw.class_names)} are not those of {dataset.title}, "
                f"{list(dataset.class_names)}. Use it under its own name with hdf5_pack, or move "
                "it away."
            )
        official = False
    else:
        paths = [_local_file(local, name, file) for file in dataset.files]
        official = all(
            md5_of(path) == file.md5 for file, path in zip(dataset.files, paths, strict=True)
        )
        raw = _read_files(dataset, paths, f"local files {', '.join(path.name for path in paths)}")
    official = official or split_digests(raw.splits) == dataset.digests
    if not official:
        log.warning(
            "%s: %s: not known to be the official data (no checksum agrees); results will be about "
            "these files",
            dataset.title,
            raw.source,
        )
    return _marked(raw, "local", official)


def _local_file(local: Path, name: str, file: OfficialFile) -> Path:
    """The user's own copy of an official file, gzipped or not."""
    own = local / name / file.name
    for path in (own, own.with_name(file.name.removesuffix(".gz"))):
        if path.is_file():
            return path
    # MNIST and its successors share file names: outside <name>/ only the checksum tells them apart.
    beside = local / file.name
    if beside.is_file() and md5_of(beside) == file.md5:
        return beside
    raise Unavailable(
        f"neither {local / name}.h5 nor {own} is there"
        + (f" ({beside} is not {name}'s: its md5 is not {file.md5})" if beside.is_file() else "")
    )


def _from_official(name: str, dataset: Dataset, local: Path | None, downloads: Path) -> RawDataset:
    paths = [download(file, downloads) for file in dataset.files]
    source = "official files " + ", ".join(
        f"{file.urls[0]} (md5 {file.md5})" for file in dataset.files
    )
    raw = _read_files(dataset, paths, source)
    _require_digests(dataset, raw.splits, downloads)
    return _marked(raw, "official", True)


def _from_registry(name: str, dataset: Dataset, local: Path | None, downloads: Path) -> RawDataset:
    mirror = dataset.mirror
    if mirror is None:
        raise Unavailable(f"no package registry is known to carry {dataset.title} as it is")
    archive = fetch_package(mirror, downloads)
    splits = mirror.read(read_members(archive, mirror.members))
    splits = checked_splits(splits, dataset.class_names, str(archive))
    _require_digests(dataset, splits, archive)
    version = f" {mirror.version}" if mirror.version else ""
    raw = RawDataset(
        splits=splits,
        class_names=dataset.class_names,
        source=f"{mirror.client} package {mirror.package}{version}, digests as known",
        licence=dataset.licence,
    )
    return _marked(raw, "registry", True)


PROVIDERS: dict[str, Callable[[str, Dataset, Path | None, Path], RawDataset]] = {
    "local": _from_local,
    "official": _from_official,
    "registry": _from_registry,
}


def _read_files(dataset: Dataset, paths: Sequence[Path], source: str) -> RawDataset:
    """The dataset from its official files, in the order of ``dataset.files``."""
    blobs: dict[str, Blob] = {}
    for file, path in zip(dataset.files, paths, strict=True):
        try:
            if file.members:
                blobs |= read_members(path, file.members)
            else:
                blobs[blob_name(file.name)] = Blob(str(path), path.read_bytes())
        except OSError as error:
            raise file_error(path, error, "read") from None
    return RawDataset(
        splits=checked_splits(dataset.read(blobs), dataset.class_names, str(paths[0])),
        class_names=dataset.class_names,
        source=source,
        licence=dataset.licence,
    )


def _require_digests(dataset: Dataset, splits: Splits, where: Path) -> None:
    """Raise UserError unless the decoded arrays are the known ones, where these are known."""
    if dataset.digests is None:
        return
    found = split_digests(splits)
    for split, expected in dataset.digests.items():
        for what, wanted, got in zip(("images", "labels"), expected, found[split], strict=True):
            if wanted != got:
                raise UserError(
                    f"{where}: the {split} {what} are not those of {dataset.title}: sha256 of the "
                    f"decoded array expected {wanted}, got {got}. Delete {where} and run the same "
                    "command again; if it stays so, take this provider out of data.providers."
                )


def _marked(raw: RawDataset, provider: str, official: bool) -> RawDataset:
    marks = {"provider": provider, "official": official}
    return replace(raw, attributes=raw.attributes | marks)
