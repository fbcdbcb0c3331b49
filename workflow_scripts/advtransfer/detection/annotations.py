"""Checks of annotations in COCO's form, which are made once, when the annotations are read.

What comes out has one form. Ids of annotations are positions from 1, because pycocotools takes the
id 0 for "not found" and mixes up ids that recur. Ids of images and categories stay as they are,
whole numbers or text, so that detections name those of the file. Numbers are finite, ``iscrowd`` is
0 or 1, ``area`` is there, and masks are run-length codes of the image's size. Fields that are not
used here are left out.
"""

from __future__ import annotations

import json
import logging
import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..data.text_lists import composed
from ..errors import UserError
from ..wording import LINES_AT_MOST, first_of, short

if TYPE_CHECKING:  # the plan imports this module, and imports no array library
    import numpy as np

log = logging.getLogger("advtransfer")
Coco = dict[str, Any]
FARTHEST = 1_000_000  # pixels: greatest coordinate, and greatest side of an image
LARGEST = 1e10  # square pixels: pycocotools ignores objects above it
SMALLEST = 0.01  # pixels: narrower boxes are lost in the detectors' float32 and are not learned
FEWEST = 6  # numbers of a polygon: three points
REMARKS = {  # what need not be a mistake; the log gives the number
    "small": f"boxes narrower or lower than {SMALLEST} pixels: %d. They are not learned, and count "
    "as objects in the evaluation, as in pycocotools.",
    "beyond": "boxes that reach beyond their image by more than a pixel: %d. They are left as they "
    "are.",
    "points": "polygons of fewer than three points, which enclose nothing: %d. They are left out.",
    "no pixel": "masks that cover no pixel of their image though their box does: %d. They are left "
    "as they are, as in pycocotools; a detector of masks learns that nothing is there.",
    "repeated": "annotations that repeat another one of their image: %d. They count as objects of "
    "their own, as in pycocotools.",
    "listed again": "images or categories that are listed again: %d. They are left out.",
}


