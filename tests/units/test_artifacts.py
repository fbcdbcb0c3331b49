"""Files in and out: read back as written, told when damaged, no trace of a failed write."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from support.artifacts import write_everything
from support.workflow import ROOT
from workflow_scripts.advtransfer.artifacts.files import atomic, file_error
from workflow_scripts.advtransfer.artifacts.hdf5 import (
    hdf5_writer,
    open_hdf5,
    read_hdf5,
    write_hdf5,
)
from workflow_scripts.advtransfer.artifacts.json_files import write_json, write_recipe
from workflow_scripts.advtransfer.artifacts.measurements import write_measurements
from workflow_scripts.advtransfer.artifacts.sealed import csv_bytes
from workflow_scripts.advtransfer.artifacts.table_reader import read_rows
from workflow_scripts.advtransfer.artifacts.table_writer import write_rows
from workflow_scripts.advtransfer.artifacts.tensors import load_tensors, save_tensors
from workflow_scripts.advtransfer.artifacts.versions import provenance
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.seals import RESULTS, sidecar

RNG = np.random.default_rng(0)
ARRAYS = {
    "images": RNG.integers(0, 256, (50, 8, 8, 3), np.uint8),
    "seed0/pgd-linf-8_255/delta": RNG.normal(size=(7, 3, 8, 8)).astype(np.float16),
    "labels": np.arange(50),
    "none": np.zeros((0, 4), np.float32),
}
ATTRIBUTES = {
    "recipe": {"split": "train", "classes": ["cat", "dog"], "half": None},
    "licence": "MIT, as far as known",
    "seed": 3,
    "share": 0.1,
}


# Atomic replacement ------------------------------------------------------------------------------


def test_atomic_replaces_at_the_end_only(tmp_path):
    path = tmp_path / "made" / "on the way" / "file.txt"
    with atomic(path) as temporary:
        assert temporary.parent == path.parent  # a move across file systems would be a copy
        temporary.write_text("first")
        assert not path.exists()
    with atomic(path) as temporary:
        temporary.write_text("second")
        assert path.read_text() == "first"
    assert path.read_text() == "second"
    assert os.listdir(path.parent) == ["file.txt"]


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt(), RuntimeError("other")])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(type(error)), atomic(path) as temporary:
        temporary.write_text("half of the n")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="could not write"):
        write_json(tmp_path / "file" / "inside.json", 1)


@pytest.mark.parametrize("name", ["a.h5", "a.csv", "a.json"])
def test_full_disk_is_told_and_the_old_file_stays(tmp_path, name):
    path = tmp_path / name
    path.write_text("old")
    with atomic(path) as temporary:
        temporary.write_text("old")
    temporary.symlink_to("/dev/full")  # every write there says that no space is left
    with pytest.raises(UserError, match="the disk is full") as told:
        write_everything(path)
    assert str(path) in str(told.value)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [name]


def test_full_disk_under_a_checkpoint(tmp_path):
    """safetensors writes beside the name it is given, so this needs a real small file system."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, 'tests');"
        "from support.artifacts import write_everything;"
        "path = Path(sys.argv[1]) / 'a.safetensors';"
        "path.write_text('old')\n"
        "try: write_everything(path)\n"
        "except Exception as e: print(type(e).__name__, e, [p.name for p in path.parent.iterdir()])"
    )
    mounted = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
         'mount -t tmpfs -o size=64k none "$0" || exit 77; exec "$1" -c "$2" "$0"',
         str(tmp_path), sys.executable, code],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if mounted.returncode == 77 or "unshare" in mounted.stderr:
        pytest.skip("no small file system can be mounted here")
    assert mounted.stdout.startswith("UserError"), mounted.stdout + mounted.stderr
    assert "the disk is full" in mounted.stdout
    assert mounted.stdout.rstrip().endswith("['a.safetensors']")


