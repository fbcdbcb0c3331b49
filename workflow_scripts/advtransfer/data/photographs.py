"""Datasets of photographs of varying sizes: listing their files, and decoding them to pixels.

A photograph is resized so that its shorter side is 256/224 of the requested size, and cropped to
the square in its middle. This equals ``Resize(256), CenterCrop(224)``, the test transform of Salman
et al. (2020) and of torchvision, to the bit. Training images are stored in the same way;
augmentation starts from these.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

import numpy as np
from tqdm import tqdm

from ..artifacts.hdf5 import Hdf5Writer
from ..errors import UserError
from ..wording import LINES_AT_MOST, first_of
from .dataset import Blob, OfficialFile
from .fingerprints import fingerprints
from .formats import reason_of
from .pictures import FORMATS, to_rgb
from .separation import Misplaced, check_separate, left_out, misplaced
from .trees import Tree

RESIZED, CROPPED = 256, 224  # their ratio is the same at every size
QUEUED = 64  # number of images per thread that are read and wait to be decoded

Listing = Mapping[str, Sequence[tuple[str, int]]]
"""Names of files in a tree, and labels, which are positions in the class names, by split name."""


@dataclass(frozen=True)
class Photographs:
    """Description of a dataset of photographs that the providers can serve.

    ``folders`` are names of the folders into which torchvision unpacks it. ``metric`` is the
    accuracy that papers report for it: that of all images, or the mean over classes.
    """

    title: str
    class_names: tuple[str, ...]
    licence: str
    files: tuple[OfficialFile, ...]
    list_images: Callable[[Tree], Listing]
    folders: tuple[str, ...] = ()
    metric: str = "accuracy"  # or "class_mean_accuracy"
    inner: str | None = None  # archive inside the official one, with the images


@dataclass(frozen=True)
class RawPhotographs:
    """A dataset of photographs that are listed but not yet decoded.

    ``attributes`` says which provider supplied it and whether it is known to be the official data.
    With ``prepared``, an image that already has the size is neither resized nor cropped. With
    ``separate``, no picture may be in both splits or in two classes.
    """

    tree: Tree
    listing: Listing
    size: int  # pixels a side to decode to
    class_names: tuple[str, ...]
    source: str
    licence: str
    attributes: dict[str, Any] = field(default_factory=dict)
    prepared: bool = False
    separate: bool = False

    def digests(self) -> dict[str, str]:
        """Return the sha256 of each split's labels; `store` computes that of the image files."""
        return {
            f"{split}/labels": hashlib.sha256(_labels(images).data).hexdigest()
            for split, images in self.listing.items()
        }

    def separated(self) -> RawPhotographs:
        """Return the dataset without pictures that are in both splits, or in two classes.

        Every photograph is decoded for this. Those that cannot be decoded stay; `store` names them.

        Raises:
            UserError: Too few images would be left.
        """
        prints = {split: np.zeros(len(images), np.uint64) for split, images in self.listing.items()}
        places = self._places()
        for name, (digest, pixels) in self._decoded(places):
            split, where = places[name]
            image = np.frombuffer(digest, np.uint8) if isinstance(pixels, str) else pixels
            prints[split][where] = fingerprints(image[None])[0]
        found = self._misplaced(prints)
        if not found:
            return self
        labels = {split: _labels(images) for split, images in self.listing.items()}
        attributes = self.attributes | left_out(found, labels, self.tree.where)
        listing = {
            split: [images[k] for k in np.flatnonzero(~found.leave[split]).tolist()]
            for split, images in self.listing.items()
        }
        return replace(self, listing=listing, attributes=attributes)

    def _places(self) -> dict[str, tuple[str, int]]:
        """Return split and position of every file."""
        return {
            name: (split, position)
            for split, images in self.listing.items()
            for position, (name, _) in enumerate(images)
        }

    def _misplaced(self, prints: Mapping[str, np.ndarray]) -> Misplaced:
        labels = {split: _labels(images) for split, images in self.listing.items()}
        return misplaced(prints, labels, lambda split, k: self.listing[split][k][0])

    def store(self, writer: Hdf5Writer) -> None:
        """Decode every photograph into ``<split>/images``, uint8 (N, size, size, 3), in one pass.

        ``<split>/labels`` are int64 (N,). Memory holds only the images that are being decoded. The
        attribute ``files`` is a sha256 of the names and bytes of all files.

        Raises:
            UserError: Images cannot be decoded. All images are tried first, and the message names
                those that failed.
        """
        for split, images in self.listing.items():
            writer.append(f"{split}/labels", _labels(images), len(images))
        places = self._places()
        prints = {split: np.zeros(len(images), np.uint64) for split, images in self.listing.items()}
        totals = {split: len(images) for split, images in self.listing.items()}
        broken: list[str] = []
        digests: dict[str, bytes] = {}
        for name, (digest, pixels) in self._decoded(places):
            if isinstance(pixels, str):
                broken.append(pixels)
                continue
            split, position = places[name]
            digests[name] = digest
            prints[split][position] = fingerprints(pixels[None])[0]
            if not broken:
                writer.place(f"{split}/images", position, pixels, totals[split])
        if broken:
            raise UserError(
                f"{len(broken)} of {len(places)} images cannot be decoded:\n  "
                + first_of(sorted(broken), LINES_AT_MOST, "\n  ")
                + "\nReplace these files (or fetch their archive anew) and run the same command "
                "again. If the folder is your own, you can also remove them."
            )
        lost = sorted(set(places) - set(digests))
        if lost:
            raise UserError(f"{self.tree.where}: {lost[0]} was there and is gone; run again.")
        if self.separate:
            check_separate(self._misplaced(prints), self.tree.where)
        whole = hashlib.sha256()
        for name in places:
            whole.update(os.fsencode(name) + b"\0" + digests[name])
        writer.describe("files", whole.hexdigest())
        writer.describe("pillow", version("pillow"))  # the decoder's version

    def _decoded(
        self, names: Mapping[str, Any]
    ) -> Iterator[tuple[str, tuple[bytes, np.ndarray | str]]]:
        """Yield name, digest of the file, and pixels or an error message; threads decode them."""
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
    """Return the pixels of a photograph, uint8 (size, size, 3).

    Args:
        prepared: whether a photograph that already has this size is neither resized nor cropped.

    Raises:
        UserError: The file is truncated, no image, of absurd size, or has pixels that `to_rgb`
            refuses; the message has one line.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(blob.data), formats=FORMATS) as image:
            pixels = to_rgb(image)
            if not (prepared and pixels.size == (size, size)):
                pixels = _resized_and_cropped(pixels, size)
            return np.asarray(pixels)
    except Exception as error:  # Pillow's plugins raise errors of many types for a broken file
        raise UserError(f"{blob.where}: {len(blob.data)} bytes, {reason_of(error)}") from None


def _resized_and_cropped(image: Any, size: int) -> Any:
    """Resize the shorter side to 256/224 of ``size``, and crop the middle ``size`` x ``size``."""
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
    """Return ``listing`` after the checks that apply to every dataset.

    Raises:
        UserError: A split is empty, a file is missing or listed twice, or a label has no class.
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
                f"name are not there: {first_of(map(repr, missing))}. Unpack or fetch "
                "it anew."
            )
    seen: set[str] = set()
    for images in listing.values():
        for name, _ in images:
            if name in seen:
                raise UserError(f"{tree.where}: its lists name {name!r} twice.")
            seen.add(name)
    return listing


