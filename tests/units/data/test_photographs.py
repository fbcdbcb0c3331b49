"""Datasets of photographs: official layouts, torchvision as a witness, and how they fail."""

from __future__ import annotations

import importlib
import io
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from support.official_photographs import (
    FEW_CLASSES,
    NAMES,
    Files,
    Truth,
    jpeg,
    packed,
    tar,
    unpacked,
)
from support.photographs import SIZE, by_torchvision, stored
from support.servers import Server, put
from workflow_scripts.advtransfer.data.download import md5_of
from workflow_scripts.advtransfer.data.photographs import Photographs, RawPhotographs, decoded
from workflow_scripts.advtransfer.data.providers import fetch
from workflow_scripts.advtransfer.data.recipe import DatasetRecipe
from workflow_scripts.advtransfer.errors import UserError

DATASETS = "workflow_scripts.advtransfer.data.datasets"


def described(name: str) -> Photographs:
    return importlib.import_module(f"{DATASETS}.{name}").PHOTOGRAPHS


@pytest.fixture(autouse=True)
def few_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the Caltech sets two classes, or each test would write 16,000 files."""
    for name, text in FEW_CLASSES.items():
        module = importlib.import_module(f"{DATASETS}.{name}")
        monkeypatch.setattr(module, "CLASS_NAMES", text)
        few = replace(module.PHOTOGRAPHS, class_names=tuple(text.split(", ")))
        monkeypatch.setattr(module, "PHOTOGRAPHS", few)


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.http.shutdown()
    started.http.server_close()


def local(name: str, folder: Path, size: int = SIZE) -> RawPhotographs:
    raw = fetch(DatasetRecipe(name, size=size), ["local"], folder, folder / "downloads")
    assert isinstance(raw, RawPhotographs)
    return raw


def lay_out(folder: Path, files: Files) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def assert_is(raw: RawPhotographs, truth: Truth, files: Files, folder: Path) -> None:
    """Every split has the true files with the true classes in their order, and their pixels."""
    arrays = stored(raw, folder)
    assert sorted(arrays) == ["test/images", "test/labels", "train/images", "train/labels"]
    for split, images in truth.items():
        found = [(name, raw.class_names[label]) for name, label in raw.listing[split]]
        assert [c for _, c in found] == [c for _, c in images]
        assert all(path.endswith(name) for (name, _), (path, _) in zip(found, images, strict=True))
        labels = arrays[f"{split}/labels"]
        assert labels.dtype == np.int64
        assert [raw.class_names[label] for label in labels] == [c for _, c in images]
        pixels = arrays[f"{split}/images"]
        assert pixels.dtype == np.uint8 and pixels.shape == (len(images), SIZE, SIZE, 3)
        for row, (path, _) in zip(pixels, images, strict=True):
            np.testing.assert_array_equal(row, by_torchvision(files[path]))


# The official layouts ----------------------------------------------------------------------------


def test_what_is_described() -> None:
    counts = {name: len(importlib.reload(module(name)).PHOTOGRAPHS.class_names) for name in NAMES}
    assert counts == {
        "aircraft": 100,
        "caltech101": 101,
        "caltech256": 257,
        "cars": 196,
        "dtd": 47,
        "flowers": 102,
        "food": 101,
        "pets": 37,
        "sun397": 397,
    }
    for name in NAMES:
        names = described(name).class_names
        assert len(set(names)) == len(names) and all(n == n.strip() and n for n in names)
        assert all(
            len(file.md5) == 32 and (not file.urls or file.urls[0].endswith(file.name))
            for file in described(name).files
        )
    means = {name for name in NAMES if described(name).metric == "class_mean_accuracy"}
    assert means == {"aircraft", "caltech101", "caltech256", "flowers", "pets"}


def module(name: str) -> Any:
    return importlib.import_module(f"{DATASETS}.{name}")


def test_addresses_and_checksums_are_torchvisions() -> None:
    from torchvision import datasets as tv

    def files(name: str) -> list[tuple[str, str]]:
        return [(file.urls[0], file.md5) for file in described(name).files]

    assert files("food") == [(tv.Food101._URL, tv.Food101._MD5)]
    assert files("dtd") == [(tv.DTD._URL, tv.DTD._MD5)]
    assert files("pets") == list(tv.OxfordIIITPet._RESOURCES)
    assert files("sun397")[0] == (tv.SUN397._DATASET_URL, tv.SUN397._DATASET_MD5)
    assert files("aircraft")[0][0] == tv.FGVCAircraft._URL
    prefix = tv.Flowers102._download_url_prefix
    assert files("flowers") == [
        (prefix + file, md5) for file, md5 in tv.Flowers102._file_dict.values()
    ]
    import inspect

    for name, kind in (("caltech101", tv.Caltech101), ("caltech256", tv.Caltech256)):
        assert all(text in inspect.getsource(kind.download) for text in files(name)[0])
    assert module("flowers").PHOTOGRAPHS.class_names == tuple(tv.Flowers102.classes)


@pytest.mark.parametrize("name", NAMES)
def test_archives_as_downloaded(name: str, tmp_path: Path, caplog: Any) -> None:
    files, truth = unpacked(name)
    put(tmp_path / name, packed(name, files))
    raw = local(name, tmp_path)
    assert_is(raw, truth, files, tmp_path)
    assert raw.attributes == {"provider": "local", "official": False}
    assert "not known to be the official data" in caplog.text
    assert sorted(p.name for p in (tmp_path / name).iterdir()) == sorted(packed(name, files))


@pytest.mark.parametrize("name", NAMES)
def test_unpacked_as_torchvision_does(name: str, tmp_path: Path) -> None:
    """`data.local` may be the root that torchvision's datasets have; Partitions lie beside."""
    files, truth = unpacked(name)
    lay_out(tmp_path, files)
    raw = local(name, tmp_path)
    assert_is(raw, truth, files, tmp_path)
    assert raw.source.startswith("local folder ")