def test_errors_of_the_system_get_a_way_out():
    full = file_error("x.h5", OSError(errno.ENOSPC, "No space left on device"), "write")
    assert "disk is full" in str(full)
    # HDF5 reports it inside a longer text, without an errno of its own.
    assert "disk is full" in str(
        file_error("x", RuntimeError("... errno = 28, error ..."), "write")
    )
    denied = file_error("x.h5", PermissionError(errno.EACCES, "Permission denied"), "read")
    assert "no permission to read" in str(denied)
    assert "could not read" in str(file_error("x.h5", OSError(errno.EIO, "I/O error"), "read"))


# HDF5 --------------------------------------------------------------------------------------------


def test_hdf5_round_trip(tmp_path):
    path = tmp_path / "a.h5"
    write_hdf5(path, ARRAYS, ATTRIBUTES)
    arrays, attributes = read_hdf5(path)
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype, name
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)
    assert attributes == ATTRIBUTES
    named, _ = read_hdf5(path, ["labels"])
    assert list(named) == ["labels"]


def test_other_programs_read_the_file(tmp_path):
    path = tmp_path / "a.h5"
    write_hdf5(path, ARRAYS, {})
    with h5py.File(path) as file:
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(file[name][()], array)


def test_files_of_other_programs_are_read(tmp_path):
    """A user's pack has whatever chunks, filters and checksums its author chose."""
    path = tmp_path / "pack.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("plain", data=ARRAYS["images"])
        file.create_dataset("packed", data=ARRAYS["images"], chunks=True, compression="gzip")
        file.create_dataset("checked", data=ARRAYS["images"], fletcher32=True)
    for array in read_hdf5(path)[0].values():
        np.testing.assert_array_equal(array, ARRAYS["images"])
    with open_hdf5(path) as file:
        chosen = np.array([3, 1, 3])
        np.testing.assert_array_equal(file.rows("packed")[chosen], ARRAYS["images"][chosen])


def test_rows_one_part_at_a_time(tmp_path):
    """Written in parts of any length, in turns, the file is the one that is written at once."""
    x, y = RNG.normal(size=(5, 1 << 17)), np.arange(5)  # blocks of the checksum cross the rows
    write_hdf5(tmp_path / "whole.h5", {"x": x, "g/y": y}, {"a": 1})
    with hdf5_writer(tmp_path / "parts.h5", {"a": 1}) as writer:
        for part in (slice(0, 1), slice(1, 4), slice(4, 5)):
            writer.append("x", x[part], len(x))
            writer.append("g/y", y[part], len(y))
    arrays, attributes = read_hdf5(tmp_path / "parts.h5")
    np.testing.assert_array_equal(arrays["x"], x)
    assert attributes == {"a": 1}
    with open_hdf5(tmp_path / "parts.h5") as file:
        assert sorted(file.names()) == ["g/y", "x"]
        rows = file.rows("x")
        np.testing.assert_array_equal(rows[1:3], x[1:3])
        np.testing.assert_array_equal(rows[np.array([4, 0, 4])], x[[4, 0, 4]])
        for outside in (-1, 5):
            with pytest.raises(IndexError):
                rows[np.array([0, outside])]
    with h5py.File(tmp_path / "whole.h5") as whole, h5py.File(tmp_path / "parts.h5") as parts:
        assert dict(whole["x"].attrs) == dict(parts["x"].attrs)


def test_missing_rows_are_an_error_of_the_program(tmp_path):
    with (
        pytest.raises(ValueError, match="'x' got 2 rows of 3"),
        hdf5_writer(tmp_path / "a.h5", {}) as writer,
    ):
        writer.append("x", np.zeros(2), 3)
    assert not list(tmp_path.iterdir())


def place(path: Path, array: np.ndarray, order: np.ndarray) -> Path:
    with hdf5_writer(path, {}) as writer:
        writer.append("labels", np.arange(3), 3)
        for position in order.tolist():
            writer.place("g/x", position, array[position], len(array))
        writer.describe("files", "abc")
    return path