def checked(content: Any, where: str, names: Sequence[str] = ()) -> Coco:
    """Return annotations in the one form that the module's docstring describes.

    Args:
        content: what a file in COCO's form holds; nothing in it is trusted.
        where: what messages call it, such as its path.
        names: what messages call each annotation (default: position and id in ``content``).

    Raises:
        UserError: A part or a field is missing or is not what it should be. All parts of one kind
            are looked at first; the message lists the first problems and says how many there are.
    """
    for part in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(part), list):
            raise UserError(
                f"{where}: no list of '{part}'; expected COCO's instances_*.json, with images, "
                "annotations and categories."
            )
    remarks: Counter[str] = Counter()
    images = _each(_image, content["images"], "images", where)
    images = _once(images, "images", where, remarks)
    categories = _each(_category, content["categories"], "categories", where)
    categories = _once(categories, "categories", where, remarks)
    if not images or not categories:
        raise UserError(f"{where}: it lists no images or no categories.")
    same = _recurring(posixpath.normpath(image["file_name"].replace("\\", "/")) for image in images)
    if same:
        raise UserError(
            f"{where}: the image {same[0]!r} is listed under more than one id ({len(same)} such "
            "images). Give each image one entry, and its objects that entry's id as image_id."
        )
    parse = _Annotations(images, categories, remarks)
    annotations = _each(parse, content["annotations"], "annotations", where, names)
    _same_name_twice(annotations, categories, where)
    if not names:  # of VOC, whose boxes were corners
        _check_form_of_boxes([a["bbox"] for a in annotations], remarks["beyond"], where)
    for number, item in enumerate(annotations, 1):
        item["id"] = number
    for remark, count in (+remarks).items():
        log.warning("%s: %s", where, REMARKS[remark] % count)
    info = content.get("info")
    description = info.get("description") if isinstance(info, dict) else None
    return {
        "info": {"description": description} if isinstance(description, str) else {},
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def in_order(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return images or categories in the order of their ids: numbers first, then text."""
    return sorted(items, key=lambda item: (isinstance(item["id"], str), item["id"]))


def refusal(where: str, problems: Sequence[str], named: bool = False) -> UserError:
    """Return the error to raise for problems in one file or folder, which ``where`` names.

    ``named`` says whether each problem names its own file.
    """
    if len(problems) == 1:
        return UserError(f"{problems[0]}." if named else f"{where}: {problems[0]}.")
    return UserError(
        f"{where}: {len(problems)} problems:\n  "
        + first_of(problems, LINES_AT_MOST, "\n  ")
        + "\nCorrect these entries or remove them, and run the same command again."
    )


# The parts ----------------------------------------------------------------------------------------


def _each(
    parse: Callable[[dict[str, Any]], dict[str, Any]],
    items: Sequence[Any],
    part: str,
    where: str,
    names: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Return what ``parse`` makes of every item; it raises ValueError for a wrong one."""
    found, problems = [], []
    for position, item in enumerate(items):
        try:
            if not isinstance(item, dict):
                raise ValueError(f"it is {shown(item)}; expected an object with fields")
            found.append(parse(item))
        except ValueError as error:
            named = isinstance(item, dict) and "id" in item
            name = f"{part}[{position}]" + (f" (id {shown(item['id'])})" if named else "")
            problems.append(f"{names[position] if names else name}: {error}")
    if problems:
        raise refusal(where, problems)
    return found


def _image(item: dict[str, Any]) -> dict[str, Any]:
    name = _field(item, "file_name")
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise ValueError(f"'file_name' is {shown(name)}; expected the name of a file")
    parts = name.replace("\\", "/").split("/")
    if not parts[0] or ".." in parts or (len(parts[0]) == 2 and parts[0].endswith(":")):
        raise ValueError(
            f"'file_name' is {shown(name)}; expected a path inside the folder of images, without "
            "'..' and relative to the folder"
        )
    sides = {side: _whole(_field(item, side), side, 1, FARTHEST) for side in ("width", "height")}
    return {"id": _id(item, "id"), "file_name": name, **sides}


def _category(item: dict[str, Any]) -> dict[str, Any]:
    name = _field(item, "name")
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"'name' is {shown(name)}; expected text")
    return {"id": _id(item, "id"), "name": composed(name)}


class _Annotations:
    """Reads one annotation after the other, and counts in ``remarks`` what the user should know."""

    def __init__(
        self,
        images: Sequence[dict[str, Any]],
        categories: Sequence[dict[str, Any]],
        remarks: Counter[str],
    ) -> None:
        self.images = {image["id"]: image for image in images}
        self.categories = {category["id"]: category for category in categories}
        self.remarks = remarks
        self.seen: set[tuple[Any, ...]] = set()

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        image = _listed(item, "image_id", self.images)
        category = _listed(item, "category_id", self.categories)
        box = self._box(_field(item, "bbox"), image)
        area = item.get("area")  # some tools omit it, or iscrowd, or write null
        crowd = item.get("iscrowd")
        if crowd not in (None, 0, 1) or isinstance(crowd, str):
            raise ValueError(f"'iscrowd' is {shown(crowd)}; expected 0 or 1")
        result = {
            "id": 0,
            "image_id": image["id"],
            "category_id": category["id"],
            "bbox": box,
            "area": box[2] * box[3] if area is None else _number(area, "area", 0, LARGEST),
            "iscrowd": int(crowd or 0),
        }
        code = self._mask(item.get("segmentation"), image)
        if code is None and is_empty(box):
            size = [image["height"], image["width"]]
            code = encoded({"size": size, "counts": [size[0] * size[1]]}, *size)  # no pixel
        elif code is not None and not is_empty(box) and not _covers(code):
            self.remarks["no pixel"] += 1
        same = image["id"], category["id"], *box, code and code["counts"]
        if same in self.seen:
            self.remarks["repeated"] += 1
        self.seen.add(same)
        return result if code is None else {**result, "segmentation": code}

    def _box(self, box: Any, image: dict[str, Any]) -> list[float]:
        if not isinstance(box, list) or len(box) != 4:
            raise ValueError(f"'bbox' is {shown(box)}; expected [x, y, width, height]")
        try:
            left, top = (_number(v, "bbox", -FARTHEST, FARTHEST) for v in box[:2])
            width, height = (_number(v, "bbox", 0, FARTHEST) for v in box[2:])
        except ValueError:
            raise ValueError(
                f"'bbox' is {shown(box)}; expected four numbers of pixels, x, y, width, height, "
                "none of them infinite or NaN, and no negative width or height"
            ) from None
        found = [left, top, width, height]
        if is_empty(found):
            self.remarks["small"] += 1
            return found
        right, bottom = left + width, top + height
        if right < 0 or bottom < 0 or left > image["width"] or top > image["height"]:
            raise ValueError(
                f"'bbox' is {shown(box)}, which lies outside its image of "
                f"{image['width']}x{image['height']} pixels; expected x, y, width, height in pixels"
            )
        if min(left, top) < -1 or right > image["width"] + 1 or bottom > image["height"] + 1:
            self.remarks["beyond"] += 1
        return found

    def _mask(self, segmentation: Any, image: dict[str, Any]) -> dict[str, Any] | None:
        if isinstance(segmentation, list):
            few = sum(isinstance(part, list) and len(part) < FEWEST for part in segmentation)
            self.remarks["points"] += few
        return encoded(segmentation, image["height"], image["width"])


def is_empty(box: Sequence[float]) -> bool:
    """Return whether a box (x, y, width, height) is too small to be learned."""
    return min(box[2:]) < SMALLEST


def _once(
    items: list[dict[str, Any]], part: str, where: str, remarks: Counter[str]
) -> list[dict[str, Any]]:
    """Return the items without repetitions of whole entries.

    Raises:
        UserError: Two entries have the same id and differ.
    """
    found: dict[int | str, dict[str, Any]] = {}
    for item in items:
        if found.setdefault(item["id"], item) != item:
            raise UserError(
                f"{where}: two {part} have the id {shown(item['id'])}: "
                f"{shown(found[item['id']])} and {shown(item)}. Give each its own id."
            )
    remarks["listed again"] += len(items) - len(found)
    return list(found.values())


def _recurring(values: Iterable[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]


def _same_name_twice(
    annotations: Iterable[Mapping[str, Any]], categories: Iterable[Mapping[str, Any]], where: str
) -> None:
    """Refuse two categories of one name that both have objects: they would be two classes."""
    used = {item["category_id"] for item in annotations}
    same = _recurring(c["name"] for c in categories if c["id"] in used)
    if same:
        ids = ", ".join(shown(c["id"]) for c in categories if c["name"] == same[0])
        raise UserError(
            f"{where}: the categories of id {ids} are all called '{same[0]}'; rename them, or give "
            "their objects one category_id."
        )


def _check_form_of_boxes(boxes: Sequence[Sequence[float]], beyond: int, where: str) -> None:
    """Refuse boxes that seem to be corners, or fractions of the image; each alone may be right.

    Args:
        boxes: all boxes of a file, as x, y, width, height.
        beyond: number of boxes that reach beyond their image.
    """
    boxes = [box for box in boxes if not is_empty(box)]
    corners = all(box[2] > box[0] and box[3] > box[1] for box in boxes)
    if corners and 2 * beyond > len(boxes):
        raise UserError(
            f"{where}: {beyond} of {len(boxes)} boxes reach beyond their image, and all would fit "
            "as two corners; expected x, y, width, height. Convert them, or cut them off at the "
            "edges of their image."
        )
    if boxes and all(max(box[0] + box[2], box[1] + box[3]) <= 1 for box in boxes):
        raise UserError(
            f"{where}: all boxes lie inside the first pixel; expected pixels, not fractions of the "
            "image."
        )


# Values -------------------------------------------------------------------------------------------


def shown(value: Any) -> str:
    """Return a value as the file has it, shortened."""
    return short(json.dumps(value, ensure_ascii=False, default=repr))


def _field(item: Mapping[str, Any], name: str) -> Any:
    if name not in item:
        raise ValueError(f"it has no '{name}'")
    return item[name]


def _number(value: Any, name: str, low: float, high: float) -> float:
    """Return a finite number in [low, high]; NaN is in no range."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"'{name}' is {shown(value)}; expected a number in {low:g}..{high:g}")
    return float(value)


def _whole(value: Any, name: str, low: int, high: int) -> int:
    """Return a whole number in [low, high], which may be written 64.0."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not low <= value <= high
        or value != int(value)
    ):
        raise ValueError(f"'{name}' is {shown(value)}; expected a whole number, {low} or more")
    return int(value)


def _id(item: Mapping[str, Any], name: str) -> int | str:
    """Return an id: a whole number, which may be written 7.0, or text."""
    value = _field(item, name)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"'{name}' is {shown(value)}; expected a whole number or text")
    return value