def torchvisions(name: str, root: Path, patch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """What torchvision's own dataset makes of the same tree: files and classes by split."""
    from torchvision import datasets as tv

    def pairs(dataset: Any) -> list[tuple[str, str]]:
        return [(str(file), dataset.classes[label]) for file, label in dataset]

    as_path: dict[str, Any] = {"loader": str}
    if name == "food":
        return {s: pairs(tv.Food101(root, split=s, **as_path)) for s in ("train", "test")}
    if name == "aircraft":
        return {
            s: pairs(tv.FGVCAircraft(root, split=part, **as_path))
            for s, part in (("train", "trainval"), ("test", "test"))
        }
    if name == "dtd":
        train, val, test = (
            pairs(tv.DTD(root, split=s, **as_path)) for s in ("train", "val", "test")
        )
        return {"train": train + val, "test": test}
    if name == "flowers":
        md5s = {
            key: (file, md5_of(root / "flowers-102" / file) if file.endswith(".mat") else md5)
            for key, (file, md5) in tv.Flowers102._file_dict.items()
        }
        patch.setattr(tv.Flowers102, "_file_dict", md5s)
        train, val, test = (
            pairs(tv.Flowers102(root, split=s, **as_path)) for s in ("train", "val", "test")
        )
        return {"train": train + val, "test": test}
    if name == "cars":
        return {s: pairs(tv.StanfordCars(root, split=s, **as_path)) for s in ("train", "test")}
    if name == "pets":
        found = {}
        for split, part in (("train", "trainval"), ("test", "test")):
            pets = tv.OxfordIIITPet(root, split=part)
            names = [pets.classes[label] for label in pets._labels]
            found[split] = list(zip(map(str, pets._images), names, strict=True))
        return found
    caltech: Any = {"caltech101": tv.Caltech101, "caltech256": tv.Caltech256}[name](root)
    assert len(caltech.categories) == 2
    each = {"caltech101": 30, "caltech256": 60}[name]
    split_of = {"train": lambda index: index <= each, "test": lambda index: index > each}
    base = root / name / f"{name[-3:]}_ObjectCategories"
    return {
        split: [
            (
                f"{base}/{caltech.categories[y]}/"
                f"{'image' if name == 'caltech101' else caltech.categories[y][:3]}_{index:04d}.jpg",
                caltech.categories[y],
            )
            for index, y in zip(caltech.index, caltech.y, strict=True)
            if chosen(index)
        ]
        for split, chosen in split_of.items()
    }


@pytest.mark.parametrize("name", [name for name in NAMES if name != "sun397"])
def test_torchvisions_dataset_lists_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, _ = unpacked(name)
    lay_out(tmp_path, files)
    raw = local(name, tmp_path)
    for split, images in torchvisions(name, tmp_path, monkeypatch).items():
        ours = [(name, raw.class_names[label]) for name, label in raw.listing[split]]
        assert [c for _, c in ours] == [c for _, c in images]
        assert all(
            theirs.endswith(f"/{own}") for (own, _), (theirs, _) in zip(ours, images, strict=True)
        )


def test_sun397_labels_are_torchvisions(tmp_path: Path) -> None:
    """It knows no splits, and takes images that are in no list."""
    from torchvision import datasets as tv

    files, truth = unpacked("sun397")
    lay_out(tmp_path, files)
    theirs = tv.SUN397(tmp_path, loader=str)
    classes = {str(file): theirs.classes[label] for file, label in theirs}
    assert len(classes) == 5
    for path, class_name in truth["train"] + truth["test"]:
        assert classes[str(tmp_path / path)] == class_name


@pytest.mark.parametrize("name", ["pets", "caltech101", "sun397"])
def test_official_download(
    name: str, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, truth = unpacked(name)
    server.files = packed(name, files)
    serve(name, server, monkeypatch, tmp_path)
    recipe = DatasetRecipe(name, size=SIZE)
    raw = fetch(recipe, ["official"], None, tmp_path / "downloads")
    assert_is(raw, truth, files, tmp_path)
    assert raw.attributes == {"provider": "official", "official": True}
    assert server.address in raw.source
    last = sorted(server.files)[-1]
    server.files[last] = b"<html>please log in</html>"
    with pytest.raises(UserError, match="wrong checksum, expected md5") as caught:
        fetch(recipe, ["official"], None, tmp_path / "elsewhere")
    assert f"{server.address}{last}" in str(caught.value)


def serve(name: str, server: Server, patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Addresses and checksums of the small files."""
    put(folder / "served", server.files)
    dataset = described(name)
    small = tuple(
        replace(
            file,
            md5=md5_of(folder / "served" / file.name),
            sha256="",
            urls=(server.address + file.name,),
        )
        for file in dataset.files
    )
    patch.setattr(module(name), "PHOTOGRAPHS", replace(dataset, files=small))


def test_a_sha256_decides_where_it_is_the_known_one(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files = packed("sun397", unpacked("sun397")[0])
    serve("sun397", server, monkeypatch, tmp_path)
    archive, lists = described("sun397").files
    wrong = replace(described("sun397"), files=(archive, replace(lists, sha256="0" * 64)))
    monkeypatch.setattr(module("sun397"), "PHOTOGRAPHS", wrong)
    with pytest.raises(UserError, match="wrong checksum, expected sha256 000"):
        fetch(DatasetRecipe("sun397", size=SIZE), ["official"], None, tmp_path / "downloads")


def test_cars_that_no_address_gives(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        fetch(DatasetRecipe("cars", size=SIZE), ["local", "official"], tmp_path, tmp_path / "d")
    message = str(caught.value)
    assert "official: cars_train.tgz: no address is known that still gives it" in message
    assert "put the official files (cars_train.tgz, cars_test.tgz, car_devkit.tgz, " in message
    assert f"unpacked, into {tmp_path}/cars/" in message
    archive = f"neither {tmp_path}/cars/cars_train.tgz is there"
    folders = f"nor is any .jpg below {tmp_path}/cars, {tmp_path}/stanford_cars"
    assert f"local: {archive}, {folders}\n" in message


def test_an_archive_beside_the_folders_counts_if_its_checksum_agrees(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, truth = unpacked("dtd")
    put(tmp_path, packed("dtd", files))
    with pytest.raises(UserError, match=r"gz is not dtd's: its md5 is not fff73e5"):
        local("dtd", tmp_path)
    server.files = packed("dtd", files)
    serve("dtd", server, monkeypatch, tmp_path)
    raw = local("dtd", tmp_path)
    assert_is(raw, truth, files, tmp_path)
    assert raw.attributes == {"provider": "local", "official": True}


# Size --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(500, 333), (333, 500), (224, 224), (40, 31)])
@pytest.mark.parametrize("size", [224, 64, 32])
def test_the_paper_s_test_transform(width: int, height: int, size: int) -> None:
    """Resize(256), CenterCrop(224) of torchvision, to the bit; in proportion at other sizes."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    from workflow_scripts.advtransfer.data.dataset import Blob

    found = decoded(Blob("x", buffer.getvalue()), size)
    np.testing.assert_array_equal(found, by_torchvision(buffer.getvalue(), size))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "LA", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    """`test_pictures` has more of them."""
    from workflow_scripts.advtransfer.data.dataset import Blob

    buffer = io.BytesIO()
    kind = {"CMYK": "TIFF"}.get(mode, "PNG")
    base = Image.new("L", (30, 40), 100)
    deep = Image.fromarray(np.full((40, 30), 100 << 8, np.uint16))
    (deep if mode == "I;16" else base.convert(mode)).save(buffer, kind)
    found = decoded(Blob("x", buffer.getvalue()), SIZE)
    assert found.shape == (SIZE, SIZE, 3) and found.dtype == np.uint8
    assert (found == 100).all()


def test_a_strip_without_end_is_refused() -> None:
    from workflow_scripts.advtransfer.data.dataset import Blob

    buffer = io.BytesIO()
    Image.new("L", (60_000, 2)).save(buffer, "PNG")
    with pytest.raises(UserError, match=r"x: \d+ bytes, a strip of 60000 x 2 pixels"):
        decoded(Blob("x", buffer.getvalue()), 224)


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        (DatasetRecipe("food"), "food is of photographs .* needs `size`"),
        (DatasetRecipe("cifar10", size=32), "cifar10 has a size of its own"),
    ],
)
def test_a_size_that_is_missing_or_too_much(
    recipe: DatasetRecipe, says: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=says):
        fetch(recipe, ["local"], tmp_path, tmp_path)


# Damage and malice -------------------------------------------------------------------------------


def food(folder: Path, **changes: bytes | None) -> Path:
    """Food-101 unpacked in a folder; changes by the end of a path (None: left out)."""
    files, _ = unpacked("food")
    for end, data in changes.items():
        path = next(p for p in files if p.replace("/", "_").replace(".", "_").endswith(end))
        if data is None:
            del files[path]
        else:
            files[path] = data
    return lay_out(folder, files)


def test_truncated_and_foreign_images_are_named_all_at_once(tmp_path: Path) -> None:
    half = jpeg(0)[: len(jpeg(0)) // 2]
    food(tmp_path, apple_pie_train1_jpg=half, waffles_test0_jpg=b"<html>not found</html>")
    with pytest.raises(UserError) as caught:
        stored(local("food", tmp_path), tmp_path)
    message = str(caught.value)
    assert message.startswith("2 of 6 images cannot be decoded:")
    images = tmp_path / "food-101/images"
    assert f"{images}/apple_pie/train1.jpg: {len(half)} bytes, image file is truncated" in message
    assert f"{images}/waffles/test0.jpg: 22 bytes, cannot identify image file" in message
    assert "Replace these files" in message and "object at" not in message
    assert not (tmp_path / "stored.h5").exists()


def test_many_broken_images_are_counted(tmp_path: Path) -> None:
    files, _ = unpacked("caltech101")
    broken = {path: b"x" if path.endswith(".jpg") else data for path, data in files.items()}
    lay_out(tmp_path, broken)
    with pytest.raises(UserError, match="65 of 65 images(?s:.*)\n  and 55 more\n") as caught:
        stored(local("caltech101", tmp_path), tmp_path)
    assert len(str(caught.value)) < 3000


def test_a_truncated_image_in_an_archive(tmp_path: Path) -> None:
    files, _ = unpacked("food")
    path = next(path for path in files if path.endswith("train0.jpg"))
    files[path] = files[path][:200]
    put(tmp_path / "food", packed("food", files))
    with pytest.raises(UserError, match=rf"food-101\.tar\.gz \({path}\): 200 bytes, "):
        stored(local("food", tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("end", "data", "says"),
    [
        (
            "waffles_test0_jpg",
            None,
            r"1 of the 3 test images .* not there: 'images/waffles/test0.jpg'",
        ),
        ("meta_train_json", None, r"expected one file meta/train\.json in it, found none"),
        ("meta_train_json", b"{", r"train\.json: truncated or not .* a JSON object"),
        ("meta_train_json", b"[1]", r"train\.json: truncated or not .* a JSON object"),
        ("meta_train_json", b'{"pie": ["pie/1"]}', r"train\.json: unknown class 'pie'"),
        ("meta_train_json", b"{}", "no train images"),
        (
            "meta_train_json",
            b'{"waffles": ["waffles/train0", "waffles/train0"]}',
            "lists name 'images/waffles/train0.jpg' twice",
        ),
    ],
)
def test_a_folder_that_is_not_whole(
    end: str, data: bytes | None, says: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=says) as caught:
        local("food", food(tmp_path, **{end: data}))
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "path", "data", "says"),
    [
        ("pets", "annotations/test.txt", b"Abyssinian_0test x\n", "lines of an image and numbers"),
        (
            "pets",
            "annotations/test.txt",
            b"Abyssinian_0test 38 1 1\n",
            r"labels have 37, but with 37",
        ),
        ("pets", "annotations/test.txt", b"\xff\xfe", "not a text file in UTF-8 but in UTF-16"),
        ("dtd", "labels/val1.txt", b"\n\xe9/a.jpg\n", "line 2 seems to be in Latin-1"),
        ("flowers", "setid.mat", b"MATLAB 5.0", "version 5 .mat file with trnid"),
        ("flowers", "imagelabels.mat", "other", "version 5 .mat file with labels"),
        ("flowers", "setid.mat", "beyond", "numbers of the 8 images, found 9 in tstid"),
        ("cars", "devkit/cars_train_annos.mat", "other", "with annotations"),
        ("aircraft", "images_variant_test.txt", b"0000000 747\n", "unknown class '747'"),
        ("dtd", "labels/val1.txt", b"plaid/plaid_1.jpg\n", "unknown class 'plaid'"),
    ],
)
def test_lists_that_are_damaged(
    name: str, path: str, data: bytes | str, says: str, tmp_path: Path
) -> None:
    from support.official_photographs import mat

    made = {
        "other": mat(x=np.zeros(3)),
        "beyond": mat(trnid=[[1]], valid=[[2]], tstid=[[9]]),
    }
    files, _ = unpacked(name)
    key = next(k for k in files if k.endswith(path))
    files[key] = made[data] if isinstance(data, str) else data
    with pytest.raises(UserError, match=says) as caught:
        local(name, lay_out(tmp_path, files))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["aircraft", "dtd", "pets", "sun397"])
