"""The steps of transfer leave out images that the source is trained on."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from support.networks import CONVOLUTIONAL, SIZE, small_network, toy_set
from support.steps import run_step
from support.transfers import FULL, ITERATED, SOLVED
from workflow_scripts.advtransfer.artifacts.hdf5 import read_hdf5, write_hdf5
from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
from workflow_scripts.advtransfer.data.comparison_recipe import ComparisonRecipe
from workflow_scripts.advtransfer.data.comparisons import compare_views, read_shared
from workflow_scripts.advtransfer.data.recipe import REFUSE, DatasetRecipe
from workflow_scripts.advtransfer.data.view_recipe import ViewRecipe
from workflow_scripts.advtransfer.data.views import make_view
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.models.zoo import save_checkpoint
from workflow_scripts.advtransfer.recipes import to_json
from workflow_scripts.advtransfer.transfer.recipe import ModeRecipe, TransferRecipe
from workflow_scripts.advtransfer.transfer.subsets_recipe import SubsetsRecipe, cached_features

torch.set_num_threads(1)

CLASSES = ("a", "b", "c")
TRAIN = ViewRecipe(DatasetRecipe("hdf5_pack", path="target.h5"), "train", CLASSES)
TEST = dataclasses.replace(TRAIN, split="test")
SOURCE = ViewRecipe(DatasetRecipe("hdf5_pack", path="source.h5"), "train", CLASSES)
SHARED = {"train": [7, 20], "test": [2]}  # images of the target that the source is trained on
ATTACK = AttackRecipe("fgsm", "linf", 4 / 255)
SUBSETS = SubsetsRecipe(TRAIN, TEST, SOLVED, (12, 48), (0, 1), (ATTACK,), attacked_images=10)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Datasets, views, a comparison, a network; in `rest/` the views without what is shared."""
    parts = {}
    for name, seed in (("target", 0), ("source", 1)):
        arrays = {}
        for split, count, offset in (("train", 48, 0), ("test", 24, 10)):
            images, labels = toy_set(count, seed=seed + offset)
            arrays[f"{split}/images"] = np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
            arrays[f"{split}/labels"] = labels.numpy()
        parts[name] = arrays
    for split, positions in SHARED.items():
        for k, position in enumerate(positions):
            theirs = parts["source"]["train/images"][3 * k + len(split)]
            parts["target"][f"{split}/images"][position] = theirs
    for name, arrays in parts.items():
        write_hdf5(tmp_path / f"{name}-data.h5", arrays, {"class_names": list(CLASSES)})
    for name, view in (("source", SOURCE), ("train", TRAIN), ("test", TEST)):
        dataset = "source" if name == "source" else "target"
        make_view(view, tmp_path / f"{dataset}-data.h5", tmp_path / f"{name}.h5")
    compare_views(
        ComparisonRecipe(SOURCE, TRAIN, TEST),
        *(tmp_path / f"{name}.h5" for name in ("source", "train", "test", "comparison")),
    )
    (tmp_path / "rest").mkdir()
    shared = read_shared(tmp_path / "comparison.h5")
    assert (len(shared.train), len(shared.test)) == (2, 1)
    for name, positions in (("train", shared.train), ("test", shared.test)):
        arrays, attributes = read_hdf5(tmp_path / f"{name}.h5")
        rest = {key: np.delete(array, positions, 0) for key, array in arrays.items()}
        write_hdf5(tmp_path / "rest" / f"{name}.h5", rest, attributes)
    save_checkpoint(tmp_path / "model.safetensors", small_network(), CONVOLUTIONAL, CLASSES, SIZE)
    return tmp_path


def options(files: Path, recipe: object, train: str = "train", test: str = "test") -> list[str]:
    return [
        *("--recipe", to_json(recipe), "--seeds", "0", "--device", "cpu", "--threads", "1"),
        *("--checkpoints", str(files / "model.safetensors")),
        *("--train-view", str(files / f"{train}.h5"), "--test-view", str(files / f"{test}.h5")),
        *("--dataset", str(files / "target-data.h5")),
    ]


