"""Folders of photographs: what counts as train and test, what a plan notices, and mistakes."""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.config import changed, message
from support.official_photographs import jpeg
from support.photographs import by_torchvision, stored
from workflow_scripts.advtransfer.data.folders import class_folders
from workflow_scripts.advtransfer.data.known import class_names
from workflow_scripts.advtransfer.data.photographs import RawPhotographs
from workflow_scripts.advtransfer.data.providers import fetch
from workflow_scripts.advtransfer.data.recipe import DatasetRecipe
from workflow_scripts.advtransfer.data.view_recipe import ViewRecipe
from workflow_scripts.advtransfer.data.views import select
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.recipes import to_json
from workflow_scripts.studies.data_efficiency.design import Reader
from workflow_scripts.studies.plan import make_plan

TREE = (
    "train/wren/b.jpg",
    "train/wren/a.JPEG",
    "train/wren/nest/c.jpg",
    "train/jay/1.jpg",
    "test/jay/2.jpg",
    "test/wren/d.jpg",
)


def tree(folder: Path, *names: str) -> Path:
    for k, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg(k))
    return folder


def recipe(folder: Path, split: int | str | None = None, size: int = 16) -> DatasetRecipe:
    digest = class_folders(folder, split).digest
    return DatasetRecipe("image_folder", str(folder), digest, size, split)


def fetched(of: DatasetRecipe) -> RawPhotographs:
    raw = fetch(of, ["local"], None, Path("nowhere"))
    assert isinstance(raw, RawPhotographs)
    return raw


# What is there -----------------------------------------------------------------------------------


def test_train_and_test_folders(tmp_path: Path) -> None:
    folder = tree(tmp_path / "birds", *TREE)
    (folder / "train/wren/notes.txt").write_text("not an image")
    (folder / "train/wren/.hidden.jpg").write_bytes(jpeg(9))
    (folder / "train/.trash").mkdir()
    raw = fetched(recipe(folder))
    assert raw.class_names == ("jay", "wren")
    assert raw.listing == {
        "train": [
            ("train/jay/1.jpg", 0),
            ("train/wren/a.JPEG", 1),
            ("train/wren/b.jpg", 1),
            ("train/wren/nest/c.jpg", 1),
        ],
        "test": [("test/jay/2.jpg", 0), ("test/wren/d.jpg", 1)],
    }
    arrays = stored(raw, tmp_path)
    for split, images in raw.listing.items():
        np.testing.assert_array_equal(arrays[f"{split}/labels"], [label for _, label in images])
        for row, (name, _) in zip(arrays[f"{split}/images"], images, strict=True):
            np.testing.assert_array_equal(row, by_torchvision((folder / name).read_bytes()))


def test_val_is_the_test_set_where_there_is_no_test(tmp_path: Path) -> None:
    names = [name.replace("test/", "val/") for name in TREE]
    listing = class_folders(tree(tmp_path, *names)).listing
    assert [name for name, _ in listing["test"]] == ["val/jay/2.jpg", "val/wren/d.jpg"]
    listing = class_folders(tree(tmp_path, "test/jay/3.jpg")).listing
    assert [name for name, _ in listing["test"]] == ["test/jay/3.jpg"]


def test_the_first_images_of_every_class_train(tmp_path: Path) -> None:
    names = [f"{c}/{k:02d}.png" for c in ("jay", "train") for k in range(4 + (c == "jay"))]
    found = class_folders(tree(tmp_path, *names), 3)
    assert found.class_names == ("jay", "train")  # a class may be called so
    assert [name for name, _ in found.listing["train"]] == [
        f"{c}/{k:02d}.png" for c in ("jay", "train") for k in range(3)
    ]
    assert [name for name, _ in found.listing["test"]] == [
        "jay/03.png",
        "jay/04.png",
        "train/03.png",
    ]


