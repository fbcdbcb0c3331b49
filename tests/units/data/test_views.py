"""Selections of images: balanced, disjoint, independent of what stands beside them."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from workflow_scripts.advtransfer.artifacts.hdf5 import read_hdf5, write_hdf5
from workflow_scripts.advtransfer.data.recipe import DatasetRecipe
from workflow_scripts.advtransfer.data.view_recipe import ViewRecipe
from workflow_scripts.advtransfer.data.views import (
    fingerprints,
    load_view,
    make_view,
    resize,
    select,
)
from workflow_scripts.advtransfer.errors import UserError

NAMES = ["airplane", "bird", "cat", "dog"]
COUNTS = [30, 21, 10, 25]
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(4), COUNTS))
DATASET = DatasetRecipe("cifar10")
VIEW = ViewRecipe(DATASET, "train", ("dog", "airplane"))


def chosen(**changes: object) -> np.ndarray:
    return select(dataclasses.replace(VIEW, **changes), LABELS, NAMES)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "dataset.h5", seed=0)


def write_dataset(path: Path, seed: int) -> Path:
    """A dataset of random 12x12 images; the test split has the first 20 labels."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for split, labels in (("train", LABELS), ("test", LABELS[:20])):
        arrays[f"{split}/images"] = rng.integers(0, 256, (len(labels), 12, 12, 3), np.uint8)
        arrays[f"{split}/labels"] = labels
    write_hdf5(path, arrays, {"class_names": NAMES})
    return path


# Which images ------------------------------------------------------------------------------------


def test_every_prefix_is_balanced():
    labels = LABELS[chosen()]
    for length in range(1, 50):
        dogs = int((labels[:length] == 3).sum())
        assert abs(2 * dogs - length) <= 1, length
    # Of uneven classes the rest of the larger one comes last, and nothing is lost.
    assert sorted(chosen()) == sorted(np.flatnonzero((LABELS == 0) | (LABELS == 3)))
    assert (labels[50:] == 0).all()


@given(
    images=st.integers(1, 86),
    subset_seed=st.integers(0, 3),
    classes=st.permutations(NAMES),
)
@settings(max_examples=40, deadline=None)
def test_a_smaller_view_is_the_start_of_a_larger_one(images, subset_seed, classes):
    """What attacked_images and transfer_images rely on."""
    whole = chosen(classes=tuple(classes), subset_seed=subset_seed)
    part = chosen(classes=tuple(classes), subset_seed=subset_seed, images=images)
    np.testing.assert_array_equal(part, whole[:images])
    assert len(set(whole)) == len(whole) == len(LABELS)


def test_halves_are_disjoint_and_together_whole():
    first, second = (set(chosen(half=half)) for half in (0, 1))
    assert not first & second
    assert first | second == set(chosen())
    assert abs(len(first) - len(second)) <= 2  # at most one image a class


@pytest.mark.parametrize("half", [None, 0, 1])
def test_a_class_is_selected_alike_whatever_stands_beside_it(half):
    """Otherwise the halves of two views of one dataset would not be disjoint."""
    alone = chosen(classes=("dog",), half=half)
    for classes in (("dog", "cat"), ("bird", "dog", "airplane"), tuple(NAMES)):
        beside = chosen(classes=classes, half=half)
        np.testing.assert_array_equal(beside[LABELS[beside] == 3], alone)


def test_halves_of_different_views_are_disjoint():
    first = chosen(classes=("dog", "cat"), half=0)
    second = chosen(classes=("bird", "dog"), half=1, images=20)
    assert not set(first) & set(second)


def test_order_of_classes_changes_labels_not_images():
    assert set(chosen(classes=("dog", "airplane"))) == set(chosen(classes=("airplane", "dog")))


