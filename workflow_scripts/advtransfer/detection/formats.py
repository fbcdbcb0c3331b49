"""Readers of annotations in the official formats: COCO's JSON, and Pascal VOC's XML.

Both return COCO's form, a dictionary with ``images``, ``annotations`` and ``categories``
(https://cocodataset.org/#format-data).
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..artifacts.files import file_error
from ..errors import UserError
from ..home import expanded

Coco = dict[str, Any]
VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
NEEDED = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}


def read_coco(path: str | Path) -> Coco:
    """Return annotations in COCO's format, as in ``annotations/instances_val2017.json``.

    Some tools omit ``area`` and ``iscrowd``; these become the area of the box and 0.

    Raises:
        UserError: The file is missing or no JSON, a part or a field is missing, or an annotation
            names an image or a category that is not listed.
    """
    try:
        content = json.loads(expanded(path).read_bytes())
    except OSError as error:
        raise file_error(path, error, "read") from None
    except ValueError as error:
        raise UserError(f"{path}: this file is not JSON ({error}); is it complete?") from None
    return checked(content, str(path))


def checked(content: Any, where: str) -> Coco:
    """Return COCO's form with every field that is used here; see `read_coco`."""
    for part, fields in NEEDED.items():
        if not isinstance(content, dict) or not isinstance(content.get(part), list):
            raise UserError(
                f"{where}: no list of '{part}'; expected COCO's instances_*.json, with images, "
                "annotations and categories."
            )
        for position, item in enumerate(content[part]):
            missing = [f for f in fields if not isinstance(item, dict) or f not in item]
            if missing:
                raise UserError(f"{where}: {part}[{position}] has no '{missing[0]}'.")
    images = {item["id"] for item in content["images"]}
    categories = {item["id"] for item in content["categories"]}
    if not images or not categories:
        raise UserError(f"{where}: it lists no images or no categories.")
    for item in content["annotations"]:
        if item["image_id"] not in images or item["category_id"] not in categories:
            raise UserError(
                f"{where}: annotation {item['id']} is of image {item['image_id']} and category "
                f"{item['category_id']}, of which the file lists no such one."
            )
        box = item["bbox"]
        if len(box) != 4 or min(box[2:]) < 0:
            raise UserError(
                f"{where}: annotation {item['id']} has the bbox {box}; expected x, y, width, "
                "height."
            )
        item.setdefault("area", float(box[2] * box[3]))
        item.setdefault("iscrowd", 0)
    result: Coco = content
    return result


def same_categories(train: Coco, val: Coco, where: str) -> None:
    """Refuse two splits whose categories differ.

    Raises:
        UserError: They differ; the message names the first difference.
    """
    first, second = ({c["id"]: c["name"] for c in part["categories"]} for part in (train, val))
    if first != second:
        odd = sorted(set(first.items()) ^ set(second.items()))[0]
        raise UserError(
            f"{where}: the categories of training and validation differ, first in id {odd[0]} "
            f"('{odd[1]}'); use annotations of one dataset."
        )


def same_images(train: Coco, val: Coco) -> str | None:
    """Return the name of a file that is in both splits, or None."""
    first, second = ({image["file_name"] for image in part["images"]} for part in (train, val))
    return min(first & second, default=None)


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
        UserError: A list, an annotation or a field is missing, or a class is none of VOC's 20.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for name in sets:
        year, _, part = name.partition("/")
        folder = expanded(root) / f"VOC{year}"
        for stem in voc_names(root, name):
            path = folder / "Annotations" / f"{stem}.xml"
            tree = _xml(path)
            number = len(images) + 1
            width, height = (int(_text(tree, f"size/{side}", path)) for side in ("width", "height"))
            file_name = f"VOC{year}/JPEGImages/{stem}.jpg"
            images.append({"id": number, "file_name": file_name, "width": width, "height": height})
            for item in tree.iter("object"):
                label = _text(item, "name", path)
                if label not in VOC_CLASSES:
                    raise UserError(
                        f"{path}: '{label}' is none of the 20 classes of Pascal VOC "
                        f"({', '.join(VOC_CLASSES)}); bring other data in COCO's format."
                    )
                left, top, right, bottom = (
                    float(_text(item, f"bndbox/{side}", path))
                    for side in ("xmin", "ymin", "xmax", "ymax")
                )
                box = [left - 1, top - 1, right - left + 1, bottom - top + 1]
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": VOC_CLASSES.index(label) + 1,
                        "bbox": box,
                        "area": box[2] * box[3],
                        "iscrowd": int(item.findtext("difficult", "0").strip() == "1"),
                    }
                )
    return checked(
        {
            "info": {"description": f"Pascal VOC {', '.join(sets)}, boxes"},
            "images": images,
            "annotations": annotations,
            "categories": [{"id": k + 1, "name": name} for k, name in enumerate(VOC_CLASSES)],
        },
        f"{root} ({', '.join(sets)})",
    )


def voc_list(root: str | Path, name: str) -> Path:
    """Return the path of the file that lists the images of ``<year>/<set>``."""
    year, _, part = name.partition("/")
    return expanded(root) / f"VOC{year}" / "ImageSets" / "Main" / f"{part}.txt"


def voc_names(root: str | Path, name: str) -> list[str]:
    """Return the names of the images of ``<year>/<set>``."""
    path = voc_list(root, name)
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise file_error(path, error, "read") from None
    return [line.split()[0] for line in lines if line.strip()]


def _xml(path: Path) -> ElementTree.Element:
    try:
        text = path.read_bytes()
        if (
            b"<!DOCTYPE" in text or b"<!ENTITY" in text
        ):  # VOC has none; entities can expand without limit
            raise UserError(f"{path}: an annotation of Pascal VOC declares no entities.")
        return ElementTree.fromstring(text)
    except OSError as error:
        raise file_error(path, error, "read") from None
    except ElementTree.ParseError as error:
        raise UserError(f"{path}: this file is not XML ({error}); is it complete?") from None


def _text(element: ElementTree.Element, name: str, path: Path) -> str:
    found = element.findtext(name)
    if found is None:
        raise UserError(f"{path}: no '{name}' in it; expected an annotation of Pascal VOC.")
    return found.strip()
