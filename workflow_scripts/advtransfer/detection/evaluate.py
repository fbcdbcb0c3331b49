"""Detections in COCO's results format, and their average precision by pycocotools."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator
from numbers import Real
from typing import Any

import numpy as np
import torch

from ..errors import UserError
from .annotations import Coco, in_order
from .scenes import Scenes

Results = list[dict[str, Any]]
KINDS = {"box": "bbox", "mask": "segm"}  # pycocotools' name by ours
# The first six of COCO's twelve summary numbers, all at up to 100 detections per image.
METRICS = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")
MASK = 0.5  # smallest probability of a pixel that belongs to an object


@torch.no_grad()
def detect(
    detector: torch.nn.Module, scenes: Scenes, device: torch.device, batch_size: int
) -> Results:
    """Return the detections in every image of a split, in COCO's results format.

    Returns:
        One dictionary per detection, with ``image_id``, ``category_id``, ``bbox`` (x, y, width,
        height, in pixels of the stored image) and ``score``. Mask R-CNN adds ``segmentation``, a
        compressed run-length code.
    """
    from pycocotools import mask as codes

    detector.eval()
    found: Results = []
    for start in range(0, len(scenes), batch_size):
        positions = range(start, min(start + batch_size, len(scenes)))
        images = [as_tensor(scenes.image(k)).to(device) for k in positions]
        for position, output in zip(positions, detector(images), strict=True):
            boxes = output["boxes"].cpu()
            boxes[:, 2:] -= boxes[:, :2]
            rows = zip(
                boxes.tolist(), output["labels"].tolist(), output["scores"].tolist(), strict=True
            )
            for k, (box, label, score) in enumerate(rows):
                detection: dict[str, Any] = {
                    "image_id": scenes.coco["images"][position]["id"],
                    "category_id": scenes.categories[label - 1]["id"],
                    "bbox": [round(v, 3) for v in box],
                    "score": round(score, 5),
                }
                if "masks" in output:
                    mask = (output["masks"][k, 0] >= MASK).cpu().numpy().astype(np.uint8)
                    code = codes.encode(np.asfortranarray(mask))
                    counts = code["counts"].decode("ascii")
                    detection["segmentation"] = {"size": list(mask.shape), "counts": counts}
                found.append(detection)
    return found


def as_tensor(image: np.ndarray) -> torch.Tensor:
    """Return an image uint8 (H, W, 3) as float32 (3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(255)


def average_precision(
    truth: Coco, results: Results, kind: str, areas: tuple[int, ...] = (32, 96)
) -> dict[str, float]:
    """Return COCO's average precision, overall, at single IoUs, and by the size of objects.

    All are means over classes. ``AP`` is also a mean over IoU .50:.05:.95; ``AP50`` and ``AP75``
    are at one IoU.

    Args:
        truth: annotations in COCO's form, as `read_coco` returns them. Ids of annotations are not
            used: pycocotools takes the id 0 for "not found" and mixes up ids that recur.
        results: detections in COCO's results format; may be empty.
        kind: ``box`` or ``mask``, between which the IoU is computed.
        areas: sides, in pixels, of the squares that separate small, medium and large objects.
            COCO's are 32 and 96.

    Returns:
        Values in [0, 1] by name in ``METRICS``; nan if there is no such object.

    Raises:
        UserError: A detection is of an image or category that is not in ``truth``, or its score,
            box or mask is not what it should be.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    if not results:
        everything = [a for a in truth["annotations"] if not a["iscrowd"]]
        bounds = _ranges(areas)
        return {
            metric: 0.0 if any(low <= a["area"] <= high for a in everything) else math.nan
            for metric, (low, high) in zip(METRICS, [bounds[0]] * 3 + bounds[1:], strict=True)
        }
    numbered, own = _numbered(truth, results, kind)
    with _silenced():
        ground = COCO()
        ground.dataset = numbered
        ground.createIndex()
        evaluation = COCOeval(ground, ground.loadRes(own), KINDS[kind])
        evaluation.params.areaRng = [list(bounds) for bounds in _ranges(areas)]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    values = evaluation.stats[: len(METRICS)]
    return {
        metric: math.nan if value < 0 else float(value)
        for metric, value in zip(METRICS, values, strict=True)
    }


def _numbered(truth: Coco, results: Results, kind: str) -> tuple[Coco, Results]:
    """Return copies of both in which every id is a position from 1; pycocotools changes them.

    The order of images and categories is that of their ids, in which pycocotools breaks ties.
    """
    images = {image["id"]: k for k, image in enumerate(in_order(truth["images"]), 1)}
    categories = {c["id"]: k for k, c in enumerate(in_order(truth["categories"]), 1)}
    sizes = {image["id"]: [image["height"], image["width"]] for image in truth["images"]}
    numbered: Coco = {
        "images": [{**image, "id": images[image["id"]]} for image in truth["images"]],
        "categories": [{**c, "id": categories[c["id"]]} for c in truth["categories"]],
        "annotations": [
            {
                **item,
                "id": k,
                "image_id": images[item["image_id"]],
                "category_id": categories[item["category_id"]],
            }
            for k, item in enumerate(truth["annotations"], 1)
        ],
    }
    own = []
    for k, row in enumerate(results):
        image, category = row.get("image_id"), row.get("category_id")
        if image not in images or category not in categories:
            raise UserError(
                f"detections[{k}] is of image {image} and category {category}; the annotations do "
                "not list both."
            )
        box, mask = row.get("bbox"), row.get("segmentation")
        values = [row.get("score"), *([None] if box is None else box)]
        values = values if kind == "box" else values[:1]
        if not all(isinstance(v, Real) and math.isfinite(v) for v in values):
            raise UserError(
                f"detections[{k}] has the score {row.get('score')} and the box {box}; expected "
                "finite numbers."
            )
        if kind == "mask" and (not mask or mask["size"] != sizes[image]):
            raise UserError(
                f"detections[{k}] has a mask of size {mask and mask['size']}; image {image} has "
                f"{sizes[image]}, height first."
            )
        # Masks go without boxes, or loadRes would take the areas of the boxes.
        part = {"bbox": box} if kind == "box" else {"segmentation": mask}
        ids = {"image_id": images[image], "category_id": categories[category]}
        own.append({**ids, "score": row["score"], **part})
    return numbered, own


def _ranges(areas: tuple[int, ...]) -> list[tuple[float, float]]:
    """Return the ranges of area of all, small, medium and large objects, in square pixels."""
    small, large = (float(side) ** 2 for side in areas)
    return [(0, 1e10), (0, small), (small, large), (large, 1e10)]


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Silence the progress that pycocotools prints on stdout."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