def test_seed_split_and_dataset_change_the_selection():
    selections = [
        chosen(images=20),
        chosen(images=20, subset_seed=1),
        chosen(images=20, split="test"),
        chosen(images=20, dataset=DatasetRecipe("cifar100")),
    ]
    for k, first in enumerate(selections):
        for second in selections[:k]:
            assert not np.array_equal(first, second)
    np.testing.assert_array_equal(chosen(images=20), chosen(images=20))
    # Size is about pixels, not about which images.
    np.testing.assert_array_equal(chosen(images=20), chosen(images=20, size=8))


def test_unknown_class_is_told():
    with pytest.raises(UserError, match=r"'cifar10' has no class 'deer'.*airplane, bird, cat"):
        chosen(classes=("dog", "deer"))


def test_too_few_images_are_told():
    with pytest.raises(UserError, match="asks for 56 images but there are 55: lower `images`"):
        chosen(images=56)
    assert len(chosen(images=55)) == 55
    with pytest.raises(UserError, match="half 1.* asks for 28 images but there are 27"):
        chosen(images=28, half=1)


# Files -------------------------------------------------------------------------------------------


def test_view_file_round_trip(dataset, tmp_path):
    file = tmp_path / "view.h5"
    recipe = dataclasses.replace(VIEW, images=20, half=1)
    make_view(recipe, dataset, file)
    view = load_view(file, dataset)
    whole, _ = read_hdf5(dataset)
    assert len(view) == 20
    np.testing.assert_array_equal(view.images, whole["train/images"][view.indices])
    # Labels are positions in the view's classes: dog is 0, airplane 1.
    names = [NAMES[label] for label in whole["train/labels"][view.indices]]
    assert [view.classes[label] for label in view.labels] == names
    assert view.labels.dtype == np.int64 and view.recipe == recipe
    assert "images" not in read_hdf5(file)[0]  # pixels are not stored twice


def test_view_files_are_byte_stable(dataset, tmp_path):
    for name in ("a.h5", "b.h5"):
        make_view(VIEW, dataset, tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_resized_view(dataset, tmp_path):
    make_view(dataclasses.replace(VIEW, size=8), dataset, tmp_path / "small.h5")
    view = load_view(tmp_path / "small.h5", dataset)
    assert view.images.shape[1:] == (8, 8, 3) and view.images.dtype == np.uint8
    original = read_hdf5(dataset, ["train/images"])[0]["train/images"]
    expected = Image.fromarray(original[view.indices[5]]).resize((8, 8), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(view.images[5], np.asarray(expected))
    # The stored size is not a change: nothing is stored for it.
    make_view(dataclasses.replace(VIEW, size=12), dataset, tmp_path / "same.h5")
    assert "images" not in read_hdf5(tmp_path / "same.h5")[0]


def test_resize_keeps_flat_colours_and_averages():
    flat = np.full((2, 32, 32, 3), 77, np.uint8)
    assert (resize(flat, 16) == 77).all()
    # Antialiased: a fine checkerboard becomes grey, it does not keep every other pixel.
    board = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)
    small = resize(np.repeat(board[None, :, :, None], 3, axis=3), 8)
    assert abs(int(small[0, 4, 4, 0]) - 127) < 10


def test_less_detail_is_reduced_and_enlarged_again(dataset, tmp_path):
    for name, changes in (("own", {}), ("sized", {"size": 24})):
        recipe = dataclasses.replace(VIEW, detail=4, **changes)
        make_view(recipe, dataset, tmp_path / f"{name}.h5")
        view = load_view(tmp_path / f"{name}.h5", dataset)
        original = read_hdf5(dataset, ["train/images"])[0]["train/images"][view.indices]
        np.testing.assert_array_equal(view.images, resize(resize(original, 4), recipe.size or 12))
    # The same images as without it, and of less contrast.
    np.testing.assert_array_equal(chosen(images=20), chosen(images=20, detail=4))
    assert view.images.std() < original.std()


def test_more_detail_than_there_is_is_told(dataset, tmp_path):
    make_view(dataclasses.replace(VIEW, detail=12), dataset, tmp_path / "same.h5")
    own = read_hdf5(dataset, ["train/images"])[0]["train/images"]
    same = load_view(tmp_path / "same.h5", dataset)
    np.testing.assert_array_equal(same.images, own[same.indices])
    with pytest.raises(UserError, match="detail 13 is more than the 12 pixels"):
        make_view(dataclasses.replace(VIEW, detail=13), dataset, tmp_path / "more.h5")


def test_labels_can_be_superclasses(dataset, tmp_path):
    classes, above = ("dog", "airplane", "cat"), ("animal", "vehicle", "animal")
    plain = dataclasses.replace(VIEW, classes=classes)
    make_view(plain, dataset, tmp_path / "classes.h5")
    file = tmp_path / "superclasses.h5"
    make_view(dataclasses.replace(plain, superclasses=above), dataset, file)
    fine, coarse = load_view(tmp_path / "classes.h5", dataset), load_view(file, dataset)
    assert coarse.classes == ("animal", "vehicle") and fine.classes == classes
    np.testing.assert_array_equal(coarse.indices, fine.indices)
    np.testing.assert_array_equal(coarse.labels, np.array([0, 1, 0])[fine.labels])
    assert read_hdf5(file)[1]["classes"] == ["animal", "vehicle"]


def test_view_of_another_dataset_is_told(dataset, tmp_path):
    make_view(VIEW, dataset, tmp_path / "view.h5")
    short = tmp_path / "short.h5"
    write_hdf5(short, {"train/images": np.zeros((3, 12, 12, 3), np.uint8)}, {})
    with pytest.raises(UserError, match="does not belong to"):
        load_view(tmp_path / "view.h5", short)


# Fingerprints ------------------------------------------------------------------------------------


def test_fingerprints_are_of_the_pixels():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), np.uint8)
    images[2] = images[0]
    found = fingerprints(images)
    assert found[0] == found[2] != found[1]
    expected = int.from_bytes(hashlib.sha256(images[0].tobytes()).digest()[:8], "big")
    assert int(found[0]) == expected and found.dtype == np.uint64


