"""``~`` wherever a user writes a path, and what a user needs who has no home."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from support.config import changed
from support.workflow import ROOT, step
from workflow_scripts.advtransfer import home
from workflow_scripts.advtransfer.artifacts.hdf5 import hdf5_writer, read_hdf5
from workflow_scripts.advtransfer.cli import _from_home
from workflow_scripts.advtransfer.data.known import class_names
from workflow_scripts.advtransfer.data.providers import fetch
from workflow_scripts.advtransfer.data.recipe import DatasetRecipe
from workflow_scripts.advtransfer.detection.data_recipe import CocoRecipe, VocRecipe
from workflow_scripts.advtransfer.detection.formats import read_coco, voc_names
from workflow_scripts.advtransfer.detection.scenes import Scenes
from workflow_scripts.advtransfer.recipes import to_json
from workflow_scripts.advtransfer.training.imported_recipe import ImportedRecipe
from workflow_scripts.studies.plan import make_plan

CLASSES = ["dog", "horse"]


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write_pack(path: Path) -> None:
    with h5py.File(path, "w") as file:
        grey = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)  # no picture stands twice
        file["images"] = np.tile(grey, (1, 32, 32, 3))
        file["labels"] = [0, 1, 0, 1]
        file["split"] = [b"train", b"train", b"test", b"test"]
        file.attrs["class_names"] = json.dumps(CLASSES)


def write_folder(path: Path) -> None:
    for grey, name in enumerate(("dog/1.png", "dog/2.png", "horse/1.png", "horse/2.png")):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (grey, grey, grey)).save(path / name)
    (path.parent / "tests.txt").write_text("dog/2.png\nhorse/2.png\n")


def datasets(changes: dict[str, Any]) -> set[DatasetRecipe]:
    recipes = make_plan(changed(changes)).recipes.values()
    return {r for r in recipes if isinstance(r, DatasetRecipe) and r.path is not None}


@pytest.mark.parametrize(
    "entry",
    [{"pack": "~/mine.h5"}, {"folder": "~/mine", "size": 32, "split": "~/tests.txt"}],
    ids=["pack", "folder"],
)
def test_a_dataset_in_the_home(
    entry: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planned, listed and fetched; the recipe is the same in every home."""
    found = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv("HOME", str(tmp_path / name))
        write_pack(tmp_path / name / "mine.h5")
        write_folder(tmp_path / name / "mine")
        assert class_names("cifar10", entry) == tuple(CLASSES)
        (recipe,) = datasets({"data.datasets.cifar10": entry})
        assert str(tmp_path) not in to_json(recipe)
        raw = fetch(recipe, ["local"], None, tmp_path)
        with hdf5_writer(tmp_path / f"{name}.h5", {}) as writer:
            raw.store(writer)
        arrays, _ = read_hdf5(tmp_path / f"{name}.h5", ["train/labels", "test/labels"])
        assert [array.tolist() for array in arrays.values()] == [[0, 1], [0, 1]]
        found.add(recipe)
    assert len(found) == 1


def test_a_checkpoint_in_the_home(at_home: Path) -> None:
    (at_home / "mine.pth").write_bytes(b"weights")
    (at_home / "names.txt").write_text("dog\nhorse\n")
    part = {
        "file": "~/mine.pth",
        "classes_file": "~/names.txt",
        "model": "resnet8",
        "training": "l2_3",
        "size": 32,
    }
    changes = {"checkpoints.mine": part, "studies.data_efficiency.sources.checkpoints": ["mine"]}
    recipes = make_plan(changed(changes)).recipes.values()
    (recipe,) = (r for r in recipes if isinstance(r, ImportedRecipe) and r.name == "mine")
    assert recipe.classes == ("dog", "horse") and recipe.sha256 != "missing"


def test_detection_data_in_the_home(at_home: Path) -> None:
    Image.new("RGB", (8, 8)).save(at_home / "a.png")
    coco: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 8}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4]}],
        "categories": [{"id": 1, "name": "dog"}],
    }
    (at_home / "instances.json").write_text(json.dumps(coco))
    assert Scenes(read_coco("~/instances.json"), None, "~").image(0).shape == (8, 8, 3)
    lists = at_home / "VOC2007/ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("000001\n")
    assert voc_names("~", "2007/train") == ["000001"]
    split = {"annotations": "~/instances.json", "images": "~"}
    for kind, data in (
        ("coco", {"train": split, "val": split}),
        ("voc", {"root": "~", "train": ["2007/train"], "val": ["2007/val"]}),
    ):
        masks = "studies.detection.tasks.instance_segmentation.masks"
        changes = {"data.detection.fashion_scenes": {kind: data}, masks: False}
        plan = make_plan(changed(changes))
        (recipe,) = {
            part
            for r in plan.recipes.values()
            for part in (getattr(r, kind, None),)
            if isinstance(part, CocoRecipe | VocRecipe)
        }
        assert recipe.sha256[0] != "missing" and str(at_home) not in to_json(recipe)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("--pack=~/a.h5", "--pack=HOME/a.h5"),
        ("table=~/a=b.csv", "table=HOME/a=b.csv"),
        ("~/a.h5", "HOME/a.h5"),
        ("a~/b", "a~/b"),
        ("~", "~"),
        ('{"classes":["a=~/b"]}', '{"classes":["a=~/b"]}'),
        ("--classes=a\n~/b", "--classes=a\n~/b"),
    ],
)
def test_words_of_a_command_line(word: str, expected: str, at_home: Path) -> None:
    assert _from_home(word) == expected.replace("HOME", str(at_home))


def test_a_step_takes_an_option_with_a_home(tmp_path: Path) -> None:
    options = ("--checkpoint=~/no.pth", "--family=resnet", "--classes", "a", "b", "--size", "32")
    done = step(
        ROOT, "import_checkpoint", *options, "--output=~/no.safetensors", HOME=str(tmp_path)
    )
    assert done.returncode == 1 and f"{tmp_path}/no.pth" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("home_is", "kept"), [("writable", True), ("read-only", True), ("missing", False)]
)
def test_what_cannot_be_written_into_the_home_is_written_here(
    home_is: str, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home that exists stays the home, as there may be data in it."""
    at = tmp_path / "home"
    if home_is != "missing":
        at.mkdir()
    before = os.access
    refused = [str(at)] if home_is == "read-only" else []  # root may write everywhere
    monkeypatch.setattr(os, "access", lambda path, how: path not in refused and before(path, how))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(at))
    for name in ("XDG_CACHE_HOME", "MPLCONFIGDIR", "npm_config_cache"):
        monkeypatch.setenv(name, "")  # restored afterwards
        monkeypatch.delenv(name)
    home.provide()
    here = str(tmp_path / ".snakemake/home")
    assert os.environ["HOME"] == (str(at) if kept else here)
    expected = None if home_is == "writable" else f"{here}/.cache"
    assert os.environ.get("XDG_CACHE_HOME") == expected
