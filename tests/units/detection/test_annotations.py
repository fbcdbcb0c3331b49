"""Annotations as tools write them: what is brought into one form, and what is refused."""

from __future__ import annotations

import copy
import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as codes

from workflow_scripts.advtransfer.detection.annotations import encoded
from workflow_scripts.advtransfer.detection.formats import read_coco, same_categories
from workflow_scripts.advtransfer.detection.scenes import Scenes, mask_of
from workflow_scripts.advtransfer.errors import UserError

HIGH, WIDE = 6, 8
RING = [1, 1, 5, 1, 5, 4, 1, 4]  # 3 x 4 pixels
Change = Callable[[dict[str, Any]], Any]


def content() -> dict[str, Any]:
    """Two images with an object each."""
    return {
        "images": [
            {"id": 139, "file_name": "a.png", "width": WIDE, "height": HIGH},
            {"id": 285, "file_name": "b.png", "width": WIDE, "height": HIGH},
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}],
        "annotations": [
            {
                "id": 71 + k,
                "image_id": image,
                "category_id": category,
                "bbox": [1.0, 1.0, 4.0, 3.0],
                "area": 12.0,
                "iscrowd": 0,
                "segmentation": [RING],
            }
            for k, (image, category) in enumerate([(139, 1), (285, 90)])
        ],
    }


def read(folder: Path, change: Change = lambda c: None) -> dict[str, Any]:
    found = content()
    change(found)
    (folder / "a.json").write_text(json.dumps(found))
    return read_coco(folder / "a.json")


def first(**fields: Any) -> Change:
    """Change fields of the first annotation."""
    return lambda c: c["annotations"][0].update(fields)


def image(**fields: Any) -> Change:
    return lambda c: c["images"][0].update(fields)


def category(**fields: Any) -> Change:
    return lambda c: c["categories"][0].update(fields)


def without(part: str, field: str) -> Change:
    return lambda c: c[part][0].pop(field)


# Refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *(
            (first(bbox=box), r"annotations\[0\] \(id 71\): 'bbox' is ")
            for box in (
                None,
                "1,2,3,4",
                ["1", "2", "3", "4"],
                {"x": 1},
                [1, 2, 3],
                [math.nan, 1, 2, 3],
                [1, 1, math.nan, 3],
                [1, 1, math.inf, 3],
                [1, 1, -4, 3],
                [1, 1, True, 3],
                [1, 1, None, 3],
                [1, 1, 10**400, 3],
                [1, 1, 1e7, 3],
            )
        ),
        (first(bbox=[9, 1, 4, 3]), r"lies outside its image of 8x6 pixels"),
        (first(bbox=[-9, 1, 4, 3]), r"lies outside its image"),
        *(
            (first(area=area), r"annotations\[0\] \(id 71\): 'area' is ")
            for area in ("12", True, math.nan, math.inf, -1, 10**400, 1e11)
        ),
        *(
            (first(iscrowd=crowd), r"annotations\[0\] \(id 71\): 'iscrowd' is .* 0 or 1")
            for crowd in ("0", "false", 2, 0.5, math.nan, [])
        ),
        (first(image_id="139"), r"'image_id' is \"139\".*no such image \(there is 139: write both"),
        (first(category_id="1"), r"'category_id' is \"1\".*\(there is 1: write both the same"),
        (first(category_id="person"), r"'category_id' is \"person\", and the file lists no such"),
        (first(category_id=None), r"'category_id' is null; expected a whole number or text"),
        (first(category_id=True), r"'category_id' is true"),
        (first(image_id=139.5), r"'image_id' is 139.5"),
        (without("annotations", "bbox"), r"annotations\[0\] \(id 71\): it has no 'bbox'"),
        (lambda c: c["annotations"].append(None), r"annotations\[2\]: it is null"),
        (image(id=285), r"two images have the id 285: .*a\.png.*b\.png"),
        (image(id=False), r"images\[0\] \(id false\): 'id' is false"),
        (image(file_name="b.png"), r"the image 'b.png' is listed under more than one id"),
        (image(file_name=".\\b.png"), r"the image 'b.png' is listed under more than one id"),
        *(
            (image(file_name=name), r"images\[0\] \(id 139\): 'file_name' is ")
            for name in (None, "", 7, "/data/a.png", "../a.png", "x/../../a.png", "C:\\x\\a.png")
        ),
        *(
            (image(width=side), r"images\[0\] \(id 139\): 'width' is .* whole number, 1 or more")
            for side in (None, 0, -8, "8", 8.5, True, math.nan, math.inf, 10**400)
        ),
        (without("images", "height"), r"images\[0\] \(id 139\): it has no 'height'"),
        (category(id=90), r"two categories have the id 90: .*person.*toothbrush"),
        (category(name="toothbrush"), r"the categories of id 1, 90 are all called 'toothbrush'"),
        (category(name=None), r"categories\[0\] \(id 1\): 'name' is null"),
        (lambda c: c.update(annotations=None), "no list of 'annotations'"),
    ],
)
def test_what_cannot_be_meant_is_refused(change: Change, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"a\.json: .*{message}"):
        read(tmp_path, change)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (
            {"size": [WIDE, HIGH], "counts": [0, 12, 36]},
            r"size \[8, 6\].*expected \[6, 8\], height",
        ),
        ({"size": [HIGH, WIDE], "counts": [0, 12]}, "runs of 12 pixels together; the image has 48"),
        ({"size": [HIGH, WIDE], "counts": [0, 12, 360]}, "runs of 372 pixels"),
        ({"size": [HIGH, WIDE], "counts": [0, 60, -12]}, "'counts' is -12"),
        ({"size": [HIGH, WIDE], "counts": []}, "runs of 0 pixels"),
        ({"size": [HIGH, WIDE], "counts": None}, "has the counts null"),
        ({"size": [HIGH, WIDE]}, "has the counts null"),
        ({"counts": [0, 12, 36]}, "has the size null"),
        ({}, "has the size null"),
        ([[*RING, 1]], "a polygon of 9 numbers; expected pairs"),
        ([[*RING, "1", 1]], "has the polygon .* expected numbers"),
        ([[*RING, math.nan, 1]], "has the polygon"),
        ([[*RING, True, 1]], "has the polygon"),
        ([[[1, 1], [5, 1], [5, 4]]], "has the polygon"),
        ([[*RING, 1e9, 1]], "has the polygon"),
        (RING, r"expected a list of polygons"),
        ("mask.png", r"expected a list of polygons"),
    ],
)
def test_masks_that_would_be_other_masks_are_refused(
    segmentation: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=rf"a\.json: annotations\[0\] \(id 71\): .*{message}"):
        read(tmp_path, first(segmentation=segmentation))


