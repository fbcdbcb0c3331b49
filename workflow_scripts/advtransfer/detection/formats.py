"""Readers of annotations in the official formats: COCO's JSON, and Pascal VOC's XML.

Both return COCO's form, a dictionary with ``images``, ``annotations`` and ``categories``
(https://cocodataset.org/#format-data), as `annotations.checked` leaves it.
"""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..artifacts.files import file_error
from ..data.text_lists import name_on_disk, read_lines
from ..errors import UserError
from ..home import expanded
from .annotations import Coco, checked, refusal, shown

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)


def read_coco(path: str | Path) -> Coco:
    """Return annotations in COCO's format, as in ``annotations/instances_val2017.json``.

    Some tools omit ``area`` and ``iscrowd``, or write null; these become the area of the box and 0.

    Raises:
        UserError: The file is missing or no JSON, has a key twice, or `checked` refuses it.
    """
    try:
        content = json.loads(expanded(path).read_bytes(), object_pairs_hook=_each_key_once)
    except OSError as error:
        raise file_error(path, error, "read") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: this file is not JSON ({error}); is it complete?") from None
    return checked(content, str(path))


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object. Python itself keeps the last of two values of a key."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {shown(twice)} occurs twice in one object")
    return found


def same_categories(train: Coco, val: Coco, where: str) -> None:
    """Refuse two splits whose categories differ.

    Raises:
        UserError: They differ; the message names the first difference.
    """
    first, second = ({c["id"]: c["name"] for c in part["categories"]} for part in (train, val))
    if first != second:
        odd = min(set(first.items()) ^ set(second.items()), key=str)
        raise UserError(
            f"{where}: the categories of training and validation differ, first in id {odd[0]} "
            f"('{odd[1]}'); use annotations of one dataset."
        )


def read_voc(root: str | Path, sets: Sequence[str]) -> Coco:
    """Return the boxes of Pascal VOC in COCO's form, from the layout of ``VOCdevkit``.

    VOC counts pixels from 1, and its corners are inside the box. Objects marked difficult become
    ``iscrowd``: training omits them, and evaluation counts them neither right nor wrong.
    ``file_name`` is relative to ``root``. There are no masks, so an object's area is that of its
    box.

    Args:
        root: folder that contains ``VOC2007`` and so on.
        sets: sets ``<year>/<set>``, whose images ``VOC<year>/ImageSets/Main/<set>.txt`` lists.

    Raises:
        UserError: A list or an annotation is missing, an image is listed twice, a class is none of
            VOC's 20, or a field is not what it should be. All annotations are looked at first.
    """
    where = f"{root} ({', '.join(sets)})"
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    names: list[str] = []  # what messages call the annotations
    problems: list[str] = []
    listed: dict[str, str] = {}
    for name in sets:
        year = name.partition("/")[0]
        for stem in voc_names(root, name):
            file_name = f"VOC{year}/JPEGImages/{stem}.jpg"
            if file_name in listed:
                raise UserError(
                    f"{voc_list(root, name)}: the image '{stem}' is already listed in "
                    f"'{listed[file_name]}'; list every image once."
                )
            listed[file_name] = name
            folder = expanded(root) / f"VOC{year}" / "Annotations"
            path = folder / name_on_disk(folder, f"{stem}.xml")
            try:
                width, height, objects = _voc_annotation(path)
            except UserError as error:
                problems.append(str(error))
                continue
            number = len(images) + 1
            images.append({"id": number, "file_name": file_name, "width": width, "height": height})
            for position, item in enumerate(objects, 1):
                annotations.append({"id": len(annotations) + 1, "image_id": number, **item})
                label = VOC_CLASSES[item["category_id"] - 1]
                names.append(f"{path}: object {position} ({label})")
    if problems:
        raise refusal(where, [text.removesuffix(".") for text in problems], named=True)
    content = {
        "info": {"description": f"Pascal VOC {', '.join(sets)}, boxes"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": k + 1, "name": name} for k, name in enumerate(VOC_CLASSES)],
    }
    return checked(content, where, names)


def _voc_annotation(path: Path) -> tuple[int, int, list[dict[str, Any]]]:
    """Return an image's width and height, and its objects in COCO's form without ids."""
    tree = _xml(path)
    width, height = (_number(tree, f"size/{side}", str(path)) for side in ("width", "height"))
    if min(width, height) < 1 or not (width.is_integer() and height.is_integer()):
        raise UserError(
            f"{path}: the size is {width:g}x{height:g}; expected the image's width and height in "
            "whole pixels."
        )
    objects = []
    for position, item in enumerate(tree.iter("object"), 1):
        label = _text(item, "name", str(path))
        if label not in VOC_CLASSES:
            raise UserError(
                f"{path}: '{label}' is none of the 20 classes of Pascal VOC "
                f"({', '.join(VOC_CLASSES)}); bring other data in COCO's format."
            )
        where = f"{path}: object {position} ({label})"
        left, top, right, bottom = (
            _number(item, f"bndbox/{side}", where) for side in ("xmin", "ymin", "xmax", "ymax")
        )
        for side, low, high in (("x", left, right), ("y", top, bottom)):
            if low > high:
                raise UserError(
                    f"{where}: {side}min is {low:g} and {side}max {high:g}; expected {side}min to "
                    f"be at most {side}max."
                )
        difficult = item.findtext("difficult", "").strip()
        if difficult not in ("", "0", "1"):
            raise UserError(f"{where}: 'difficult' is '{difficult}'; expected 0 or 1.")
        box = [left - 1, top - 1, right - left + 1, bottom - top + 1]
        objects.append(
            {
                "category_id": VOC_CLASSES.index(label) + 1,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": int(difficult == "1"),
            }
        )
    return int(width), int(height), objects


def voc_list(root: str | Path, name: str) -> Path:
    """Return the path of the file that lists the images of ``<year>/<set>``."""
    year, _, part = name.partition("/")
    if not (re.fullmatch(r"\d{4}", year) and part):
        raise UserError(
            f"'{name}' is no set of Pascal VOC; expected <year>/<set>, as 2007/trainval."
        )
    return expanded(root) / f"VOC{year}" / "ImageSets" / "Main" / f"{part}.txt"


def voc_names(root: str | Path, name: str) -> list[str]:
    """Return the names of the images of ``<year>/<set>``."""
    # Lists of one class have 1, 0 or -1 after the name.
    return [re.sub(r"\s+(-1|0|1)$", "", line) for line in read_lines(voc_list(root, name))]


def _xml(path: Path) -> ElementTree.Element:
    try:
        text = path.read_bytes()
        plain = text.replace(b"\0", b"")  # also of UTF-16
        if b"<!DOCTYPE" in plain or b"<!ENTITY" in plain:  # entities can expand without limit
            raise UserError(f"{path}: an annotation of Pascal VOC declares no entities.")
        return ElementTree.fromstring(text)
    except OSError as error:
        raise file_error(path, error, "read") from None
    # ValueError, LookupError: an encoding that is not known
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UserError(f"{path}: this file is not XML ({error}); is it complete?") from None


def _text(element: ElementTree.Element, name: str, where: str) -> str:
    found = element.findtext(name)
    if found is None:
        raise UserError(f"{where}: no '{name}' in it; expected an annotation of Pascal VOC.")
    return found.strip()


def _number(element: ElementTree.Element, name: str, where: str) -> float:
    text = _text(element, name, where)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{where}: '{name}' is '{text}'; expected a number of pixels.")
    return number