def test_lists_that_an_editor_of_another_system_saved(name: str, tmp_path: Path) -> None:
    files, truth = unpacked(name)
    for path in [path for path in files if path.endswith(".txt")]:
        files[path] = b"\xef\xbb\xbf" + files[path].replace(b"\n", b"\r\n") + b"\r\n"
    assert_is(local(name, lay_out(tmp_path, files)), truth, files, tmp_path)


def test_too_few_images_of_a_class(tmp_path: Path) -> None:
    files, _ = unpacked("caltech101")
    for k in (30, 31, 32):
        files.pop(f"caltech101/101_ObjectCategories/Faces/image_{k + 1:04d}.jpg", None)
    with pytest.raises(UserError, match="class Faces has not more than the 30 images that train"):
        local("caltech101", lay_out(tmp_path, files))
    gone = {p: d for p, d in files.items() if "/accordion/" not in p}
    with pytest.raises(UserError, match=r"no \.jpg in 101_ObjectCategories/accordion/"):
        local("caltech101", lay_out(tmp_path / "again", gone))


@pytest.mark.parametrize("name", ["food", "caltech101", "caltech256"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.95])
def test_a_truncated_archive(name: str, keep: float, tmp_path: Path) -> None:
    ((file, data),) = packed(name, unpacked(name)[0]).items()
    put(tmp_path / name, {file: data[: int(keep * len(data))]})
    with pytest.raises(UserError, match=rf"{re.escape(file)}.*(tar|zip) archive.*replace your"):
        stored(local(name, tmp_path), tmp_path)