def compressed(high: int = HIGH, wide: int = WIDE) -> str:
    mask = np.zeros((high, wide), np.uint8)
    mask[1:4, 1:5] = 1
    text: str = codes.encode(np.asfortranarray(mask))["counts"].decode()
    return text


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (compressed(HIGH + 1, WIDE), "runs of 56 pixels"),
        (compressed(HIGH, WIDE - 1), "runs of 42 pixels"),
        (compressed()[:-1], "runs of|no compressed"),
        ("", "no compressed run-length code"),
        ("o", "no compressed run-length code"),  # more is to come
        ("é1", "no compressed run-length code"),
        ("ooooooooo1", "too long a number"),
    ],
)
def test_compressed_runs_fill_the_image(counts: str, message: str, tmp_path: Path) -> None:
    segmentation = {"size": [HIGH, WIDE], "counts": counts}
    with pytest.raises(UserError, match=message):
        read(tmp_path, first(segmentation=segmentation))


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    def change(c: dict[str, Any]) -> None:
        c["annotations"] = [{**c["annotations"][0], "bbox": None, "id": k} for k in range(30)]

    with pytest.raises(UserError) as told:
        read(tmp_path, change)
    lines = str(told.value).splitlines()
    assert lines[0].endswith("a.json: 30 problems:")
    assert lines[10].startswith("  annotations[9] (id 9): 'bbox' is null")
    assert lines[11:] == [
        "  and 20 more",
        "Correct these entries or remove them, and run the same command again.",
    ]