def test_a_list_of_test_images_as_birdsnap_has_it(tmp_path: Path) -> None:
    """With a heading. Of photographs that can no longer be downloaded, lines have to go."""
    names = [f"images/{c}/{k}.jpg" for c in ("Acadian_Flycatcher", "Wren") for k in range(3)]
    tree(tmp_path, *names)
    lists = tmp_path / "test_images.txt"
    lists.write_text("path\nWren/2.jpg\nAcadian_Flycatcher/0.jpg\nWren/gone.jpg\n")
    with pytest.raises(UserError, match="1 of its 4 lines name no image.*\n  line 4: 'Wren/gone"):
        class_folders(tmp_path / "images", str(lists))
    lists.write_text("path\nWren/2.jpg\nAcadian_Flycatcher/0.jpg\n")
    raw = fetched(recipe(tmp_path / "images", str(lists)))
    assert raw.listing["test"] == [("Acadian_Flycatcher/0.jpg", 0), ("Wren/2.jpg", 1)]
    assert len(raw.listing["train"]) == 4 and raw.attributes == {}


def test_an_image_that_has_the_size_already_stays_as_it_is(tmp_path: Path) -> None:
    folder = tree(tmp_path, *TREE)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "train/jay/0.png")
    arrays = stored(fetched(recipe(folder)), tmp_path)
    np.testing.assert_array_equal(arrays["train/images"][0], pixels)


def test_links_are_followed_and_a_circle_ends(tmp_path: Path) -> None:
    tree(tmp_path / "shared", *TREE)
    (tmp_path / "mine").mkdir()
    for part in ("train", "test"):
        (tmp_path / "mine" / part).symlink_to(tmp_path / "shared" / part)
    (tmp_path / "shared/train/jay/round").symlink_to(tmp_path / "shared/train")
    found = class_folders(tmp_path / "mine")
    assert found.class_names == ("jay", "wren") and len(found.listing["train"]) == 4


# Text from other systems ------------------------------------------------------------------------

NFC = "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
NFD = unicodedata.normalize("NFD", NFC)


@pytest.mark.parametrize(("on_disk", "in_list"), [(NFC, NFD), (NFD, NFC), (NFD, NFD)])
@pytest.mark.parametrize("line", ["{}/{}2.jpg", ".\\{}\\{}2.jpg", "./{}/{}2.jpg 0"])
def test_a_list_from_another_system_leaves_no_test_image_to_train_on(
    on_disk: str, in_list: str, line: str, tmp_path: Path
) -> None:
    folder = tree(tmp_path / "places", *(f"{on_disk}/{on_disk}{k}.jpg" for k in range(3)))
    text = f"\ufeff{line.format(in_list, in_list)}\r\n"
    (tmp_path / "test.txt").write_bytes(text.encode())
    raw = fetched(recipe(folder, str(tmp_path / "test.txt")))
    assert raw.listing["test"] == [(f"{on_disk}/{on_disk}2.jpg", 0)]
    assert len(raw.listing["train"]) == 2 and raw.class_names == (NFC,)
    assert len(stored(raw, tmp_path)["test/images"]) == 1


def test_a_line_without_an_image_stops_the_plan(tmp_path: Path) -> None:
    folder = tree(tmp_path / "birds", *(f"jay/{k}.jpg" for k in range(3)))
    (tmp_path / "test.txt").write_text("jay/2.jpg\nJay/1.jpg\n")
    keys = {"folder": str(folder), "size": 64, "split": str(tmp_path / "test.txt")}
    text = message(changed(entry(**keys) | {f"{TARGET}.classes": ["jay"]}))
    assert text.startswith(f"data.datasets.mine: {tmp_path}/test.txt: 1 of its 2 lines name no ")
    assert "\n  line 2: 'Jay/1.jpg' (there is 'jay/1.jpg')\n" in text


def test_a_class_in_both_forms_of_unicode_is_one(tmp_path: Path) -> None:
    """As when one split was copied on macOS."""
    found = class_folders(tree(tmp_path, f"train/{NFC}/1.jpg", f"test/{NFD}/2.jpg"))
    assert found.class_names == (NFC,)
    assert found.listing == {
        "train": [(f"train/{NFC}/1.jpg", 0)],
        "test": [(f"test/{NFD}/2.jpg", 0)],
    }
    tree(tmp_path, f"train/{NFD}/1.jpg")
    with pytest.raises(UserError, match=r"two images have one name, 'train/cafe\\u0301/1.jpg' and"):
        class_folders(tmp_path)