def transferred(files: Path, recipe: TransferRecipe, *more: str, rest: str = "") -> dict:
    line = options(files, recipe, f"{rest}train", f"{rest}test")
    output = files / "transfer.h5"
    run_step(
        "transfer_source", [*line, *more, "--output", str(output), "--curves", str(files / "c.csv")]
    )
    return read_hdf5(output)[0]


def subsets(files: Path, recipe: SubsetsRecipe, *more: str, test: str = "test") -> list[dict]:
    """The rows of the step, from stored activations where the mode has them."""
    output = files / "subsets.csv"
    line = options(files, recipe, test=test)
    features = cached_features(recipe)
    if features is not None:
        stored = str(files / "features.h5")
        run_step("extract_features", [*options(files, features, test=test), "--output", stored])
        line += ["--features", stored]
    run_step("transfer_subsets", [*line, *more, "--output", str(output)])
    with open(output, newline="") as handle:
        return list(csv.DictReader(handle))


def compared(files: Path) -> tuple[str, str]:
    return "--comparison", str(files / "comparison.h5")


@pytest.mark.parametrize("shared_images", ["drop", REFUSE])
def test_a_transfer_is_that_to_a_target_without_the_shared_images(
    files: Path, shared_images: str
) -> None:
    recipe = TransferRecipe(TRAIN, TEST, (SOLVED, ITERATED))
    # The setting of its own does not move a number.
    asked = dataclasses.replace(recipe, shared_images=shared_images)
    found = transferred(files, asked, *compared(files))
    expected = transferred(files, recipe, rest="rest/")
    assert found.keys() == expected.keys() and len(found["labels"]) == 23
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
    whole = transferred(files, recipe)
    assert len(whole["labels"]) == 24


@pytest.mark.parametrize("mode", [SOLVED, FULL], ids=lambda mode: mode.mode)
def test_subsets_hold_no_shared_image_and_are_measured_on_none(
    files: Path, mode: ModeRecipe
) -> None:
    rows = subsets(files, dataclasses.replace(SUBSETS, mode=mode), *compared(files))
    clean = [row for row in rows if not row["attack"]]
    assert {row["n_images"] for row in clean} == {"23"}
    # The first ten of the test view, less the shared one if it is among them.
    position = int(read_shared(files / "comparison.h5").test[0])
    attacked = {row["n_images"] for row in rows if row["attack"]}
    assert attacked == {str(10 - (position < 10))}
    if mode == SOLVED:  # subsets of all 48 images have the 46 others, so both draws are one set
        one, other = (float(row["train_loss"]) for row in clean if row["images"] == "48")
        assert one == pytest.approx(other, rel=1e-3)


@pytest.mark.parametrize("mode", [ITERATED, FULL], ids=lambda mode: mode.mode)
def test_test_images_that_are_left_out_are_as_if_they_were_not_there(
    files: Path, mode: ModeRecipe
) -> None:
    shared = read_shared(files / "comparison.h5")
    arrays = {"train": np.zeros(0, np.int64), "test": shared.test}
    write_hdf5(files / "comparison.h5", arrays, {"images": {"train": 48, "test": 24}})
    recipe = dataclasses.replace(SUBSETS, mode=mode, attacks=(), attacked_images=0)
    found = subsets(files, recipe, *compared(files))
    expected = subsets(files, recipe, test="rest/test")
    assert found == expected and found[0]["n_images"] == "23"


def test_where_all_attacked_images_are_shared_the_way_out_is_told(files: Path) -> None:
    position = int(read_shared(files / "comparison.h5").test[0])
    arrays = {"train": np.zeros(0, np.int64), "test": np.arange(position + 1)}
    write_hdf5(files / "comparison.h5", arrays, {"images": {"train": 48, "test": 24}})
    recipe = dataclasses.replace(SUBSETS, attacked_images=position + 1)
    with pytest.raises(UserError, match="raise `attacked_images`"):
        subsets(files, recipe, *compared(files))