# Helpers for the lists of several datasets --------------------------------------------------------


def names_of(text: str) -> tuple[str, ...]:
    """Return the class names in a text that separates them by commas, over several lines."""
    return tuple(" ".join(text.split()).split(", "))


def mat_of(blob: Blob, name: str) -> np.ndarray:
    """Return one variable of a version 5 .mat file, without executing anything in the file.

    Raises:
        UserError: It is no such file, or lacks the variable.
    """
    from scipy.io import loadmat

    try:
        return np.asarray(loadmat(io.BytesIO(blob.data), squeeze_me=True)[name])
    except Exception as error:  # scipy raises errors of many types for a broken file
        raise UserError(
            f"{blob.where}: expected a version 5 .mat file with {name}, found "
            f"{len(blob.data)} bytes that cannot be read as one ({type(error).__name__}: "
            f"{reason_of(error)}). "
            "Fetch it anew, or replace your copy."
        ) from None


def label_of(name: str, class_names: Sequence[str], where: str) -> int:
    """Return the position of a class in ``class_names``.

    Raises:
        UserError: No class has this name.
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
    """Return the split of Salman et al. (2020): ``count`` images of every class train, others test.

    The training images are the first ones of their class.

    Args:
        folder: name of the folder that has one folder of .jpg files per class.
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