@pytest.mark.parametrize(("on_disk", "in_config"), [(NFC, NFD), (NFD, NFC)])
def test_the_configuration_names_a_class_in_either_form(
    on_disk: str, in_config: str, tmp_path: Path
) -> None:
    names = [
        f"{part}/{c}/{k}.jpg" for part in ("train", "test") for c in (on_disk, "a") for k in "1"
    ]
    folder = tree(tmp_path / "places", *names)
    changes = entry(folder=str(folder), size=64) | {f"{TARGET}.classes": [in_config, "a"]}
    assert {view.classes for view in views(changed(changes))} == {(NFC, "a")}
    assert class_names("mine", {"folder": str(folder)}) == ("a", NFC)
    twice = entry(folder=str(folder), size=64) | {f"{TARGET}.classes": [NFC, NFD]}
    assert "near.classes" in message(changed(twice))


def test_files_of_operating_systems_are_no_images(tmp_path: Path) -> None:
    found = class_folders(tree(tmp_path, *TREE))
    extra = ("__MACOSX/train/jay/1.jpg", "train/jay/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg")
    tree(tmp_path, *extra, "train/jay/._1.jpg", "train/jay/Thumbs.db", "train/.DS_Store")
    assert class_folders(tmp_path) == found


# What would silently be left out -----------------------------------------------------------------


def test_links_that_lead_nowhere_are_counted_and_named(tmp_path: Path) -> None:
    folder = tree(tmp_path / "birds", *TREE)
    for k in range(7):
        (folder / f"train/jay/lost{k}.jpg").symlink_to(tmp_path / "unmounted" / f"{k}.jpg")
    (folder / "train/owl").symlink_to(tmp_path / "unmounted")  # a whole class
    says = (
        rf"8 of the 14 files and folders.*train/jay/lost0.jpg \(a link to {tmp_path}.* and 3 more"
    )
    with pytest.raises(UserError, match=says):
        class_folders(folder)
    for link in [*folder.glob("train/jay/lost*"), folder / "train/owl"]:
        link.unlink()
    (folder / "train/jay/loop.jpg").symlink_to("loop.jpg")
    with pytest.raises(UserError, match="1 of the 7 files.*train/jay/loop.jpg .*[Ss]ymbolic link"):
        class_folders(folder)


def test_folders_without_permission_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tree(tmp_path, *TREE)
    scandir = os.scandir

    def closed(path: str) -> Any:
        if str(path).endswith("wren"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    says = r"2 of the 4 files.*test/wren \(Permission denied\), train/wren \(Permission denied\)"
    with pytest.raises(UserError, match=says):
        class_folders(folder)


def test_files_without_permission_are_counted_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = fetched(recipe(tree(tmp_path / "birds", *TREE)))
    read = Path.read_bytes

    def closed(path: Path) -> bytes:
        if path.parent.name == "wren":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", closed)
    with pytest.raises(
        UserError, match="no permission to read 3 of its 6 files: test/wren/d.jpg, "
    ):
        stored(raw, tmp_path)
    assert not (tmp_path / "stored.h5").exists()


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("empty.jpg", b"", "1 of its 7 images are empty files: train/jay/empty.jpg. Copy them"),
        (
            "a.HEIC",
            b"x",
            "1 photographs in it are of kinds that are not read, beside 6 others: tra",
        ),
        ("a.jfif", b"x", "of kinds that are not read.*train/jay/a.jfif. Convert them"),
    ],
)
def test_images_that_cannot_be_read_stop_the_plan(
    name: str, data: bytes, says: str, tmp_path: Path
) -> None:
    tree(tmp_path, *TREE)
    (tmp_path / "train/jay" / name).write_bytes(data)
    with pytest.raises(UserError, match=says):
        class_folders(tmp_path)


# What a plan notices -----------------------------------------------------------------------------


def test_the_digest_is_of_names_splits_and_sizes(tmp_path: Path) -> None:
    folder = tree(tmp_path, *TREE)
    first = class_folders(folder).digest
    image = folder / "train/jay/1.jpg"
    os.utime(image, (1, 1))
    (folder / "readme.txt").write_text("no image")
    assert class_folders(folder).digest == first
    longer = image.read_bytes() + b"\0"
    image.write_bytes(longer)
    second = class_folders(folder).digest
    image.write_bytes(bytes(len(longer)))  # documented: the content is read by the fetch alone
    assert class_folders(folder).digest == second
    image.rename(folder / "train/jay/one.jpg")
    third = class_folders(folder).digest
    tree(folder, "test/jay/more.jpg")
    assert len({first, second, third, class_folders(folder).digest}) == 4