def test_json_of_other_systems(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    text = json.dumps(content())
    expected = read(tmp_path)
    for encoding in ("utf-8-sig", "utf-16"):
        file.write_bytes(text.encode(encoding))
        assert read_coco(file) == expected
    for bad, message in (
        (text.replace("person", "Bär").encode("latin-1"), "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (
            text.replace('"categories": [', '"images": [], "categories": [').encode(),
            "'images'|twice",
        ),
        (b"null", "no list of 'images'"),
    ):
        file.write_bytes(bad)
        with pytest.raises(UserError, match=message):
            read_coco(file)


# Brought into one form ----------------------------------------------------------------------------


def test_ids_are_numbered_anew_and_nothing_else_changes(tmp_path: Path) -> None:
    def ids(*values: Any) -> Change:
        return lambda c: [a.update(id=v) for a, v in zip(c["annotations"], values, strict=True)]

    expected = read(tmp_path)
    assert [a["id"] for a in expected["annotations"]] == [1, 2]
    assert read(tmp_path, lambda c: c.update(copy.deepcopy(expected))) == expected
    for change in (ids(0, 1), ids(7, 7), ids("x", None), ids(10**30, -1)):
        assert read(tmp_path, change) == expected
    assert read(tmp_path, without("annotations", "id")) == expected


def test_fields_that_tools_leave_empty(tmp_path: Path) -> None:
    expected = read(tmp_path)
    for change in (
        first(area=None, iscrowd=None),
        without("annotations", "area"),
        without("annotations", "iscrowd"),
        first(iscrowd=False),
        first(iscrowd=0.0),
        image(width=8.0, id=139.0),
        first(bbox=[1, 1, 4, 3]),
        category(supercategory=None),
        lambda c: c.pop("info", None),
        lambda c: c.update(info=[], licenses=math.nan),
        lambda c: c["images"].append(dict(c["images"][0])),  # listed again
        lambda c: c["categories"].append(dict(c["categories"][0])),
        lambda c: c["categories"].append({"id": 0, "name": "person"}),  # without an object
    ):
        found = read(tmp_path, change)
        assert found["images"] == expected["images"]
        assert found["annotations"] == expected["annotations"]
    assert read(tmp_path, first(iscrowd=True))["annotations"][0]["iscrowd"] == 1


def test_text_may_be_an_id(tmp_path: Path) -> None:
    def change(c: dict[str, Any]) -> None:
        for part in ("images", "categories"):
            for item in c[part]:
                item["id"] = f"{part} {item['id']}"
        for item in c["annotations"]:
            item["image_id"] = f"images {item['image_id']}"
            item["category_id"] = f"categories {item['category_id']}"

    scenes = Scenes(read(tmp_path, change), None, "")
    assert [c["name"] for c in scenes.categories] == ["person", "toothbrush"]
    assert [scenes.target(k, masks=True).labels.tolist() for k in (0, 1)] == [[1], [2]]
    same_categories(scenes.coco, scenes.coco, "same")
    with pytest.raises(UserError, match="categories of training and validation differ"):
        same_categories(scenes.coco, read(tmp_path), "other")


@pytest.mark.parametrize("box", [[2, 1, 1e-6, 3], [2, 1, 0, 3], [2, 1, 3, 0.0], [8, 6, 0, 0]])
def test_boxes_too_small_to_learn_stay_objects(
    box: list[float], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = read(tmp_path, first(bbox=box, segmentation=None))
    assert "a.json: boxes narrower or lower than 0.01 pixels: 1. They" in caplog.text
    scenes = Scenes(found, None, "")
    assert scenes.objects(0) == []
    assert len(scenes.coco["annotations"]) == 2
    scenes.check("val", masks=True)  # what is no pixel wide has a mask of no pixel
    corners = scenes.target(1, masks=False).boxes
    assert (corners[:, 2:] > corners[:, :2]).all()


def test_boxes_beyond_the_image_are_told_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = read(tmp_path, first(bbox=[1, 1, 5, 9]))
        assert "boxes that reach beyond their image by more than a pixel: 1. They" in caplog.text
        assert found["annotations"][0]["bbox"] == [1, 1, 5, 9]
        caplog.clear()
        read(tmp_path, first(bbox=[-0.5, 1, 9, 3]))  # half a pixel of rounding
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[1, 1, 5, 4], [4, 3, 8, 6], [5, 1, 8, 3]], "2 of 3 boxes reach beyond.*two corners"),
        ([[0.1, 0.2, 0.5, 0.4], [0.5, 0.5, 0.5, 0.5], [0, 0, 0, 0]], "pixels, not fractions"),
    ],
)
def test_boxes_of_another_form_are_refused(
    boxes: list[list[float]], message: str, tmp_path: Path
) -> None:
    def change(c: dict[str, Any]) -> None:
        c["annotations"] = [{**c["annotations"][0], "bbox": box} for box in boxes]

    with pytest.raises(UserError, match=rf"a\.json: .*{message}"):
        read(tmp_path, change)