def test_images_that_are_not_square_need_a_size(tmp_path: Path) -> None:
    """Networks for 32x32 pixels would give numbers for 32x48, too."""
    images = np.random.default_rng(0).integers(0, 256, (len(LABELS), 8, 12, 3), np.uint8)
    arrays = {"train/images": images, "train/labels": LABELS}
    write_hdf5(tmp_path / "wide.h5", arrays, {"class_names": NAMES})
    with pytest.raises(UserError, match=r"wide\.h5: its images are 8x12 .*`size: 8`"):
        make_view(VIEW, tmp_path / "wide.h5", tmp_path / "view.h5")
    make_view(dataclasses.replace(VIEW, size=8), tmp_path / "wide.h5", tmp_path / "view.h5")
    assert load_view(tmp_path / "view.h5", tmp_path / "wide.h5").images.shape[1:] == (8, 8, 3)


def test_a_view_without_pixels_of_images_that_are_not_square(dataset: Path, tmp_path: Path) -> None:
    """As views that were made before this was refused."""
    make_view(VIEW, dataset, tmp_path / "view.h5")
    arrays, attributes = read_hdf5(dataset)
    wide = {name: a[:, :8] if name.endswith("images") else a for name, a in arrays.items()}
    write_hdf5(tmp_path / "wide.h5", wide, attributes)
    with pytest.raises(UserError, match=r"wide\.h5: its images are 8x12"):
        load_view(tmp_path / "view.h5", tmp_path / "wide.h5")


def test_many_classes_are_counted_in_messages() -> None:
    names = [f"c{k}" for k in range(150)]
    recipe = dataclasses.replace(VIEW, classes=tuple(names), images=1000)
    with pytest.raises(UserError, match=r"150 classes \(c0, c1, c2, c3, c4 and 145 more\)"):
        select(recipe, np.arange(150), names)
    with pytest.raises(UserError, match="its classes are c0, c1, c2, c3, c4 and 145 more"):
        select(dataclasses.replace(recipe, classes=("x",)), np.arange(150), names)