def test_names_that_point_outside_reach_nothing(tmp_path: Path) -> None:
    """Archives are not unpacked, and a listed name is looked up among the files there are."""
    (tmp_path / "secret.jpg").write_bytes(jpeg(99))
    files, truth = unpacked("food")
    evil = {"../../evil.jpg": b"x", "/etc/evil": b"x", "food-101/../../../evil.jpg": b"x"}
    inside = put(tmp_path / "in" / "food", {"food-101.tar.gz": tar(evil | files)})
    raw = local("food", inside.parent)
    assert_is(raw, truth, files, tmp_path)
    assert not list(tmp_path.rglob("*evil*"))
    listed = json.dumps({"waffles": ["../../../secret"]}).encode()
    for folder in (tmp_path / "packed", tmp_path / "open"):
        files["food-101/meta/test.json"] = listed
        if folder.name == "packed":
            put(folder / "food", packed("food", files))
        else:
            lay_out(folder, files)
        with pytest.raises(UserError, match=r"not there: .*images/\.\./\.\./\.\./secret\.jpg"):
            local("food", folder)


def test_links_and_devices_in_an_archive_are_no_images(tmp_path: Path) -> None:
    files, _ = unpacked("food")
    path = next(path for path in files if path.endswith("train0.jpg"))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            if name == path:
                entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
                archive.addfile(entry)
            else:
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    put(tmp_path / "food", {"food-101.tar.gz": buffer.getvalue()})
    with pytest.raises(UserError, match="1 of the 3 train images"):
        local("food", tmp_path)


