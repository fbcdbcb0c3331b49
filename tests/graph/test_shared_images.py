"""Collections that share pictures: what is trained, what is left out, what is told, and when."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

from support.config import FIRST
from support.plans import dry_run
from support.workflow import PLAIN_PROFILE, SMOKE, snakemake

TRAIN, TEST = 30, 12  # images of a class
STUDY = "collections"
CLASSES = {"shop": ["cup", "pot"], "zoo": ["ape", "bat"]}


def write_pack(path: Path, images: np.ndarray, class_names: list[str]) -> None:
    """The first half of the images is of the first class; of each half, the first 30 train."""
    with h5py.File(path, "w") as file:
        file["images"] = images
        file["labels"] = np.repeat([0, 1], TRAIN + TEST)
        file["split"] = np.tile([b"train"] * TRAIN + [b"test"] * TEST, 2)
        file.attrs["class_names"] = json.dumps(class_names)


def images_of(seed: int) -> np.ndarray:
    shape = (2 * (TRAIN + TEST), 8, 8, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture
def collections(workflow: Path) -> Path:
    """Two packs with two pictures in common, which sources of the first are trained on: a training
    and a test image of the second."""
    shop, zoo = images_of(0), images_of(1)
    zoo[3] = shop[5]
    zoo[TRAIN + 1] = shop[7]
    for name, images in (("shop", shop), ("zoo", zoo)):
        write_pack(workflow / f"{name}.h5", images, CLASSES[name])
    return workflow


def configured(workflow: Path, **settings: Any) -> tuple[str, ...]:
    """An overlay with a small study of both packs, as Snakemake's options."""
    overlay = {
        "main_job": [STUDY],
        "evaluation": {"images": 20},
        "models": {"tiny": {"family": "mlp", "widths": [8]}},
        "data": {"datasets": {name: {"pack": f"{name}.h5"} for name in CLASSES}},
        "studies": {
            STUDY: {
                "kind": "fixed_vs_full",
                "sources": {
                    "dataset": "shop",
                    "classes": CLASSES["shop"],
                    "images": 2 * TRAIN,
                    "groups": {
                        "all": {
                            "models": ["tiny"],
                            "trainings": ["natural", "robust_linf"],
                            "seeds": [[0, 1]],
                        }
                    },
                },
                "baseline": "natural",
                "targets": {"zoo": {"dataset": "zoo", "classes": CLASSES["zoo"]}},
                "transfer": "validated",
                **settings,
            }
        },
    }
    (workflow / "own.yaml").write_text(yaml.safe_dump(overlay))
    return *SMOKE, "own.yaml"


def rows(file: Path) -> list[dict[str, str]]:
    with open(file, newline="") as table:
        return list(csv.DictReader(table))


def test_shared_images_are_left_out_and_counted(collections: Path) -> None:
    options = configured(collections)
    done = snakemake(collections, STUDY, "--workflow-profile", PLAIN_PROFILE, *options)
    assert done.returncode == 0, done.stdout
    found = rows(collections / f"results/smoke/tables/{STUDY}.csv")
    assert {(row["shared_images"], row["shared_test_images"]) for row in found} == {("1", "1")}
    assert {row["n_test"] for row in found} == {str(2 * TEST - 1)}
    for file in (collections / "results/transfers").rglob("*.h5"):
        with h5py.File(file) as transfer:
            assert len(transfer["labels"]) == 2 * TEST - 1
    page = " ".join((collections / f"results/smoke/pages/{STUDY}.html").read_text().split())
    assert "at most 1 training and 1 test image of zoo for one source" in page
    # The other setting trains no source anew.
    plan = dry_run(collections, STUDY, config=configured(collections, shared_images="refuse"))
    assert {"compare_views", "transfer_source"} <= plan.counts.keys()
    assert "train_source" not in plan.counts, plan.reasons


def test_refused_images_stop_the_study_before_any_training(collections: Path) -> None:
    options = configured(collections, shared_images="refuse")
    done = snakemake(collections, STUDY, "--workflow-profile", PLAIN_PROFILE, *options)
    assert done.returncode == 1
    flat = re.sub(r"\s+", " ", done.stdout)
    assert "Traceback" not in flat, done.stdout
    assert flat.count("sources are trained on train images of 'shop.h5', among") == 1, flat
    assert "1 of the 60 training images of the target" in flat
    assert "1 of the 24 test images of the target" in flat
    assert "'zoo.h5'" in flat and "(ape)" in flat and "`shared_images: drop`" in flat
    assert not list((collections / "results/sources").rglob("*")), done.stdout


def test_collections_that_share_nothing_are_not_refused(collections: Path) -> None:
    write_pack(collections / "zoo.h5", images_of(1), CLASSES["zoo"])
    options = configured(collections, shared_images="refuse")
    target = f"{STUDY}_tables"
    done = snakemake(collections, target, "--workflow-profile", PLAIN_PROFILE, *options)
    assert done.returncode == 0, done.stdout
    found = rows(collections / f"results/smoke/tables/{STUDY}.csv")
    assert {(row["shared_images"], row["shared_test_images"]) for row in found} == {("0", "0")}


def test_references_wait_for_the_comparisons_too(workflow: Path) -> None:
    overlay = {"studies": {FIRST: {"shared_images": "refuse"}}}
    (workflow / "own.yaml").write_text(yaml.safe_dump(overlay))
    plan = dry_run(workflow, FIRST, config=(*SMOKE, "own.yaml"))
    compared = {job.output[0] for job in plan.jobs if job.rule == "compare_views"}
    marks = {job.output[0]: set(job.input) for job in plan.jobs if job.rule == "admit_view"}
    trained = [job for job in plan.jobs if job.rule == "train_source"]
    assert len(compared) == 1 and len(marks) == 2 and len(trained) > 2
    assert all(compared <= waits for waits in marks.values())
    assert all(marks.keys() & set(job.input) for job in trained)