def test_a_folder_that_changed_since_the_plan_is_refused(tmp_path: Path) -> None:
    of = recipe(tree(tmp_path, *TREE))
    tree(tmp_path, "train/jay/new.jpg")
    with pytest.raises(UserError, match="not those that were planned with.*same command again"):
        fetched(of)


# Mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "split", "says"),
    [
        ((), None, "expected train/<class>/ and test/<class>/.* no folder with images"),
        (("jay/1.jpg", "wren/1.jpg"), None, "found jay, wren.*`split: 30`"),
        (TREE[:4], None, "found train.*"),
        ([f"c{k}/1.jpg" for k in range(8)], None, "found c0, c1, c2, c3, c4 and 3 more. If"),
        ((*TREE, "test/owl/1.jpg"), None, "test/owl/1.jpg is of class 'owl', which has no train"),
        ((*TREE, "train/1.jpg"), None, "1.jpg: an image beside the classes' folders"),
        (("1.jpg", "jay/1.jpg"), 1, "1.jpg: an image beside the classes' folders"),
        (("jay/1.jpg", "jay/2.jpg", "wren/1.jpg"), 1, "class 'wren' has 1 images.*`split: 1`"),
        (("jay/1.jpg", "jay/2.jpg"), "no/list.txt", "no/list.txt: no such list of test images"),
        (("jay\n2/1.jpg", "jay\n2/2.jpg"), 1, "control character"),
    ],
)
def test_a_folder_laid_out_otherwise(
    names: Sequence[str], split: int | str | None, says: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=says):
        class_folders(tree(tmp_path, *names), split)


