"""Datasets of photographs of varying sizes: which files there are, and how one becomes pixels.

A photograph is resized so that its shorter side is 256/224 of the size asked for, and the square in
its middle is kept: ``Resize(256), CenterCrop(224)``, the test transform of Salman et al. (2020) and
of torchvision, to the bit. Training images are stored alike; augmentation starts from there.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
from tqdm import tqdm

from ..artifacts.hdf5 import Hdf5Writer
from ..errors import UserError
from .dataset import Blob, OfficialFile
from .trees import Tree

RESIZED, CROPPED = 256, 224  # the ratio of the two that is kept at every size
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP")
TOLD = 10  # broken images that one message names
QUEUED = 64  # images that are read and wait to be decoded, per thread

Listing = Mapping[str, Sequence[tuple[str, int]]]
"""Split name to files, by their names in a tree, and labels, positions in the class names."""


@dataclass(frozen=True)
class Photographs:
    """Description of a dataset of photographs that the providers can serve.

    ``folders`` are names under which torchvision unpacks it. ``metric`` is the accuracy that papers
    report of it: of images, or the mean of that of the classes.
    """

    title: str
    class_names: tuple[str, ...]
    licence: str
    files: tuple[OfficialFile, ...]
    list_images: Callable[[Tree], Listing]
    folders: tuple[str, ...] = ()
    metric: str = "accuracy"  # or "class_mean_accuracy"
    inner: str | None = None  # the archive inside the official one that has the images


@dataclass(frozen=True)
class RawPhotographs:
    """A dataset of photographs, listed and not yet decoded.

    ``attributes`` says which provider supplied it and whether it is known to be the official data.
    With ``prepared`` an image that has the size already is taken as it is.
    """

    tree: Tree
    listing: Listing
    size: int  # pixels a side to decode to
    class_names: tuple[str, ...]
    source: str
    licence: str
    attributes: dict[str, Any] = field(default_factory=dict)
    prepared: bool = False

    def digests(self) -> dict[str, str]:
        """The sha256 of each split's labels; of the images' files `store` makes one."""
        return {
            f"{split}/labels": hashlib.sha256(_labels(images).data).hexdigest()
            for split, images in self.listing.items()
        }

    def store(self, writer: Hdf5Writer) -> None:
        """Decode every photograph into ``<split>/images``, uint8 (N, size, size, 3), one pass.

        ``<split>/labels`` are int64 (N,). Only the images in work are in memory. The attribute
        ``files`` is a sha256 of the names and bytes of all of them.

        Raises:
            UserError: images cannot be decoded; all are tried first, and the message names them.
        """
        for split, images in self.listing.items():
            writer.append(f"{split}/labels", _labels(images), len(images))
        places = {
            name: (split, position)
            for split, images in self.listing.items()
            for position, (name, _) in enumerate(images)
        }
        totals = {split: len(images) for split, images in self.listing.items()}
        broken: list[str] = []
        digests: dict[str, bytes] = {}
        for name, (digest, pixels) in self._decoded(places):
            if isinstance(pixels, str):
                broken.append(pixels)
                continue
            split, position = places[name]
            digests[name] = digest
            if not broken:
                writer.place(f"{split}/images", position, pixels, totals[split])
        if broken:
            more = f"\n  and {len(broken) - TOLD} more" if len(broken) > TOLD else ""
            raise UserError(
                f"{len(broken)} of {len(places)} images cannot be decoded:\n  "
                + "\n  ".join(sorted(broken)[:TOLD])
                + more
                + "\nReplace these files (or fetch their archive anew) and run the same command "
                "again; of a folder of your own they may also be removed."
            )
        lost = sorted(set(places) - set(digests))
        if lost:
            raise UserError(f"{self.tree.where}: {lost[0]} was there and is gone; run again.")
        whole = hashlib.sha256()
        for name in places:
            whole.update(os.fsencode(name) + b"\0" + digests[name])
        writer.describe("files", whole.hexdigest())
        writer.describe("pillow", version("pillow"))  # what decoded them

    def _decoded(
        self, names: Mapping[str, Any]
    ) -> Iterator[tuple[str, tuple[bytes, np.ndarray | str]]]:
        """Name, digest of the file, and pixels or what is wrong with them; decoded in threads."""
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        waiting: deque[tuple[str, Future[tuple[bytes, np.ndarray | str]]]] = deque()
        with (
            ThreadPoolExecutor(threads) as pool,
            tqdm(total=len(names), desc="decoding", unit="image", disable=None) as bar,
        ):
            try:
                for name, blob in self.tree.read(names.keys()):
                    waiting.append((name, pool.submit(self._digest_and_pixels, blob)))
                    if len(waiting) > QUEUED * threads:
                        first, future = waiting.popleft()
                        bar.update()
                        yield first, future.result()
                while waiting:
                    first, future = waiting.popleft()
                    bar.update()
                    yield first, future.result()
            finally:
                for _, future in waiting:
                    future.cancel()

    def _digest_and_pixels(self, blob: Blob) -> tuple[bytes, np.ndarray | str]:
        digest = hashlib.sha256(blob.data).digest()
        try:
            return digest, decoded(blob, self.size, self.prepared)
        except UserError as error:
            return digest, str(error)


def _labels(images: Sequence[tuple[str, int]]) -> np.ndarray:
    return np.array([label for _, label in images], np.int64)


def decoded(blob: Blob, size: int, prepared: bool = False) -> np.ndarray:
    """Pixels of a photograph: uint8 (size, size, 3).

    Args:
        prepared: one that has this very size is taken as it is, not resized and cropped.

    Raises:
        UserError: truncated, no image, or one of absurd size; the message has one line.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(blob.data), formats=FORMATS) as image:
            pixels = image.convert("RGB")
            if not (prepared and pixels.size == (size, size)):
                pixels = _resized_and_cropped(pixels, size)
            return np.asarray(pixels)
    except Exception as error:  # Pillow's plugins raise whatever a broken file leads to
        reason = " ".join(str(error).split()).replace("<_io.BytesIO object", "<it")
        raise UserError(f"{blob.where}: {len(blob.data)} bytes, {reason}") from None