def test_rows_in_any_order(tmp_path):
    """Rows that cross the blocks of the checksum, in an order of their own."""
    x = RNG.integers(0, 256, (11, 1000, 1300), np.uint8)
    path = place(tmp_path / "a.h5", x, RNG.permutation(11))
    arrays, attributes = read_hdf5(path)
    assert list(arrays) == ["g/x", "labels"] and attributes == {"files": "abc"}
    np.testing.assert_array_equal(arrays["g/x"], x)
    write_hdf5(tmp_path / "whole.h5", {"g/x": x}, {})
    with h5py.File(path) as placed, h5py.File(tmp_path / "whole.h5") as whole:
        assert dict(placed["g/x"].attrs) == dict(whole["g/x"].attrs)
    with open_hdf5(path) as file:
        chosen = np.array([10, 0, 10, 3])
        np.testing.assert_array_equal(file.rows("g/x")[chosen], x[chosen])
        np.testing.assert_array_equal(file.rows("g/x")[2:9:3], x[2:9:3])
        assert file.rows("g/x")[np.array([], int)].shape == (0, 1000, 1300)
    other = place(tmp_path / "b.h5", x, np.arange(11))
    assert path.read_bytes() == other.read_bytes()


def test_a_row_that_never_came_is_an_error_of_the_program(tmp_path):
    with pytest.raises(ValueError, match="'g/x' got 4 rows of 5"):
        place(tmp_path / "a.h5", np.zeros((5, 2)), np.array([0, 4, 1, 2]))
    assert not list(tmp_path.iterdir())


def test_of_placed_rows_only_what_is_read_is_verified(tmp_path):
    """A view of a set larger than memory need not read it all; what it does read is verified."""
    x = RNG.integers(0, 256, (8, 4 << 20), np.uint8)  # a row a block
    path = place(tmp_path / "a.h5", x, np.arange(8))
    with h5py.File(path) as file:
        offset = file["g/x"].id.get_offset()
    with open(path, "r+b") as raw:
        raw.seek(offset + 5 * (4 << 20) + 17)
        raw.write(bytes([x[5, 17] ^ 1]))
    with open_hdf5(path) as file:
        rows = file.rows("g/x")
        for whole in (np.array([0, 7, 4]), slice(6, 8), slice(0, 5)):
            np.testing.assert_array_equal(rows[whole], x[whole])
        for damaged in (np.array([1, 5]), slice(4, 6), slice(None)):
            with pytest.raises(UserError, match="damaged.*'/g/x' does not have its checksum"):
                rows[damaged]
    with pytest.raises(UserError, match="checksum"):
        read_hdf5(path)


def test_the_checksums_of_blocks_are_verified_themselves(tmp_path):
    path = place(tmp_path / "a.h5", np.zeros((8, 100), np.uint8), np.arange(8))
    with h5py.File(path) as file:
        offset = file["block_checksums/g/x"].id.get_offset()
    with open(path, "r+b") as raw:
        raw.seek(offset)
        raw.write(b"xxxx")
    with open_hdf5(path) as file, pytest.raises(UserError, match="checksum"):
        file.rows("g/x")


def test_hdf5_is_byte_stable(tmp_path):
    write_hdf5(tmp_path / "a.h5", ARRAYS, ATTRIBUTES)
    time.sleep(1.1)  # HDF5's own times count seconds
    write_hdf5(tmp_path / "b.h5", ARRAYS, ATTRIBUTES)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize("kept", [0, 100, -1000])
def test_truncated_hdf5_is_told(tmp_path, kept):
    path = tmp_path / "a.h5"
    write_hdf5(path, ARRAYS, ATTRIBUTES)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match="truncated or damaged") as told:
        read_hdf5(path)
    assert str(path) in str(told.value)


def test_one_flipped_bit_of_the_data_is_told(tmp_path):
    path = tmp_path / "a.h5"
    images = ARRAYS["images"]
    write_hdf5(path, {"images": images, "labels": ARRAYS["labels"]}, {})
    content = bytearray(path.read_bytes())
    position = content.index(images.tobytes()) + 1234
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        read_hdf5(path)
    with open_hdf5(path) as file, pytest.raises(UserError, match="images.*checksum"):
        file.rows("images")
    # What is whole can still be read.
    np.testing.assert_array_equal(read_hdf5(path, ["labels"])[0]["labels"], ARRAYS["labels"])