def test_no_folder_and_no_test_images(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gone: no such folder"):
        class_folders(tmp_path / "gone")
    (tmp_path / "list.txt").write_text("other/1.jpg\n")
    with pytest.raises(UserError, match="1 of its 1 lines name no image in "):
        class_folders(tree(tmp_path / "a", "jay/1.jpg"), str(tmp_path / "list.txt"))
    (tmp_path / "list.txt").write_text("path\n")
    with pytest.raises(UserError, match="no test images in it"):
        class_folders(tmp_path / "a", str(tmp_path / "list.txt"))
    with pytest.raises(UserError, match="needs the keys path and size"):
        fetch(DatasetRecipe("image_folder", str(tmp_path)), ["local"], None, tmp_path)


# In the configuration ----------------------------------------------------------------------------

TARGET = "studies.data_efficiency.targets.near"


def entry(**keys: object) -> dict[str, object]:
    return {"data.datasets.mine": keys, f"{TARGET}.dataset": "mine"}


def views(config: dict[str, object]) -> set[ViewRecipe]:
    plan = make_plan(config, class_names)
    return {
        r
        for r in plan.recipes.values()
        if isinstance(r, ViewRecipe) and r.dataset.name not in ("cifar10", "mnist", "fashion_mnist")
    }


def test_a_folder_in_a_study(tmp_path: Path) -> None:
    folder = tree(tmp_path / "birds", *TREE)
    changes = entry(folder=str(folder), size=64) | {f"{TARGET}.classes": "all"}
    found = views(changed(changes))
    assert {view.classes for view in found} == {("jay", "wren")}
    assert {view.dataset for view in found} == {recipe(folder, size=64)}


@pytest.mark.parametrize(
    ("name", "first", "count"), [("food", "apple_pie", 101), ("sun397", "abbey", 397)]
)
def test_all_classes_of_a_known_dataset(name: str, first: str, count: int) -> None:
    changes = {
        f"data.datasets.{name}": {"size": 224},
        f"{TARGET}.dataset": name,
        f"{TARGET}.classes": "all",
    }
    found = views(changed(changes))
    assert {view.dataset for view in found} == {DatasetRecipe(name, size=224)}
    assert all(view.classes[0] == first and len(view.classes) == count for view in found)
    # The same as naming them: what is made does not depend on how it was said.
    named = changes | {f"{TARGET}.classes": list(next(iter(found)).classes)}
    assert views(changed(named)) == found


def test_what_all_cannot_be_known_of() -> None:
    with pytest.raises(UserError, match="targets.near.classes: here `all` is not known"):
        make_plan(changed({f"{TARGET}.classes": "all"}))
    config = changed(entry(pack="no/such.h5") | {f"{TARGET}.classes": "all"})
    with pytest.raises(UserError, match="near.classes: all of 'mine'.*no such HDF5 pack"):
        make_plan(config, class_names)
    assert "'al' does not fit" in message(changed({f"{TARGET}.classes": "al"}))


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"folder": "birds"}, "mine.size is missing: pixels a side"),
        ({"folder": "no/such", "size": 64}, "data.datasets.mine: no/such: no such folder"),
        ({"folder": "x", "pack": "y", "size": 64}, "a pack or a folder, not both"),
        ({"pack": "y", "split": 30}, "mine.split: only a folder is split"),
        ({"folder": "x", "size": 4}, "data.datasets.mine.size"),
        ({"folder": "x", "size": 64, "split": 0}, "data.datasets.mine.split"),
        ({"folder": "x", "size": 64, "metric": "top5"}, "data.datasets.mine.metric"),
        ({}, "unknown dataset 'mine'.*mine.folder: path/to/folder"),
    ],
)
def test_mistakes_in_an_entry(keys: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        make_plan(changed(entry(**keys)))


def test_photographs_need_a_size_and_others_refuse_one() -> None:
    change = {f"{TARGET}.dataset": "food", f"{TARGET}.classes": ["apple_pie", "waffles"]}
    with pytest.raises(UserError, match=r"data.datasets.food.size is missing.*`food: \{size: 224"):
        make_plan(changed(change | {"data.datasets.food": {}}))
    make_plan(changed(change | {"data.datasets.food": {"size": 32}}))
    with pytest.raises(UserError, match="cifar10.size: its images have a size already"):
        make_plan(changed({"data.datasets.cifar10": {"size": 32}}))


def test_what_a_dataset_is_scored_by() -> None:
    entries = {
        "flowers": {"size": 224},
        "cars": {"size": 224},
        "birds": {"folder": "x", "size": 64, "metric": "class_mean_accuracy"},
        "fish": {"folder": "x", "size": 64},
        "pets": {"size": 32, "metric": "accuracy"},
    }
    config = changed({f"data.datasets.{name}": value for name, value in entries.items()})
    reader = Reader(config, "data_efficiency")
    assert {name: reader.metric(name) for name in (*entries, "cifar10")} == {
        "flowers": "class_mean_accuracy",
        "cars": "accuracy",
        "birds": "class_mean_accuracy",
        "fish": "accuracy",
        "pets": "accuracy",
        "cifar10": "accuracy",
    }


def test_neither_size_nor_split_is_in_a_recipe_that_has_none() -> None:
    assert to_json(DatasetRecipe("cifar10")) == '{"name":"cifar10"}'
    pack = DatasetRecipe("hdf5_pack", path="a", sha256="b")
    assert to_json(pack) == '{"name":"hdf5_pack","path":"a","sha256":"b"}'


def test_photographs_of_two_sizes_are_the_same_images(tmp_path: Path) -> None:
    """The same are selected, and a source at one size must not meet them at another."""
    labels = np.repeat([0, 1], 40)
    folder = tree(tmp_path / "birds", *TREE)
    chosen = []
    for size in (64, 224):
        view = ViewRecipe(recipe(folder, size=size), "train", ("jay", "wren"), images=20)
        chosen.append(select(view, labels, ["jay", "wren"]))
    np.testing.assert_array_equal(*chosen)
    sources = "studies.data_efficiency.sources"
    used = {f"{sources}.dataset": "one", f"{TARGET}.dataset": "two"}
    used |= {f"{sources}.classes": "all", f"{TARGET}.classes": "all"}
    entries = {
        f"data.datasets.{name}": {"folder": str(folder), "size": size}
        for name, size in (("one", 32), ("two", 64))
    }
    with pytest.raises(UserError, match="target 'near' would share images of jay, wren"):
        make_plan(changed(entries | used), class_names)
