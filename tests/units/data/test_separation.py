"""The same picture in training and test images, or in two classes, of a user's dataset."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from support.config import FIRST, changed, message
from support.photographs import stored
from support.steps import run_step
from workflow_scripts.advtransfer.artifacts.hdf5 import read_hdf5
from workflow_scripts.advtransfer.data.dataset import RawDataset
from workflow_scripts.advtransfer.data.folders import class_folders
from workflow_scripts.advtransfer.data.known import description
from workflow_scripts.advtransfer.data.photographs import RawPhotographs
from workflow_scripts.advtransfer.data.providers import fetch
from workflow_scripts.advtransfer.data.recipe import DROP, REFUSE, DatasetRecipe
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.recipes import to_json

SIDE = 8


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


# Folders -----------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three training and two test images of each of two classes, all different."""
    number = 0
    for split, count in (("train", 3), ("test", 2)):
        for name in ("cat", "dog"):
            place = tmp_path / "pets" / split / name
            place.mkdir(parents=True)
            for k in range(count):
                Image.fromarray(picture(number)).save(place / f"{k}.png")
                number += 1
    return tmp_path / "pets"


def recipe(
    folder: Path, shared_images: str = REFUSE, split: int | str | None = None
) -> DatasetRecipe:
    digest = class_folders(folder, split).digest
    return DatasetRecipe("image_folder", str(folder), digest, SIDE, split, shared_images)


def fetched(of: DatasetRecipe) -> RawDataset | RawPhotographs:
    return fetch(of, ["local"], None, Path("nowhere"))


def refused(of: DatasetRecipe, into: Path) -> str:
    """What the step says that makes the dataset; it leaves no file."""
    line = ["--recipe", to_json(of), "--providers", "local", "--downloads", str(into / "none")]
    with pytest.raises(UserError) as told:
        run_step("fetch_dataset", [*line, "--output", str(into / "made.h5")])
    assert not list(into.glob("*.h5*"))
    return str(told.value)


def test_a_folder_of_different_pictures_passes(folder: Path, tmp_path: Path) -> None:
    arrays = stored(fetched(recipe(folder)), tmp_path)
    assert len(arrays["train/images"]) == 6 and len(arrays["test/images"]) == 4


def test_a_file_in_train_and_test_is_caught_and_named(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "train/dog/1.png", folder / "test/dog/again.png")
    told = refused(recipe(folder), tmp_path)
    assert told.startswith(str(folder)) and "\n" not in told
    assert (
        "Training images that are also test images: 1 (train/dog/1.png = test/dog/again.png)"
        in told
    )
    assert "`shared_images: drop`" in told


def test_a_file_in_two_classes_is_caught_and_named(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "train/dog/1.png", folder / "train/cat/same.png")
    told = refused(recipe(folder), tmp_path)
    assert "Images that are also in another class: 1 (train/cat/same.png = train/dog/1.png)" in told


def test_a_picture_is_known_in_another_format_and_under_another_label(
    folder: Path, tmp_path: Path
) -> None:
    with Image.open(folder / "train/dog/1.png") as image:
        image.save(folder / "test/cat/other.bmp")
    assert "(train/dog/1.png = test/cat/other.bmp)" in refused(recipe(folder), tmp_path)


@pytest.mark.parametrize("split", [2, "list"])
def test_a_split_of_one_folder_is_checked_too(
    split: int | str, folder: Path, tmp_path: Path
) -> None:
    shutil.rmtree(folder / "test")
    shutil.copy(folder / "train/dog/1.png", folder / "train/dog/9.png")
    if split == "list":
        (tmp_path / "tests.txt").write_text("cat/2.png\ndog/9.png\n")
        split = str(tmp_path / "tests.txt")
    told = refused(recipe(folder / "train", split=split), tmp_path)
    assert "(dog/1.png = dog/9.png)" in told


def test_all_are_counted_and_some_are_named(folder: Path, tmp_path: Path) -> None:
    for number in range(8):
        for split in ("train", "test"):
            Image.fromarray(picture(100 + number)).save(folder / split / f"dog/more{number}.png")
    told = refused(recipe(folder), tmp_path)
    assert "Training images that are also test images: 8" in told
    assert told.count(" = ") == 5 and "and 3 more)" in told