@pytest.mark.parametrize("offset", [20, 24])
def test_damage_outside_the_data_is_told(tmp_path, offset):
    """Not every error of HDF5 is an OSError: a wrong address of an object gives a KeyError, an
    unknown kind of entry a RuntimeError. SNOD starts a group's table: 8 bytes, then entries of a
    name, an address and a kind."""
    path = tmp_path / "a.h5"
    write_hdf5(path, {"g/x": np.arange(300.0), "y": np.arange(20)}, {"recipe": {"a": 1}})
    content = bytearray(path.read_bytes())
    content[content.index(b"SNOD") + offset] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        read_hdf5(path, ["g/x", "y"])


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", b"PK\x03\x04" * 100])
def test_another_format_is_told(tmp_path, content):
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(UserError, match="truncated or damaged"):
        read_hdf5(path)


def test_missing_file_and_missing_dataset_are_told(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_hdf5(tmp_path / "a.h5")
    write_hdf5(tmp_path / "a.h5", {"images": np.zeros(3)}, {})
    with pytest.raises(UserError, match="no dataset 'labels'.*images"):
        read_hdf5(tmp_path / "a.h5", ["labels"])


# safetensors -------------------------------------------------------------------------------------


def test_tensors_round_trip(tmp_path):
    path = tmp_path / "a.safetensors"
    tensors = {
        "weight": torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0)),
        "channels_last": torch.arange(24.0).view(1, 2, 3, 4).to(memory_format=torch.channels_last),
        "state": torch.Generator().get_state(),
        "half": torch.tensor([0.1, -0.0], dtype=torch.float16),
        "scalar": torch.tensor(7),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    save_tensors(path, tensors, ATTRIBUTES)
    found, attributes = load_tensors(path)
    assert set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name
    assert attributes == ATTRIBUTES
    save_tensors(tmp_path / "b.safetensors", tensors, ATTRIBUTES)
    assert path.read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("kept", [0, 5, 50, -1])
def test_truncated_tensors_are_told(tmp_path, kept):
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"x": torch.zeros(100)}, {})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match="not a complete safetensors checkpoint") as told:
        load_tensors(path)
    assert str(path) in str(told.value)


def test_pickled_checkpoint_is_refused_with_the_way_out(tmp_path):
    path = tmp_path / "foreign.pt"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(UserError, match=r"\.pt or \.ckpt file has to be converted"):
        load_tensors(path)


def test_missing_checkpoint_is_told(tmp_path):
    with pytest.raises(UserError, match="no such checkpoint"):
        load_tensors(tmp_path / "a.safetensors")


# CSV, JSON, provenance ---------------------------------------------------------------------------


def test_rows_round_trip(tmp_path):
    path = tmp_path / "a.csv"
    rows = [
        {"name": 'with "quotes", commas\nand lines', "value": 1 / 3, "n": 7},
        {"name": "α₁", "value": float("nan"), "n": ""},
        {"name": "no value"},
    ]
    write_rows(path, rows, ["name", "value", "n"])
    assert path.read_bytes().startswith(b"name,value,n\n")
    assert read_rows(path) == [
        {"name": 'with "quotes", commas\nand lines', "value": "0.3333333333", "n": "7"},
        {"name": "α₁", "value": "nan", "n": ""},
        {"name": "no value", "value": "", "n": ""},
    ]


def test_rows_have_exactly_the_columns(tmp_path):
    path = tmp_path / "a.csv"
    write_rows(path, [], ["a", "b"])
    assert path.read_text() == "a,b\n"
    with pytest.raises(ValueError, match="c"):
        write_rows(path, [{"c": 1}], ["a", "b"])
    assert path.read_text() == "a,b\n"
    with pytest.raises(UserError, match="could not read"):
        read_rows(tmp_path / "missing.csv")


