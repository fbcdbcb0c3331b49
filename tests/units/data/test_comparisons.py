"""Images that a source and a target share are found by their pixels."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from workflow_scripts.advtransfer.artifacts.hdf5 import write_hdf5
from workflow_scripts.advtransfer.data.comparison_recipe import ComparisonRecipe
from workflow_scripts.advtransfer.data.comparisons import (
    NOTHING,
    compare_views,
    read_shared,
    without,
)
from workflow_scripts.advtransfer.data.recipe import REFUSE, DatasetRecipe
from workflow_scripts.advtransfer.data.view_recipe import ViewRecipe
from workflow_scripts.advtransfer.data.views import View, load_view, make_view
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.recipes import to_json
from workflow_scripts.advtransfer.training.recipe import TrainingRecipe
from workflow_scripts.advtransfer.transfer.recipe import ModeRecipe, TransferRecipe

SHOP = DatasetRecipe("hdf5_pack", path="shop.h5", sha256="0")
ZOO = DatasetRecipe("hdf5_pack", path="zoo.h5", sha256="1")
SOURCE = ViewRecipe(SHOP, "train", ("cup", "pot"))
TRAIN = ViewRecipe(ZOO, "train", ("ape", "bat"))
TEST = dataclasses.replace(TRAIN, split="test")
COMPARISON = ComparisonRecipe(SOURCE, TRAIN, TEST)


class Collections:
    """Two datasets with ten training and four test images of each of two classes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rng = np.random.default_rng(0)
        self.images = {
            (name, split): rng.integers(0, 256, (count, 12, 12, 3), np.uint8)
            for name in ("shop", "zoo")
            for split, count in (("train", 20), ("test", 8))
        }

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.h5"

    def compared(self, recipe: ComparisonRecipe = COMPARISON) -> Path:
        """The file of a comparison, and before it the datasets and views."""
        for name, classes in (("shop", ["cup", "pot"]), ("zoo", ["ape", "bat"])):
            arrays = {}
            for split in ("train", "test"):
                images = self.images[name, split]
                arrays[f"{split}/images"] = images
                arrays[f"{split}/labels"] = np.arange(len(images)) % 2
            write_hdf5(self.path(name), arrays, {"class_names": classes})
        views = {"source": "shop", "train": "zoo", "test": "zoo"}
        for view, dataset in views.items():
            make_view(getattr(recipe, view), self.path(dataset), self.path(view))
        compare_views(recipe, *map(self.path, views), self.path("comparison"))
        return self.path("comparison")

    def view(self, name: str) -> View:
        return load_view(self.path(name), self.path("zoo"))


@pytest.fixture
def collections(tmp_path: Path) -> Collections:
    return Collections(tmp_path)


def share(collections: Collections, positions: dict[str, list[int]]) -> None:
    """Put pictures that sources train on among those of the target, under other labels."""
    for split, places in positions.items():
        for k, place in enumerate(places):
            picture = collections.images["shop", "train"][2 * k + 1]
            collections.images["zoo", split][place] = picture


def test_shared_images_are_found_by_their_pixels_and_left_out(collections: Collections) -> None:
    share(collections, {"train": [4, 9], "test": [6]})
    shared = read_shared(collections.compared())
    train, test = collections.view("train"), collections.view("test")
    assert sorted(train.indices[shared.train]) == [4, 9]
    assert test.indices[shared.test].tolist() == [6]
    assert shared.images == (20, 8)
    rest = without(train, shared.train)
    assert len(rest) == 18 and sorted({*range(20)} - {*rest.indices}) == [4, 9]
    kept = collections.images["zoo", "train"]
    for image, label, index in zip(rest.images, rest.labels, rest.indices, strict=True):
        assert (image == kept[index]).all() and label == index % 2


def test_the_order_of_what_is_left_is_that_of_the_view(collections: Collections) -> None:
    share(collections, {"train": [4]})
    shared = read_shared(collections.compared())
    view = collections.view("train")
    expected = [index for index in view.indices if index != 4]
    assert without(view, shared.train).indices.tolist() == expected
    assert without(view, NOTHING.train) is view


def test_collections_without_a_common_picture_share_nothing(collections: Collections) -> None:
    shared = read_shared(
        collections.compared(dataclasses.replace(COMPARISON, shared_images=REFUSE))
    )
    assert (len(shared.train), len(shared.test)) == (0, 0)
    assert read_shared(None) == NOTHING


@pytest.mark.parametrize("changes", [{"size": 16}, {"detail": 4}, {"size": 8, "detail": 4}])
def test_another_size_or_less_detail_does_not_make_another_image(
    collections: Collections, changes: dict[str, int]
) -> None:
    share(collections, {"train": [4], "test": [6]})
    views = {
        name: dataclasses.replace(view, **changes)
        for name, view in (("train", TRAIN), ("test", TEST))
    }
    shared = read_shared(collections.compared(dataclasses.replace(COMPARISON, **views)))
    assert (len(shared.train), len(shared.test)) == (1, 1)


def test_what_is_refused_is_told_once_with_numbers_places_and_the_way_out(
    collections: Collections,
) -> None:
    share(collections, {"train": [4, 9], "test": [6]})
    recipe = dataclasses.replace(COMPARISON, shared_images=REFUSE)
    with pytest.raises(UserError) as told:
        collections.compared(recipe)
    message = str(told.value)
    for part in (
        "'shop.h5'",
        "2 of the 20 training images of the target",
        "4 (ape)",
        "9 (bat)",
        "1 of the 8 test images of the target, which are the test images 6 (ape) of 'zoo.h5'",
        "`shared_images: drop`",
    ):
        assert part in message, message
    assert not collections.path("comparison").exists()


def test_many_shared_images_are_counted_and_some_are_named(collections: Collections) -> None:
    share(collections, {"train": [*range(7)]})
    with pytest.raises(UserError, match=r"7 of the 20 .* and 2 more of 'zoo\.h5'") as told:
        collections.compared(dataclasses.replace(COMPARISON, shared_images=REFUSE))
    assert str(told.value).count(" (") == 5


@pytest.mark.parametrize(
    ("split", "lost"),
    [("train", "no training image of ape"), ("test", "no test image of ape")],
)
def test_a_target_of_which_nothing_is_left_is_told(
    collections: Collections, split: str, lost: str
) -> None:
    places = range(0, 20, 2) if split == "train" else range(0, 8, 2)  # every other one is an ape
    share(collections, {split: list(places)})
    with pytest.raises(UserError, match=lost):
        collections.compared()


def test_the_setting_is_part_of_the_recipe_and_its_default_of_no_address() -> None:
    mode = ModeRecipe("full_network", training=TrainingRecipe(1, 2, 0.1))
    default = TransferRecipe(TRAIN, TEST, (mode,))
    assert "shared_images" not in to_json(default)
    refusing = dataclasses.replace(default, shared_images=REFUSE)
    assert '"shared_images":"refuse"' in to_json(refusing)