def _resized_and_cropped(image: Any, size: int) -> Any:
    """Shorter side to 256/224 of ``size``, then the middle ``size`` x ``size``."""
    from PIL import Image

    width, height = image.size
    short = round(size * RESIZED / CROPPED)
    if width <= height:
        width, height = short, int(short * height / width)
    else:
        width, height = int(short * width / height), short
    if width * height > (Image.MAX_IMAGE_PIXELS or 1 << 62):
        raise ValueError(f"a strip of {image.size[0]} x {image.size[1]} pixels")
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - size) / 2.0), round((height - size) / 2.0)
    return image.crop((left, top, left + size, top + size))


def checked_listing(listing: Listing, tree: Tree, class_names: Sequence[str]) -> Listing:
    """``listing``, after checks that hold for every dataset.

    Raises:
        UserError: a split is empty, a file is not there or listed twice, or a label names no class.
    """
    names = set(tree.names())
    for split, images in listing.items():
        if not images:
            raise UserError(f"{tree.where}: no {split} images. Is this the right folder or file?")
        wrong = [label for _, label in images if not 0 <= label < len(class_names)]
        if wrong:
            raise UserError(
                f"{tree.where}: the {split} labels have {wrong[0]}, but with {len(class_names)} "
                f"classes they must lie in 0..{len(class_names) - 1}. Is this the right file?"
            )
        missing = [name for name, _ in images if name not in names]
        if missing:
            raise UserError(
                f"{tree.where}: {len(missing)} of the {len(images)} {split} images that its lists "
                f"name are not there: {', '.join(repr(name) for name in missing[:3])}. Unpack or "
                "fetch it anew."
            )
    seen: set[str] = set()
    for images in listing.values():
        for name, _ in images:
            if name in seen:
                raise UserError(f"{tree.where}: its lists name {name!r} twice.")
            seen.add(name)
    return listing


# What the lists of several datasets have in common ------------------------------------------------


def names_of(text: str) -> tuple[str, ...]:
    """Class names as the modules have them: between commas, over lines."""
    return tuple(" ".join(text.split()).split(", "))


def lines_of(blob: Blob) -> list[str]:
    """Lines of a text file that are not empty.

    Raises:
        UserError: the file is no text.
    """
    try:
        return [line.strip() for line in blob.data.decode().splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise UserError(f"{blob.where}: not a text file ({error}).") from None


def mat_of(blob: Blob, name: str) -> np.ndarray:
    """One variable of a version 5 .mat file; nothing in it is executed.

    Raises:
        UserError: not such a file, or without the variable.
    """
    from scipy.io import loadmat

    try:
        return np.asarray(loadmat(io.BytesIO(blob.data), squeeze_me=True)[name])
    except Exception as error:  # scipy has no common type for what a broken file can lead to
        raise UserError(
            f"{blob.where}: expected a version 5 .mat file with {name}, found "
            f"{len(blob.data)} bytes that cannot be read as one ({type(error).__name__}: {error}). "
            "Fetch it anew, or replace your copy."
        ) from None


def label_of(name: str, class_names: Sequence[str], where: str) -> int:
    """Position of a class.

    Raises:
        UserError: there is none of that name.
    """
    try:
        return class_names.index(name)
    except ValueError:
        raise UserError(
            f"{where}: unknown class {name!r}; this dataset has {len(class_names)}, "
            f"{class_names[0]!r} to {class_names[-1]!r}. Is this the right file?"
        ) from None


def first_of_each_class(
    tree: Tree, folder: str, class_names: Sequence[str], count: int
) -> dict[str, list[tuple[str, int]]]:
    """The first ``count`` images of every class train, the rest test, as Salman et al. (2020).

    Args:
        folder: name of the folder that has one folder a class, with .jpg files.
    """
    by_class: dict[int, list[str]] = {}
    for name in sorted(tree.names()):
        parts = name.split("/")
        of_a_class = len(parts) > 2 and parts[-3] == folder and parts[-2] in class_names
        if of_a_class and name.endswith(".jpg"):
            by_class.setdefault(class_names.index(parts[-2]), []).append(name)
    missing = [name for k, name in enumerate(class_names) if k not in by_class]
    if missing:
        raise UserError(
            f"{tree.where}: no .jpg in {folder}/{missing[0]}/. Is this the official layout, and "
            "whole?"
        )
    few = [class_names[k] for k, names in by_class.items() if len(names) <= count]
    if few:
        raise UserError(
            f"{tree.where}: class {few[0]} has not more than the {count} images that train; none "
            "would be left to test. Is it whole?"
        )
    return {
        "train": [(name, k) for k in sorted(by_class) for name in by_class[k][:count]],
        "test": [(name, k) for k in sorted(by_class) for name in by_class[k][count:]],
    }