def test_measurements_are_written_as_rows_are(tmp_path):
    columns = ["attack", "epsilon", "value", "n"]
    rows = [
        {"attack": "pgd", "epsilon": 8 / 255, "value": np.float64(1e-17), "n": 7},
        {"attack": "none", "epsilon": 0.0, "value": float("nan"), "n": np.int64(3)},
        {"attack": "", "value": -12345678901.5, "n": True},
    ]
    write_measurements(tmp_path / "a.csv", iter(rows), columns)
    write_rows(tmp_path / "b.csv", rows, columns)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert [row["attack"] for row in read_rows(tmp_path / "a.csv")] == ["pgd", "none", ""]
    written = (tmp_path / "a.csv").read_bytes()
    for row in ({"other": 1}, {"attack": "a,b"}, {"attack": 'a"b'}, {"attack": "a\nb"}):
        with pytest.raises(ValueError, match="other|plain word"):
            write_measurements(tmp_path / "a.csv", [row], columns)
    assert (tmp_path / "a.csv").read_bytes() == written


def test_recipe_beside_an_artefact(tmp_path):
    path = tmp_path / "recipe.json"
    write_recipe(path, '{"b":1,"a":2}')
    write_recipe(path, '{"a": 2, "b": 1}')  # the same one, written otherwise
    assert json.loads(path.read_text()) == {"a": 2, "b": 1}
    with pytest.raises(UserError, match="collision"):
        write_recipe(path, '{"a":3,"b":1}')
    assert json.loads(path.read_text()) == {"a": 2, "b": 1}


@pytest.mark.parametrize("content", [b"", b'{"a":', b"\xff\x00"])
def test_damaged_recipe_is_replaced(tmp_path, content):
    path = tmp_path / "recipe.json"
    path.write_bytes(content)
    write_recipe(path, '{"b":1,"a":2}')
    assert json.loads(path.read_text()) == {"a": 2, "b": 1}


def test_provenance_names_what_was_imported():
    found = provenance()
    assert found["torch"] == torch.__version__.partition("+")[0]
    assert found["numpy"] == np.__version__
    assert found["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")


# Seals -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Format:
    """How files of a format are written and read: small ones, whole ``content`` as plain values."""

    suffix: str
    write: Callable[[Path, int], None]  # the number makes one file differ from another
    read: Callable[[Path], Any]


def plain(arrays: dict[str, Any], attributes: dict[str, Any]) -> Any:
    """Names, types, shapes and bytes, so that two files' contents can be compared by ``==``."""
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    return attributes, {n: (a.dtype.str, a.shape, a.tobytes()) for n, a in arrays.items()}


def small_arrays(number: int) -> dict[str, np.ndarray]:
    return {"seed0/logits": np.arange(12.0).reshape(4, 3) + number, "labels": np.arange(9)}


def write_small_tensors(path: Path, number: int) -> None:
    tensors = {name: torch.tensor(array) for name, array in small_arrays(number).items()}
    save_tensors(path, tensors, {"seed": number, "classes": ["cat"]})


FORMATS = {
    "hdf5": Format(
        ".h5",
        lambda path, number: write_hdf5(path, small_arrays(number), {"seed": number, "a": "text"}),
        lambda path: plain(*read_hdf5(path)),
    ),
    "safetensors": Format(
        ".safetensors", write_small_tensors, lambda path: plain(*load_tensors(path))
    ),
    "csv": Format(
        ".csv",
        lambda path, number: write_rows(path, [{"a": number, "b": 0.5}] * 9, ["a", "b"]),
        read_rows,
    ),
}


@pytest.fixture(params=FORMATS)
def form(request: pytest.FixtureRequest) -> Format:
    return FORMATS[request.param]


