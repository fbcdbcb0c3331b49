"""Listing of photographs in one folder per class, without opening an image.

This module imports no array library, because the plan uses it at every start of Snakemake.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..characters import CONTROL
from ..errors import UserError
from ..home import expanded
from ..wording import first_of
from .text_lists import composed, files_in_list

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
UNREAD = (".jfif", ".jpe", ".jp2", ".j2k", ".jxl", ".heic", ".heif", ".avif")  # other photographs
TESTS = ("test", "val", "valid")  # the first existing one has the test images
# Folders of operating systems and storage, some with previews that have the endings of images.
SYSTEM = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")


class ClassFolders(NamedTuple):
    """Images of a tree: names of files and labels, which are positions in ``class_names``."""

    class_names: tuple[str, ...]
    listing: Mapping[str, Sequence[tuple[str, int]]]
    digest: str  # sha256 of names, splits and sizes


def class_folders(folder: Path, split: int | str | None = None) -> ClassFolders:
    """Return the images of ``train/<class>/`` and ``test/<class>/``, or of ``<class>/`` folders.

    Images are ordered by name; folders inside a class belong to it. Names of classes are in NFC,
    see `text_lists`. The digest depends on the names and sizes of the files, but not on their
    content.

    Args:
        folder: the tree. Links are followed. Hidden files, files of operating systems, and files
            with other endings than those of images are ignored.
        split: None: use ``train/`` and ``test/`` (or ``val/``, or ``valid/``). A number: so many
            images of every class, from the first, are training images, the rest test images. A
            path: a text file with the names of the test images, see `files_in_list`, relative to
            ``folder``; the rest are training images.

    Raises:
        UserError: The folder does not have this layout, an image in it cannot be read or is of a
            kind that is not read, or the list names an image that is not there.
    """
    folder = expanded(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder. Correct the path, or put the images there.")
    try:
        sizes = _images(folder, folder_files(folder))
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed ({error}).") from None
    if split is None:
        by_split = _folders_say(folder, sizes)
    elif isinstance(split, int):
        by_split = _first_train(folder, sizes, split)
    else:
        listed = _listed(folder, sizes, split)
        by_split = {"train": [], "test": []}
        for name in sizes:
            by_split["test" if name in listed else "train"].append((_class(folder, name, 0), name))
    for part, images in by_split.items():
        if not images:
            raise UserError(f"{folder}: no {part} images in it ({' '.join(ENDINGS)}).")
    names = tuple(sorted({class_name for class_name, _ in by_split["train"]}))
    for class_name, name in by_split["test"]:
        if class_name not in names:
            raise UserError(
                f"{folder}: the test image {name} is of class '{class_name}', which has no "
                "training images. Add some, or remove the test image."
            )
    bad = [name for name in names if CONTROL.search(name)]
    if bad:
        raise UserError(f"{folder}: the folder {bad[0]!r} has a control character in its name.")
    whole = hashlib.sha256()
    for part, images in by_split.items():
        for _, name in images:
            whole.update(f"{part}\0".encode() + os.fsencode(name) + f"\0{sizes[name]}\n".encode())
    positions = {name: k for k, name in enumerate(names)}
    listing = {
        part: [(name, positions[class_name]) for class_name, name in images]
        for part, images in by_split.items()
    }
    return ClassFolders(names, listing, whole.hexdigest())


def folder_files(folder: Path) -> dict[str, int]:
    """Return the sizes in bytes of the files below a folder that are not hidden, sorted by name.

    Raises:
        UserError: Links lead nowhere, or folders cannot be opened: files would be missing without
            a word. The message counts and names them.
    """
    found: dict[str, int] = {}
    lost: list[str] = []

    def visit(path: str, prefix: str, above: tuple[tuple[int, int], ...]) -> None:
        about = os.stat(path)
        here = (about.st_dev, about.st_ino)
        if here in above:  # a link to a folder that contains it
            return
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in SYSTEM:
                    continue
                name = prefix + entry.name
                try:
                    if entry.is_dir():
                        visit(entry.path, f"{name}/", (*above, here))
                    elif entry.is_file():
                        found[name] = entry.stat().st_size
                    elif entry.is_symlink() and not os.path.exists(entry.path):
                        lost.append(f"{name} (a link to {os.readlink(entry.path)})")
                except OSError as error:
                    lost.append(f"{name} ({error.strerror})")

    visit(str(folder), "", ())
    if lost:
        raise UserError(
            f"{folder}: {len(lost)} of the {len(lost) + len(found)} files and folders in it cannot "
            f"be reached: {first_of(sorted(lost))}. Is a disk not mounted, or a permission "
            "missing? Restore them, or remove them from the folder."
        )
    return dict(sorted(found.items()))


def _images(folder: Path, files: Mapping[str, int]) -> dict[str, int]:
    """Return the images among ``files``; refuse files that would be left out without a word."""
    images = {name: size for name, size in files.items() if name.lower().endswith(ENDINGS)}
    unread = [name for name in files if name.lower().endswith(UNREAD)]
    if unread:
        raise UserError(
            f"{folder}: {len(unread)} photographs in it are of kinds that are not read, beside "
            f"{len(images)} others: {first_of(unread)}. Convert them to one of "
            f"{' '.join(ENDINGS)}, or remove them."
        )
    empty = [name for name, size in images.items() if not size]
    if empty:
        raise UserError(
            f"{folder}: {len(empty)} of its {len(images)} images are empty files: "
            f"{first_of(empty)}. Copy them anew, or remove them."
        )
    seen: dict[str, str] = {}
    for name in images:
        other = seen.setdefault(composed(name), name)
        if other != name:
            raise UserError(
                f"{folder}: two images have one name, {ascii(other)} and {ascii(name)}, which "
                "differ only in how Unicode writes their letters. Remove or rename one."
            )
    return images


Images = dict[str, list[tuple[str, str]]]  # split to class and name


def _folders_say(folder: Path, sizes: Mapping[str, int]) -> Images:
    tops = {name.partition("/")[0] for name in sizes if "/" in name}
    test = next((name for name in TESTS if name in tops), None)
    if "train" not in tops or test is None:
        raise UserError(
            f"{folder}: expected train/<class>/ and test/<class>/ with images in it, found "
            f"{first_of(sorted(tops)) or 'no folder with images'}. If these are the classes, "
            "say how to split them with the key `split`: `split: 30` (the first 30 images of every "
            "class train) or `split: <file that lists the test images>`."
        )
    return {
        part: [(_class(folder, name, 1), name) for name in sizes if name.partition("/")[0] == top]
        for part, top in (("train", "train"), ("test", test))
    }


def _first_train(folder: Path, sizes: Mapping[str, int], count: int) -> Images:
    by_class: dict[str, list[str]] = {}
    for name in sizes:
        by_class.setdefault(_class(folder, name, 0), []).append(name)
    few = [c for c, names in by_class.items() if len(names) <= count]
    if few:
        raise UserError(
            f"{folder}: class '{few[0]}' has {len(by_class[few[0]])} images, so that `split: "
            f"{count}` would leave none to test. Lower it, or remove the class."
        )
    return {
        "train": [(c, name) for c, names in by_class.items() for name in names[:count]],
        "test": [(c, name) for c, names in by_class.items() for name in names[count:]],
    }


def _class(folder: Path, name: str, depth: int) -> str:
    parts = name.split("/")
    if len(parts) < depth + 2:
        raise UserError(
            f"{folder / name}: an image beside the classes' folders. Put it into the folder of its "
            "class, or remove it."
        )
    return str(composed(parts[depth]))


def _listed(folder: Path, sizes: Mapping[str, int], split: str) -> set[str]:
    """Return the images that the file ``split`` lists."""
    if not expanded(split).is_file():
        raise UserError(
            f"{split}: no such list of test images. `split` is a number, or the path of a text "
            "file with the name of one image a line."
        )
    return files_in_list(split, sizes.keys(), ENDINGS, str(folder))
