"""The images of official data on disk: where they are, which way up they are, and their pixels."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from ..artifacts.files import file_sha256
from ..data.formats import reason_of
from ..data.pictures import FORMATS, to_rgb
from ..data.text_lists import name_on_disk
from ..errors import UserError
from ..home import expanded
from .annotations import Coco, refusal, shown

ORIENTATION = 0x0112  # EXIF's tag
TURNS = {  # what makes an image upright, by orientation; 1 is upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ON_ITS_SIDE = (5, 6, 7, 8)  # orientations by which width and height change places


class Look(NamedTuple):
    """What an image file says about itself."""

    name: str  # as it is on disk
    size: tuple[int, int]  # width and height as stored
    orientation: int

    @property
    def upright(self) -> tuple[int, int]:
        """Return width and height after the turn that ``orientation`` asks for."""
        return self.size[::-1] if self.orientation in ON_ITS_SIDE else self.size


def with_files(coco: Coco, folder: Path) -> Coco:
    """Return annotations whose images were all found, decoded, and compared with their size.

    Names become those on disk: a name may have been written with ``\\`` or in another Unicode form.
    An image gets ``orientation`` if its EXIF data say that viewers have to turn it, and its
    annotation is of the turned image. The annotated size tells if it is. Where it does not (an
    image turned by 180 degrees, or a square), the other images of the split decide.

    Raises:
        UserError: Images are missing, cannot be decoded, have another size than annotated, or leave
            open which way up their annotations are. All images are tried first.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of images; correct the path, or put them there.")
    images = coco["images"]
    pool = ThreadPoolExecutor()
    try:
        looks = pool.map(partial(_look, folder), images)
        seen = list(tqdm(looks, "checking", len(images), unit="image", disable=None, leave=False))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the rest
    problems = [look for look in seen if isinstance(look, str)]
    found = [
        (entry, look) for entry, look in zip(images, seen, strict=True) if not isinstance(look, str)
    ]
    ways = {  # whether annotations are of upright images, from those whose size tells
        (entry["width"], entry["height"]) == look.upright
        for entry, look in found
        if look.size != look.upright
    }
    placed = []
    for entry, look in found:
        path = folder / look.name
        annotated = entry["width"], entry["height"]
        more = {}
        if annotated not in (look.size, look.upright):
            problems.append(_other_size(path, look.size, entry))
        elif look.size != look.upright:
            more = {"orientation": look.orientation} if annotated == look.upright else {}
        elif look.orientation != 1 and len(ways) != 1:
            problems.append(
                f"{path}: its EXIF orientation is {look.orientation}, and nothing tells whether "
                "its annotations are of the image as stored or as shown upright; save it upright "
                "(`mogrify -auto-orient`), or remove the tag (`exiftool -Orientation=`)"
            )
        elif look.orientation != 1 and ways == {True}:
            more = {"orientation": look.orientation}
        placed.append({**entry, "file_name": look.name, **more})
    if problems:
        raise refusal(str(folder), problems, named=True)
    return {**coco, "images": placed}


def same_images(train: Coco, val: Coco, folders: Mapping[str, Path]) -> list[str]:
    """Return the paths of the training files that are in both splits, themselves or as copies."""
    first, second = (
        {os.path.realpath(folders[split] / e["file_name"]) for e in part["images"]}
        for split, part in (("train", train), ("val", val))
    )
    sizes = {os.path.getsize(path) for path in second}
    alike = [path for path in first if os.path.getsize(path) in sizes]
    if not alike:
        return []
    contents = {file_sha256(path) for path in second}
    return sorted(path for path in alike if file_sha256(path) in contents)


def pixels_of(folder: str, entry: Mapping[str, Any]) -> np.ndarray:
    """Return an image, uint8 (H, W, 3), the way up that its annotation is.

    Raises:
        UserError: The file is missing, cannot be decoded, or has another size than annotated.
    """
    path = expanded(folder) / entry["file_name"]
    try:
        with Image.open(path, formats=FORMATS) as file:
            picture = to_rgb(file)
            if "orientation" in entry:
                picture = picture.transpose(TURNS[entry["orientation"]])
            found = np.asarray(picture)
    except Exception as error:  # Pillow's plugins raise errors of many types for a broken file
        raise UserError(f"{_unreadable(path, entry, error)}.") from None
    height, width = found.shape[:2]
    if (width, height) != (entry["width"], entry["height"]):
        raise UserError(f"{_other_size(path, (width, height), entry)}.")
    return found


def _look(folder: Path, entry: Mapping[str, Any]) -> Look | str:
    """Decode an image, and return what it says about itself, or a problem."""
    path = folder / entry["file_name"]
    try:
        path = folder / name_on_disk(folder, entry["file_name"])
        with Image.open(path, formats=FORMATS) as file:
            size = to_rgb(file).size
            orientation = file.getexif().get(ORIENTATION, 1)
    except Exception as error:  # as above
        return _unreadable(path, entry, error)
    return Look(str(path.relative_to(folder)), size, orientation if orientation in TURNS else 1)


def _unreadable(path: Path, entry: Mapping[str, Any], error: Exception) -> str:
    reason = reason_of(error)
    return (
        f"{path}: the image of id {shown(entry['id'])} could not be read ({reason}); put it there, "
        "or copy it anew"
    )


def _other_size(path: Path, size: tuple[int, int], entry: Mapping[str, Any]) -> str:
    return (
        f"{path}: the image has {size[0]}x{size[1]} pixels, its annotation says "
        f"{entry['width']}x{entry['height']}; the two do not belong together"
    )