@pytest.fixture(params=["results", "elsewhere"])
def file(
    request: pytest.FixtureRequest, form: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A sealed file, by the path of an artefact or as a user's own."""
    monkeypatch.chdir(tmp_path)
    path = Path(request.param) / f"some-digest{form.suffix}"
    form.write(path, 1)
    return path


def parts(path: Path) -> Iterator[Path]:
    """The file, and the one that holds its seal, if another one does."""
    yield path
    if sidecar(path).exists():
        yield sidecar(path)


def outcome(form: Format, path: Path) -> Any:
    """What is read, or the message; anything but a UserError is an error of the program."""
    try:
        return form.read(path)
    except UserError as error:
        return str(error)


def assert_refused(form: Format, path: Path, *expected: str) -> None:
    told = outcome(form, path)
    assert isinstance(told, str), "it was read"
    assert str(path) in told
    for text in expected:
        assert text in told, told
    way = f"snakemake --force {path}" if path.parts[0] == RESULTS else "Copy it anew"
    assert way in told, told


def test_every_flipped_bit_is_told_or_changes_nothing(form: Format, file: Path) -> None:
    """Bytes all over the file, and all bits of the first and last bytes, where seals stand."""
    whole = form.read(file)
    bits = np.random.default_rng(0)
    told = flips = 0
    for part in parts(file):
        content = part.read_bytes()
        over = range(0, len(content), 1 + len(content) // 1000)
        positions = [(k, int(bits.integers(8))) for k in over]
        ends = {*range(min(80, len(content))), *range(max(0, len(content) - 80), len(content))}
        positions += [(k, bit) for k in ends for bit in range(8)]
        for position, bit in positions:
            changed = bytearray(content)
            changed[position] ^= 1 << bit
            part.write_bytes(changed)
            found = outcome(form, file)
            assert isinstance(found, str) or found == whole, (part, position, bit)
            if file.parts[0] == RESULTS:
                assert isinstance(found, str), (part, position, bit)
            told += isinstance(found, str)
            flips += 1
        part.write_bytes(content)
    assert told > 0.7 * flips
    assert form.read(file) == whole


def test_every_truncation_is_told_or_changes_nothing(form: Format, file: Path) -> None:
    """HDF5 may lose the seal alone: then nothing is missing that is read."""
    whole = form.read(file)
    for part in parts(file):
        content = part.read_bytes()
        for kept in sorted(
            {*range(0, len(content), 7), *range(max(0, len(content) - 80), len(content))}
        ):
            part.write_bytes(content[:kept])
            found = outcome(form, file)
            assert isinstance(found, str) or found == whole, (part, kept)
            if file.parts[0] == RESULTS:
                assert isinstance(found, str), (part, kept)
        part.write_bytes(content)


def test_appended_bytes_are_told(form: Format, file: Path) -> None:
    whole = form.read(file)
    with open(file, "ab") as handle:
        handle.write(b"\n1,2\n")
    found = outcome(form, file)
    assert isinstance(found, str) or found == whole
    assert isinstance(found, str) or file.parts[0] != RESULTS


def test_damage_is_told_before_hdf5_sees_it(tmp_path: Path) -> None:
    """HDF5 2.0 hangs or crashes on some files: a sealed one with damage is not opened."""
    path = tmp_path / "a.h5"
    write_hdf5(path, ARRAYS, ATTRIBUTES)
    content = bytearray(path.read_bytes())
    content[content.index(b"SNOD") + 20] ^= 0xFF
    path.write_bytes(content)
    h5py_file, h5py.File = h5py.File, None  # type: ignore[misc]
    try:
        with pytest.raises(UserError, match="does not have its checksum"):
            read_hdf5(path)
    finally:
        h5py.File = h5py_file


@pytest.mark.parametrize("with_seal", [True, False])
def test_swapped_files_are_refused(
    with_seal: bool, form: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two artefacts of equal form change places, a CSV with the file of its seal or without."""
    monkeypatch.chdir(tmp_path)
    first, second = (Path(f"results/{name}{form.suffix}") for name in ("first", "second"))
    form.write(first, 1)
    form.write(second, 2)
    for old, new in zip(list(parts(first)), list(parts(second)), strict=True):
        if with_seal or old == first:
            old.rename("other")
            new.rename(old)
            Path("other").rename(new)
    alone = form.suffix == ".csv" and not with_seal
    assert_refused(form, first, "another file was put here" if alone else f"really {second}")
    assert_refused(form, second, "another file was put here" if alone else f"really {first}")


def test_file_of_another_place_is_refused(
    form: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours, but written outside results/; the other way round a user may copy as they like."""
    monkeypatch.chdir(tmp_path)
    ours, copied = (Path(f"{folder}/a{form.suffix}") for folder in ("results", "elsewhere"))
    form.write(copied, 1)
    ours.parent.mkdir()
    for part in parts(copied):
        shutil.copy(part, ours.parent)
    assert_refused(form, ours, "sealed as" if form.suffix != ".csv" else "really a.csv")
    form.write(ours, 1)
    for part in parts(ours):
        shutil.copy(part, copied.parent)
    assert form.read(copied) == form.read(ours) == form.read(ours.absolute())


def test_missing_seal_is_refused_below_results_only(form: Format, file: Path) -> None:
    """Written by another program, or by this one before there were seals."""
    whole = form.read(file)
    content = file.read_bytes()
    if form.suffix == ".csv":
        sidecar(file).unlink()
    elif form.suffix == ".h5":
        file.write_bytes(content[: content.rindex(b'{"artefact"')])
    else:
        from safetensors.torch import load, save_file

        whole = whole[0] | {"seed": 3}, whole[1]
        save_file(load(content), file, {"advtransfer": '{"seed": 3, "classes": ["cat"]}'})
    if file.parts[0] == RESULTS:
        assert_refused(form, file, "it has no seal")
    else:
        assert form.read(file) == whole


def test_way_out_of_an_odd_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command can be pasted; a resume file has none, for no rule makes it."""
    monkeypatch.chdir(tmp_path)
    for name in ("results/a b.csv", "results/model.safetensors.resume"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"")
    with pytest.raises(UserError, match="`snakemake --force 'results/a b.csv'`"):
        csv_bytes("results/a b.csv")
    with pytest.raises(UserError, match="It is not used.$"):
        load_tensors("results/model.safetensors.resume")


def test_sidecar_is_what_sha256sum_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("results/tables/a.csv")
    write_rows(path, [{"a": 1}], ["a"])
    told = subprocess.run(["sha256sum", "--check", str(sidecar(path))], capture_output=True)
    assert told.returncode == 0, told
    path.write_text("a\n2\n")
    told = subprocess.run(["sha256sum", "--check", str(sidecar(path))], capture_output=True)
    assert told.returncode == 1


@pytest.mark.parametrize("moved", [0, 1])
def test_crash_between_table_and_seal_is_seen(
    moved: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the two files is new, the old one beside it does not vouch for it."""
    monkeypatch.chdir(tmp_path)
    path = Path("results/a.csv")
    write_rows(path, [{"a": 1}], ["a"])
    done = []

    def replace(old: Path, new: Path, replace: Callable[[Path, Path], None] = os.replace) -> None:
        if len(done) == moved:
            raise KeyboardInterrupt
        done.append(new)
        replace(old, new)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "replace", replace)
        write_rows(path, [{"a": 2}], ["a"])
    assert sorted(os.listdir("results")) == [".a.csv.sha256", "a.csv"]
    if moved:
        assert_refused(FORMATS["csv"], path, "does not have its checksum")
    else:
        assert read_rows(path) == [{"a": "1"}]


def test_full_disk_leaves_table_and_seal(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_rows(path, [{"a": 1}], ["a"])
    with atomic(sidecar(path)) as temporary:
        temporary.write_bytes(sidecar(path).read_bytes())
    temporary.symlink_to("/dev/full")
    with pytest.raises(UserError, match="the disk is full"):
        write_rows(path, [{"a": 2}], ["a"])
    assert read_rows(path) == [{"a": "1"}]
    assert sorted(os.listdir(tmp_path)) == [".a.csv.sha256", "a.csv"]


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UserError, match="no regular file"), atomic(pipe):
        pass
    assert pipe.is_fifo()