def test_dropped_pictures_leave_the_training_images_and_are_counted(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copy(folder / "train/dog/1.png", folder / "test/dog/again.png")
    for split in ("train", "test"):  # another in both, and a third in two classes of each
        shutil.copy(folder / "train/cat/0.png", folder / f"{split}/cat/0again.png")
        for name in ("cat", "dog"):
            Image.fromarray(picture(200)).save(folder / split / name / "unclear.png")
    of = recipe(folder, DROP)
    output = tmp_path / "made.h5"
    line = ["--recipe", to_json(of), "--providers", "local", "--downloads", str(tmp_path)]
    run_step("fetch_dataset", [*line, "--output", str(output)])
    arrays, attributes = read_hdf5(output)
    # Of training images: dog/1, both copies of cat/0, both of the unclear one.
    assert attributes["left_out"] == {"train": 5, "test": 2}
    assert arrays["train/labels"].tolist() == [0, 0, 1, 1]
    assert arrays["test/labels"].tolist() == [0, 0, 0, 1, 1, 1]
    train, test = ({image.tobytes() for image in arrays[f"{s}/images"]} for s in ("train", "test"))
    assert not train & test and len(test) == 6
    assert picture(4).tobytes() in test and picture(200).tobytes() not in test


def test_a_picture_twice_in_one_class_of_one_split_is_no_mistake(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copy(folder / "train/dog/1.png", folder / "train/dog/9.png")
    assert len(stored(fetched(recipe(folder)), tmp_path)["train/images"]) == 7


def test_training_and_test_images_that_are_the_same_are_told(folder: Path, tmp_path: Path) -> None:
    shutil.rmtree(folder / "test")
    shutil.copytree(folder / "train", folder / "test")
    told = refused(recipe(folder, DROP), tmp_path)
    assert "would leave out 6 training and 0 test images" in told
    assert "2 classes would have no training image" in told and "the same pictures?" in told


# Packs -------------------------------------------------------------------------------------------


def write_pack(
    path: Path,
    numbers: list[int],
    labels: list[int],
    tests: list[int],
    class_names: Sequence[str] = ("cat", "dog"),
) -> Path:
    with h5py.File(path, "w") as file:
        file["images"] = np.stack([picture(number) for number in numbers])
        file["labels"] = labels
        split = [b"test" if k in tests else b"train" for k in range(len(numbers))]
        file["split"] = np.array(split)
        file.attrs["class_names"] = json.dumps(class_names)
    return path


def test_a_pack_is_checked_and_dropped_from_alike(tmp_path: Path) -> None:
    numbers, labels = [0, 1, 2, 3, 4, 2, 6, 1], [0, 0, 1, 1, 0, 1, 1, 1]
    pack = write_pack(tmp_path / "mine.h5", numbers, labels, tests=[4, 5, 6])
    with pytest.raises(UserError) as told:
        fetched(DatasetRecipe("hdf5_pack", str(pack)))
    assert (
        "Training images that are also test images: 1 (train image 2 (dog) = test image 1 (dog))"
        in (str(told.value))
    )
    assert (
        "Images that are also in another class: 1 (train image 1 (cat) = train image 4 (dog))"
        in (str(told.value))
    )
    raw = fetched(DatasetRecipe("hdf5_pack", str(pack), shared_images=DROP))
    assert isinstance(raw, RawDataset)
    assert [labels.tolist() for _, labels in raw.splits.values()] == [[0, 1], [0, 1, 1]]
    assert raw.attributes["left_out"] == {"train": 3, "test": 0}
    kept = {image.tobytes() for image in raw.splits["train"][0]}
    assert kept == {picture(0).tobytes(), picture(3).tobytes()}


@pytest.mark.parametrize(("name", "checked"), [("cifar10", True), ("stl10", False)])
def test_a_pack_under_a_published_name_is_checked_if_it_is_known_to_be_other_data(
    name: str, checked: bool, tmp_path: Path
) -> None:
    """The pixels of STL-10 are not known here: the pack may be the published data."""
    names = description(name).class_names
    write_pack(tmp_path / f"{name}.h5", [0, 1, 2, 1], [0, 1, 0, 1], [2, 3], names)
    if not checked:
        assert len(fetch(DatasetRecipe(name), ["local"], tmp_path, tmp_path).splits["test"][0]) == 2
        return
    with pytest.raises(UserError, match="Training images that are also test images: 1") as told:
        fetch(DatasetRecipe(name), ["local"], tmp_path, tmp_path)
    assert str(tmp_path / f"{name}.h5") in str(told.value)
    assert "makes it your own, which takes `shared_images`" in str(told.value)


# What is published -------------------------------------------------------------------------------


def test_published_photographs_are_stored_as_they_are(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "train/dog/1.png", folder / "test/dog/again.png")
    own = fetched(recipe(folder))
    assert isinstance(own, RawPhotographs)
    published = RawPhotographs(own.tree, own.listing, SIDE, own.class_names, "archive", "free")
    assert len(stored(published, tmp_path)["test/images"]) == 5


def test_the_key_is_for_data_of_ones_own(tmp_path: Path) -> None:
    told = message(changed({"data.datasets.cifar10": {"shared_images": "drop"}}))
    assert "data.datasets.cifar10.shared_images" in told and "Leave it out" in told
    pack = write_pack(tmp_path / "mine.h5", [0, 1, 2, 3], [0, 1, 0, 1], tests=[2, 3])
    wrong = {"data.datasets.mine": {"pack": str(pack), "shared_images": "keep"}}
    told = message(changed({**wrong, f"studies.{FIRST}.sources.dataset": "mine"}))
    assert "data.datasets.mine.shared_images" in told


def test_the_default_changes_no_address() -> None:
    assert "shared_images" not in to_json(DatasetRecipe("hdf5_pack", path="mine.h5"))
    assert "drop" in to_json(DatasetRecipe("hdf5_pack", path="mine.h5", shared_images=DROP))
