"""COCO's average precision on cases whose answer is worked out by hand."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as codes
from pytest import approx

from workflow_scripts.advtransfer.detection.evaluate import METRICS, average_precision
from workflow_scripts.advtransfer.errors import UserError


def rle(left: int, top: int, width: int, height: int) -> dict[str, Any]:
    mask = np.zeros((100, 100), np.uint8)
    mask[top : top + height, left : left + width] = 1
    code = codes.encode(np.asfortranarray(mask))
    return {"size": [100, 100], "counts": code["counts"].decode()}


def truth(*boxes: tuple[int, list[float]], crowd: tuple[int, ...] = ()) -> dict[str, Any]:
    """Annotations of one image: category and box each."""
    return {
        "images": [{"id": 7, "file_name": "x", "width": 100, "height": 100}],
        "categories": [{"id": 1, "name": "a"}, {"id": 5, "name": "b"}],
        "annotations": [
            {
                "id": k + 1,
                "image_id": 7,
                "category_id": category,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": int(k in crowd),
                "segmentation": rle(*map(int, box)),
            }
            for k, (category, box) in enumerate(boxes)
        ],
    }


def found(category: int, box: list[float], score: float) -> dict[str, Any]:
    segmentation = rle(*map(int, box))
    part = {"image_id": 7, "category_id": category, "bbox": box, "score": score}
    return {**part, "segmentation": segmentation}


ONE, FAR = [10.0, 10.0, 20.0, 20.0], [60.0, 60.0, 20.0, 20.0]


def test_all_found_exactly(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("box", "mask"):
        result = average_precision(
            truth((1, ONE), (5, FAR)), [found(1, ONE, 0.9), found(5, FAR, 0.8)], kind
        )
        assert [result[m] for m in METRICS[:4]] == approx([1] * 4)
        assert math.isnan(result["AP_large"])  # there is no such object
    assert capsys.readouterr().out == ""


def test_half_of_the_objects() -> None:
    """Precision is 1 up to recall .5: 51 of the 101 points of recall from 0 to 1."""
    result = average_precision(truth((1, ONE), (1, FAR)), [found(1, ONE, 0.9)], "box")
    assert result["AP"] == approx(51 / 101)


def test_a_wrong_one_before_the_right_one() -> None:
    """Precision at full recall is 1/2, and it is the same at every recall."""
    detections = [found(1, FAR, 0.9), found(1, ONE, 0.8)]
    assert average_precision(truth((1, ONE)), detections, "box")["AP"] == approx(0.5)
    # After it, it costs nothing.
    detections[0]["score"] = 0.1
    assert average_precision(truth((1, ONE)), detections, "box")["AP"] == approx(1)


def test_a_shifted_box_counts_at_low_thresholds() -> None:
    """5 of 20 pixels aside: an IoU of 15/25 = .6, which passes .50, .55 and .60 of ten."""
    shifted = [15.0, 10.0, 20.0, 20.0]
    for kind in ("box", "mask"):
        result = average_precision(truth((1, ONE)), [found(1, shifted, 0.9)], kind)
        assert (result["AP50"], result["AP75"]) == approx((1, 0))
        assert result["AP"] == approx(0.3)


def test_mask_and_box_are_two_things() -> None:
    detection = found(1, ONE, 0.9)
    detection["segmentation"] = rle(10, 10, 20, 8)  # in the right box, .4 of the object
    annotations = truth((1, ONE))
    assert average_precision(annotations, [detection], "box")["AP"] == approx(1)
    assert average_precision(annotations, [detection], "mask")["AP"] == approx(0)


def test_it_is_a_mean_over_classes() -> None:
    """One class found, the other called by the first one's name, with a lower score."""
    detections = [found(1, ONE, 0.9), found(1, FAR, 0.5)]
    assert average_precision(truth((1, ONE), (5, FAR)), detections, "box")["AP"] == approx(0.5)


def test_crowds_are_neither_right_nor_wrong() -> None:
    annotations = truth((1, ONE), (1, FAR), crowd=(1,))
    detections = [found(1, FAR, 0.9), found(1, ONE, 0.8)]
    assert average_precision(annotations, detections, "box")["AP"] == approx(1)


def test_sizes_are_those_asked_for() -> None:
    annotations = truth((1, ONE), (1, [50.0, 50.0, 40.0, 40.0]))
    detections = [found(1, ONE, 0.9)]
    coco = average_precision(annotations, detections, "box")
    assert (coco["AP_small"], coco["AP_medium"]) == approx((1, 0))  # 20 below 32, 40 below 96
    own = average_precision(annotations, detections, "box", areas=(10, 30))
    assert math.isnan(own["AP_small"])
    assert (own["AP_medium"], own["AP_large"]) == approx((1, 0))
    # AP of everything does not hang on them.
    assert own["AP"] == coco["AP"]