def test_repeated_annotations_are_told_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = read(tmp_path, lambda c: c["annotations"].append({**c["annotations"][0], "id": 9}))
    assert "annotations that repeat another one of their image: 1. They" in caplog.text
    assert len(found["annotations"]) == 3


def square() -> np.ndarray:
    mask = np.zeros((HIGH, WIDE), np.uint8)
    mask[1:4, 1:5] = 1
    return mask


@pytest.mark.parametrize(
    "segmentation",
    [
        [RING],
        [RING, [2, 2, 3, 3], [2, 2], []],  # parts of fewer than three points enclose nothing
        [[2, 2, 3, 3], RING],  # pycocotools takes a first part of four numbers for a box
        [[1, 1, 3, 1, 3, 4, 1, 4], [3, 1, 5, 1, 5, 4, 3, 4]],
        {"size": [HIGH, WIDE], "counts": [7, 3, 3, 3, 3, 3, 3, 3, 20]},
        {"size": [6.0, 8.0], "counts": [7, 3, 3, 0, 0, 3, 3, 3, 3, 3, 20]},
        {"size": [HIGH, WIDE], "counts": compressed()},
        [{"size": [HIGH, WIDE], "counts": [7, 3, 3, 3, 3, 3, 3, 3, 20]}],
    ],
)
def test_every_form_of_a_mask_is_the_same_mask(segmentation: Any, tmp_path: Path) -> None:
    (found, _) = read(tmp_path, first(segmentation=segmentation))["annotations"]
    assert set(found["segmentation"]) == {"size", "counts"}
    assert (mask_of(found, HIGH, WIDE) == square()).all()
    assert (mask_of({"id": 1, "segmentation": segmentation}, HIGH, WIDE) == square()).all()


@pytest.mark.parametrize("segmentation", [None, [], [[]], [[1, 1]], [[1, 1, 5, 4]]])
def test_without_a_mask_boxes_are_learned_and_masks_refused_before_training(
    segmentation: Any, tmp_path: Path
) -> None:
    scenes = Scenes(read(tmp_path, first(segmentation=segmentation)), None, "")
    assert scenes.target(0, masks=False).boxes.tolist() == [[1, 1, 5, 4]]
    scenes.check("train", masks=False)
    for split in ("train", "val"):
        with pytest.raises(UserError, match=r"1 of 2 .*annotations\[0\], of a\.png"):
            scenes.check(split, masks=True)


def test_a_crowd_that_is_not_learned_needs_no_mask_to_train(tmp_path: Path) -> None:
    scenes = Scenes(read(tmp_path, first(segmentation=None, iscrowd=1)), None, "")
    scenes.check("train", masks=True)
    with pytest.raises(UserError, match="1 of 2 validation annotations"):
        scenes.check("val", masks=True)


def test_nothing_to_measure_is_told(tmp_path: Path) -> None:
    scenes = Scenes(read(tmp_path, lambda c: c["annotations"].clear()), None, "")
    with pytest.raises(UserError, match="the validation annotations have no object in any image"):
        scenes.check("val", masks=False)


def test_flat_polygons_have_no_pixels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = read(tmp_path, first(segmentation=[[1, 1, 5, 1, 3, 1]]))
    assert "masks that cover no pixel of their image though their box does: 1." in caplog.text
    assert mask_of(found["annotations"][0], HIGH, WIDE).sum() == 0


def test_codes_are_those_of_pycocotools() -> None:
    """Against its own encoder, on masks of many sizes and runs, with numbers of several digits."""
    random = np.random.default_rng(0)
    for density in (0, 0.001, 0.1, 0.5, 0.99, 1):
        for high, wide in ((1, 1), (1, 50), (33, 17), (400, 300)):
            mask = (random.random((high, wide)) < density).astype(np.uint8)
            counts = codes.encode(np.asfortranarray(mask))["counts"].decode()
            column = np.concatenate([[0], mask.flatten("F"), [2]])
            edges = np.flatnonzero(np.diff(column))
            runs = np.diff(np.concatenate([[0], edges])).tolist()
            for form in (counts, runs):
                code = encoded({"size": [high, wide], "counts": form}, high, wide)
                assert code is not None and (codes.decode(code) == mask).all()