def test_a_file_of_absurd_size_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from workflow_scripts.advtransfer.data import trees

    monkeypatch.setattr(trees, "LARGEST", 3000)
    files, _ = unpacked("food")
    path = next(path for path in files if path.endswith("train0.jpg"))
    files[path] = bytes(4000)
    put(tmp_path / "food", packed("food", files))
    with pytest.raises(UserError, match="4000 bytes in one file, more than the 3000"):
        stored(local("food", tmp_path), tmp_path)


def test_no_loader_here_unpickles() -> None:
    """Nor do torchvision's of the same datasets, which serve as witnesses above."""
    library = Path("workflow_scripts/advtransfer/data")
    for file in library.rglob("*.py"):
        assert not re.search(r"\bpickle\b|torch\.load|\beval\(|\bexec\(", file.read_text()), file


# What is written ---------------------------------------------------------------------------------


def test_archive_and_folder_give_the_same_file(tmp_path: Path) -> None:
    files, _ = unpacked("pets")
    put(tmp_path / "one/pets", packed("pets", files))
    lay_out(tmp_path / "two", files)
    arrays = [stored(local("pets", tmp_path / k), tmp_path / k) for k in ("one", "two")]
    assert arrays[0].keys() == arrays[1].keys()
    for key, array in arrays[0].items():
        np.testing.assert_array_equal(array, arrays[1][key])
    attributes = []
    for k in ("one", "two"):
        with h5py.File(tmp_path / k / "stored.h5") as file:
            attributes.append({key: file.attrs[key] for key in ("files", "pillow")})
    assert attributes[0]["pillow"] == attributes[1]["pillow"]
    assert len(attributes[0]["files"]) == 64