def _listed(item: Mapping[str, Any], name: str, listed: Mapping[int | str, Any]) -> dict[str, Any]:
    """Return the image or category of an annotation."""
    value = _id(item, name)
    if value in listed:
        found: dict[str, Any] = listed[value]
        return found
    kind = {"image_id": "image", "category_id": "category"}[name]
    other = str(value) if isinstance(value, int) else None
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        other = int(value)  # type: ignore[assignment]
    hint = f" (there is {shown(other)}: write both the same way)" if other in listed else ""
    raise ValueError(f"'{name}' is {shown(value)}, and the file lists no such {kind}{hint}")


# Masks --------------------------------------------------------------------------------------------


def encoded(segmentation: Any, height: int, width: int) -> dict[str, Any] | None:
    """Return the compressed run-length code of a ``segmentation`` of an image of this size.

    Args:
        segmentation: polygons, or a run-length code, compressed or not. What has several parts is
            their union, as in pycocotools.

    Returns:
        ``size`` and ``counts``, or None if nothing is outlined: null, no part, or only polygons of
        fewer than three points. pycocotools fails on those, or takes them for boxes.

    Raises:
        ValueError: It is neither, or is not of an image of this size.
    """
    from pycocotools import mask as codes

    if segmentation is None:
        return None
    parts = segmentation if isinstance(segmentation, list) else [segmentation]
    found = []
    for part in parts:
        if isinstance(part, dict):
            found.append(_runs(part, height, width))
        elif isinstance(part, list):
            points = _points(part)
            found += codes.frPyObjects([points], height, width) if len(points) >= FEWEST else []
        else:
            raise ValueError(
                f"'segmentation' is {shown(segmentation)}; expected a list of polygons, "
                "[[x, y, x, y, ...], ...], or a run-length code with size and counts"
            )
    if not found:
        return None
    code = found[0] if len(found) == 1 else codes.merge(found)
    counts = code["counts"]
    text = counts if isinstance(counts, str) else counts.decode("ascii")
    return {"size": [height, width], "counts": text}


