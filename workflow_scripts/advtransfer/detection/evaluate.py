"""What a detector finds, in COCO's results format, and its average precision by pycocotools."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from .formats import Coco
from .scenes import Scenes

Results = list[dict[str, Any]]
KINDS = {"box": "bbox", "mask": "segm"}  # our name, pycocotools'
# The first six of COCO's twelve summary numbers: all at up to 100 detections an image.
METRICS = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")
MASK = 0.5  # a pixel belongs to an object from this probability on


@torch.no_grad()
def detect(
    detector: torch.nn.Module, scenes: Scenes, device: torch.device, batch_size: int
) -> Results:
    """Detections of every image of a split, in COCO's results format.

    Returns:
        One dictionary a detection: ``image_id``, ``category_id``, ``bbox`` (x, y, width, height, in
        pixels of the stored image), ``score``, and from Mask R-CNN ``segmentation``, a compressed
        run-length code.
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
    """uint8 (H, W, 3) to float32 (3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(255)


def average_precision(
    truth: Coco, results: Results, kind: str, areas: tuple[int, ...] = (32, 96)
) -> dict[str, float]:
    """COCO's average precision, a mean over classes and over IoU .50:.05:.95 (``AP``), at one IoU
    (``AP50``, ``AP75``), and by the size of objects.

    Args:
        truth: annotations in COCO's form.
        results: detections in COCO's results format; may be empty.
        kind: ``box`` or ``mask``: what the IoU is of.
        areas: sides in pixels of the squares that part small, medium and large objects. COCO's are
            32 and 96.

    Returns:
        By name in ``METRICS``, in [0, 1]; nan where there is no such object.
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
    # Copies, as loadRes writes into what it gets; for masks without the boxes, whose areas it would
    # take.
    own = [{k: v for k, v in row.items() if kind == "box" or k != "bbox"} for row in results]
    with _silenced():
        ground = COCO()
        ground.dataset = truth
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


def _ranges(areas: tuple[int, ...]) -> list[tuple[float, float]]:
    """Areas of all, small, medium and large objects, in square pixels."""
    small, large = (float(side) ** 2 for side in areas)
    return [(0, 1e10), (0, small), (small, large), (large, 1e10)]


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """pycocotools reports its progress on stdout."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
