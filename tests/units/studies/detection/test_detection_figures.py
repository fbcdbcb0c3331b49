"""The figures and the page of detection: what they show, and say where a part is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from support import parts
from support.figure_tables import write
from workflow_scripts.advtransfer.artifacts.hdf5 import write_hdf5
from workflow_scripts.advtransfer.artifacts.sealed_json import write_sealed_json
from workflow_scripts.advtransfer.artifacts.table_writer import write_rows
from workflow_scripts.advtransfer.data.recipe import DatasetRecipe
from workflow_scripts.advtransfer.detection.data_recipe import ComposedRecipe, DetectionDataRecipe
from workflow_scripts.advtransfer.detection.scenes import make_scenes
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.studies.columns import EVALUATION_COLUMNS
from workflow_scripts.studies.detection import analysis as compare_detectors

STUDY = "detection"
TRAININGS = ["natural", "robust_l2_quarter", "robust_l2", "untrained"]
RECIPE: dict[str, Any] = {
    "study": STUDY,
    "model": "resnet8",
    "baseline": "natural",
    "robust": "robust_l2",
    "trainings": TRAININGS,
    "tasks": {
        "box_detection": "Faster R-CNN, scenes",
        "instance_segmentation": "Mask R-CNN, scenes",
    },
    "areas": {"box_detection": [16, 24], "instance_segmentation": [16, 24]},
    "pictured": "instance_segmentation",
}
METRICS = {"AP": 0.35, "AP50": 0.63, "AP75": 0.36, "AP_small": 0.2, "AP_medium": 0.42}
GAINS = {"natural": 0.0, "robust_l2_quarter": 0.01, "robust_l2": 0.03, "untrained": -0.06}


def ap_rows(seeds: int) -> list[dict[str, Any]]:
    """Of every seed the same gain plus a little noise that sums to 0."""
    rows = []
    for task, quantities in (
        ("box_detection", ["box"]),
        ("instance_segmentation", ["box", "mask"]),
    ):
        for training in TRAININGS if task == "box_detection" else ["natural", "robust_l2"]:
            for seed in range(seeds):
                for of in quantities:
                    for metric, value in {**METRICS, "AP_large": ""}.items():
                        if value:
                            own = 0.01 * (seed - (seeds - 1) / 2) * (1 + GAINS[training])
                            value = value + GAINS[training] + own - 0.07 * (of == "mask")
                        rows.append(
                            {
                                "study": STUDY,
                                "source": training,
                                "source_model": "resnet8",
                                "source_family": "resnet",
                                "source_training": training,
                                "robust": int("robust" in training),
                                "source_norm": "",
                                "source_epsilon": 0,
                                "source_seed": seed,
                                "task": task,
                                "data": "scenes",
                                "detector": "mask_rcnn",
                                "of": of,
                                "metric": metric,
                                "value": value,
                                "epochs": 6,
                                "train_loss": 0.5,
                                "n_images": 200,
                                "n_objects": 468,
                            }
                        )
    return rows


def source_rows() -> list[dict[str, Any]]:
    return [
        {
            **dict.fromkeys(EVALUATION_COLUMNS, ""),
            "study": STUDY,
            "source_model": "resnet8",
            "source_training": training,
            "source_seed": 0,
            "attack": attack,
            "norm": norm,
            "epsilon": epsilon,
            "accuracy": 0.7 - epsilon,
        }
        for training in TRAININGS
        for attack, norm, epsilon in (("none", "", 0.0), ("pgd", "l2", 0.5))
    ]


def make_tables(folder: Path, seeds: int) -> dict[str, str]:
    files = {name: str(folder / f"{name}.csv") for name in ("table", "differences", "sources")}
    write(Path(files["table"]), ap_rows(seeds))
    write(Path(files["sources"]), source_rows())
    settings = {"study": STUDY, "baseline": "natural"}
    made = compare_detectors.analyse({"table": files["table"]}, settings)
    columns, rows = made["differences"]
    write_rows(files["differences"], rows, columns)
    return files


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return make_tables(tmp_path_factory.mktemp("tables"), 3)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return make_tables(tmp_path_factory.mktemp("single"), 1)


def test_differences_are_paired_by_seed(tables: dict[str, str]) -> None:
    rows = pd.read_csv(tables["differences"])
    assert len(rows) == 5 * 3 + 2 * 5  # the size that nothing has is left out
    main = rows[(rows["task"] == "box_detection") & (rows["metric"] == "AP")]
    robust = main[main["training"] == "robust_l2"].iloc[0]
    assert (robust["value"], robust["n_source_seeds"]) == (pytest.approx(0.03), 3)
    assert (robust["mean"], robust["baseline_mean"]) == pytest.approx((0.38, 0.35))
    # Differences .0297, .03, .0303: a t interval of 4.30 standard errors.
    half = 4.3027 * 0.0003 / 3**0.5
    assert (robust["ci_low"], robust["ci_high"]) == pytest.approx((0.03 - half, 0.03 + half), 1e-4)


def test_one_seed_has_no_interval(single: dict[str, str]) -> None:
    rows = pd.read_csv(single["differences"])
    assert rows["value"].notna().all() and rows["ci_low"].isna().all()


def drawn(step: str, tables: dict[str, str], output: Path) -> str:
    return parts.draw(STUDY, step, tables, output, RECIPE)


FIGURES = {
    "average_precision": (
        "table",
        [
            "box detection, boxes",
            "instance segmentation, masks",
            "AP₇₅",
            "medium",
            "untrained",
            "small: below 16² pixels, large: from 24²",
        ],
    ),
    "ap_differences": (
        "differences",
        ["box detection", "AP₅₀", "robust ℓ₂, quarter", "interval excludes 0", "AP − natural"],
    ),
    "published_detection": (
        "table",
        ["Published: COCO, VOC", "Ours", "segmentation", "compare signs, not values"],
    ),
}


@pytest.mark.parametrize("step", FIGURES)
def test_figure_shows_what_it_is_about(
    step: str, tables: dict[str, str], single: dict[str, str], tmp_path: Path
) -> None:
    table, wanted = FIGURES[step]
    text = drawn(step, {table: tables[table]}, tmp_path / "figure.svg")
    for part in wanted:
        assert part in text, (part, text)
    alone = drawn(step, {table: single[table]}, tmp_path / "single.svg")
    assert "interval excludes 0" not in alone


# Pictures ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    white = np.full((1, 10, 10, 3), 255, np.uint8)
    black = np.zeros((1, 8, 8, 3), np.uint8)
    for name, images in (("objects", white), ("backgrounds", black)):
        arrays = {}
        for split in ("train", "test"):
            arrays |= {f"{split}/images": images, f"{split}/labels": np.zeros(1, int)}
        write_hdf5(folder / f"{name}.h5", arrays, {"class_names": ["thing"]})
    composed = ComposedRecipe(
        objects=DatasetRecipe("fashion_mnist"),
        object_classes=("thing",),
        backgrounds=DatasetRecipe("cifar10"),
        background_classes=("thing",),
        size=32,
        train_images=2,
        val_images=6,
        objects_per_image=(2, 2),
        scales=(10, 12),
    )
    files = folder / "objects.h5", folder / "backgrounds.h5"
    make_scenes(DetectionDataRecipe("scenes", composed=composed), folder / "data.h5", files)
    return folder / "data.h5"


def test_pictures_show_what_is_found_beside_what_there_is(data: Path, tmp_path: Path) -> None:
    detection = {"image_id": 1, "category_id": 1, "bbox": [2.0, 3.0, 9.0, 9.0]}
    found = [{**detection, "score": 0.87}, {**detection, "score": 0.31}]
    write_sealed_json(tmp_path / "found.json", found)
    write_sealed_json(tmp_path / "nothing.json", [])
    files = {
        "data": str(data),
        "natural": str(tmp_path / "nothing.json"),
        "robust_l2": str(tmp_path / "found.json"),
    }
    text = parts.draw(STUDY, "detections", {}, tmp_path / "figure.svg", RECIPE, files)
    for part in ("annotated", "natural", "robust ℓ₂", "thing", ".87", "scores from 0.5"):
        assert part in text, (part, text)
    assert ".31" not in text  # too unsure to be drawn
    parts.draw(STUDY, "detections", {}, tmp_path / "figure.png", RECIPE, files)
    assert Image.open(tmp_path / "figure.png").size[0] > 1000


def test_predictions_that_were_changed_are_refused(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    write_sealed_json(file, [])
    file.write_text('[{"image_id":1,"category_id":1,"bbox":[0,0,1,1],"score":1}]')
    with pytest.raises(UserError, match="does not have its checksum"):
        parts.figure(STUDY, "detections", {}, RECIPE, {"data": str(data), "natural": str(file)})


# Page --------------------------------------------------------------------------------------------


def page(tables: dict[str, str]) -> str:
    return re.sub(r"\s+", " ", parts.page(STUDY, tables, RECIPE, {"models": ["resnet8"]}))


def test_page_says_what_came_out(tables: dict[str, str]) -> None:
    text = page(tables)
    assert "The claim is supported:" in text
    assert "better in 3 (interval above 0)" in text
    assert "robust ℓ₂ minus natural, 3 seeds" in text
    assert "box detection, boxes: +0.030 [0.029, 0.031]" in text
    assert "0.5280" in text and "+0.0107" in text  # published


def test_page_is_true_of_every_scale(tables: dict[str, str]) -> None:
    """Data may be photographs, networks the published ones."""
    text = page(tables)
    for words in ("training are small", "is another one than ours", "Composed scenes are no"):
        assert words not in text


def test_page_of_one_seed_claims_nothing(single: dict[str, str]) -> None:
    text = page(single)
    assert "Not measurable:" in text and "one seed bears no interval" in text