def test_size_of_a_detected_mask_is_its_own() -> None:
    """A wrong one of 30 x 30 = 900 pixels, small, in a box of 40 x 40, medium.

    Of what is not found, only detections of the same size count: it comes before the small object,
    and precision is 1/2 there; the medium one stays at 1.
    """
    annotations = truth((1, ONE), (1, [50.0, 50.0, 40.0, 40.0]))
    wrong = found(1, [5.0, 50.0, 40.0, 40.0], 0.9)
    wrong["segmentation"] = rle(5, 50, 30, 30)
    detections = [wrong, found(1, ONE, 0.8), found(1, [50.0, 50.0, 40.0, 40.0], 0.7)]
    masks = average_precision(annotations, detections, "mask")
    assert (masks["AP_small"], masks["AP_medium"]) == approx((0.5, 1))
    boxes = average_precision(annotations, detections, "box")
    assert (boxes["AP_small"], boxes["AP_medium"]) == approx((1, 0.5))


def many() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Twelve images of three objects each, and detections of all of them: AP 1."""
    annotations, detections = [], []
    for image in range(12):
        for k in range(3):
            box = [5.0 + 30 * k, 10.0, 20.0, 20.0]
            item = {"image_id": image, "category_id": 1 + k % 2, "bbox": box}
            item["segmentation"] = rle(*map(int, box))
            annotations.append({**item, "area": 400.0, "iscrowd": 0})
            detections.append({**item, "score": 0.9 - 0.01 * image})
    images = [{"id": k, "file_name": f"{k}", "width": 100, "height": 100} for k in range(12)]
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    return {"images": images, "categories": categories, "annotations": annotations}, detections


@pytest.mark.parametrize(
    "numbers",
    [range(1, 37), range(36), [k // 5 for k in range(36)], [0] * 36, [7] * 36],
    ids=["from 1", "from 0", "recurring", "all 0", "all equal"],
)
def test_ids_of_annotations_do_not_matter(numbers: Any) -> None:
    annotations, detections = many()
    for item, number in zip(annotations["annotations"], numbers, strict=True):
        item["id"] = number
    before = copy.deepcopy(annotations)
    for kind in ("box", "mask"):
        assert average_precision(annotations, detections, kind)["AP"] == approx(1)
    assert annotations == before


@pytest.mark.parametrize(
    "as_id",
    [str, lambda k: f"picture {k}", lambda k: k if k % 2 else f"{k}", lambda k: 2**63 + k],
    ids=["digits", "text", "mixed", "huge"],
)
def test_ids_of_images_and_categories_may_be_of_any_kind(as_id: Any) -> None:
    """pycocotools itself sorts them as an array: mixed ones become text, huge ones floats."""
    annotations, detections = many()
    for item in annotations["images"] + annotations["categories"]:
        item["id"] = as_id(item["id"])
    for item in annotations["annotations"] + detections:
        item |= {key: as_id(item[key]) for key in ("image_id", "category_id")}
    detections.pop()
    for kind in ("box", "mask"):
        found = average_precision(annotations, detections, kind)["AP"]
        assert 0.9 < found < 1
        assert found == average_precision(many()[0], many()[1][:-1], kind)["AP"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 8}, r"detections\[0\] is of image 8 and category 1"),
        ({"category_id": 2}, r"detections\[0\] is of image 7 and category 2"),
        ({"score": math.nan}, r"detections\[0\] has the score nan"),
        ({"score": None}, r"detections\[0\] has the score None"),
        ({"bbox": [1, 2, math.inf, 3]}, r"detections\[0\] has .* the box \[1, 2, inf, 3\]"),
        ({"bbox": None}, r"detections\[0\] has .* the box None"),
        ({"segmentation": None}, r"detections\[0\] has a mask of size None"),
        ({"segmentation": {"size": [9, 9], "counts": "Q3"}}, r"a mask of size \[9, 9\]; image 7"),
    ],
)
def test_detections_that_fit_nothing_are_refused(change: dict[str, Any], message: str) -> None:
    detection = found(1, ONE, 0.9) | change
    with pytest.raises(UserError, match=message):
        for kind in ("box", "mask"):
            average_precision(truth((1, ONE)), [detection], kind)


def test_results_are_left_as_they_were() -> None:
    detections = [found(1, ONE, 0.9), found(5, FAR, 0.8)]
    boxes = [{k: v for k, v in row.items() if k != "segmentation"} for row in detections]
    for results, kinds in ((detections, ("box", "mask")), (boxes, ("box",))):
        before = copy.deepcopy(results)
        for kind in kinds:
            average_precision(truth((1, ONE), (5, FAR)), results, kind)
        assert results == before


def test_nothing_found() -> None:
    result = average_precision(truth((1, ONE)), [], "box")
    assert list(result) == list(METRICS)
    assert (result["AP"], result["AP50"], result["AP_small"]) == approx((0, 0, 0))
    assert math.isnan(result["AP_medium"])