def _covers(code: dict[str, Any]) -> bool:
    """Return whether a compressed run-length code has any pixel."""
    from pycocotools import mask as codes

    return bool(codes.area(code))


def _points(polygon: list[Any]) -> list[float]:
    try:
        points = [_number(v, "segmentation", -FARTHEST, FARTHEST) for v in polygon]
    except ValueError:
        raise ValueError(
            f"'segmentation' has the polygon {shown(polygon)}; expected numbers x, y, x, y, ..., "
            "none of them infinite or NaN"
        ) from None
    if len(points) % 2:
        raise ValueError(
            f"'segmentation' has a polygon of {len(points)} numbers; expected pairs x, y"
        )
    return points


def _runs(code: dict[str, Any], height: int, width: int) -> dict[str, Any]:
    """Return a compressed run-length code whose runs fill the image exactly."""
    import numpy as np
    from pycocotools import mask as codes

    size, counts = code.get("size"), code.get("counts")
    if size != [height, width]:  # 6.0 is 6
        raise ValueError(
            f"'segmentation' has the size {shown(size)}, but the image is {height} pixels high and "
            f"{width} wide; expected [{height}, {width}], height first"
        )
    if isinstance(counts, str):
        lengths = _decompressed(counts)
    elif isinstance(counts, list):
        try:
            lengths = np.array([_whole(v, "counts", 0, FARTHEST**2) for v in counts], np.int64)
        except ValueError as error:
            raise ValueError(f"'segmentation': {error}") from None
    else:
        raise ValueError(
            f"'segmentation' has the counts {shown(counts)}; expected a list of run lengths, or "
            "their compressed text"
        )
    if lengths.min(initial=0) < 0 or lengths.sum() != height * width:
        raise ValueError(
            f"'segmentation' has runs of {lengths.sum()} pixels together; the image has "
            f"{height * width} ({height} x {width})"
        )
    if isinstance(counts, str):
        return {"size": [height, width], "counts": counts}
    found: dict[str, Any] = codes.frPyObjects(
        {"size": [height, width], "counts": lengths.tolist()}, height, width
    )
    return found


def _decompressed(counts: str) -> np.ndarray:
    """Return the run lengths, int64, of a compressed run-length code.

    Every character holds five bits of a number, the lowest first, and a sixth that says whether
    more follow; the numbers are signed, and from the fourth on they are differences from the number
    two before (``rleFrString`` in cocoapi's maskApi.c, which checks nothing).
    """
    import numpy as np

    codes = np.frombuffer(counts.encode("utf-8", "surrogatepass"), np.uint8).astype(np.int64) - 48
    last = (codes & 32) == 0  # the last character of each number
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or not last[-1]:
        raise ValueError(
            f"'segmentation' has the counts {shown(counts)}, which is no compressed run-length code"
        )
    first = np.flatnonzero(np.concatenate([[True], last[:-1]]))
    place = np.arange(len(codes)) - first[np.cumsum(last) - last]
    if place.max() > 6:
        raise ValueError(f"'segmentation' has counts with too long a number: {shown(counts)}")
    lengths = np.add.reduceat((codes & 31) << (5 * place), first)
    lengths -= np.where(codes[last] & 16, 1 << (5 * (place[last] + 1)), 0)
    lengths[1::2] = np.cumsum(lengths[1::2])
    lengths[2::2] = np.cumsum(lengths[2::2])
    return lengths
