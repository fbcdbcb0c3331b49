"""Machines unlike the developer's: file systems without locks, permissions, limits, the umask."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from support.workflow import ROOT
from workflow_scripts.advtransfer.artifacts.files import file_error
from workflow_scripts.advtransfer.artifacts.hdf5 import read_hdf5, write_hdf5
from workflow_scripts.advtransfer.artifacts.json_files import write_json, write_recipe
from workflow_scripts.advtransfer.artifacts.measurements import write_measurements
from workflow_scripts.advtransfer.artifacts.sealed_json import write_sealed_json
from workflow_scripts.advtransfer.artifacts.table_writer import write_rows
from workflow_scripts.advtransfer.artifacts.tensors import load_tensors, save_tensors
from workflow_scripts.advtransfer.data.dataset import OfficialFile
from workflow_scripts.advtransfer.data.download import download
from workflow_scripts.advtransfer.data.packs import class_names_of_pack, read_pack
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.plotting.save import save

ARRAYS = {"x": np.arange(12, dtype=np.uint8)}
NOBODY = 65534


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    path = tmp_path / "a.h5"
    write_hdf5(path, ARRAYS, {})
    return path


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    path = tmp_path / "pack.h5"
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros((4, 8, 8, 3), np.uint8)
        file["labels"] = np.array([0, 1, 0, 1])
        file["split"] = np.array([b"train", b"train", b"test", b"test"])
        file.attrs["class_names"] = '["cat", "dog"]'
    return path


READERS: dict[str, Callable[[Path], object]] = {
    "artefact": read_hdf5,
    "pack": read_pack,
    "classes of a pack": class_names_of_pack,
    "checkpoint": load_tensors,
}


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may read everything, so it becomes nobody for a while."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def no_file_more() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def refusal(reader: str, path: Path) -> str:
    with pytest.raises(UserError) as refused:
        READERS[reader](path)
    message = str(refused.value)
    assert str(path) in message
    assert not any(word in message for word in ("damaged", "--force", "Copy it anew"))
    return message


# What the system says of a file is not taken for damage of its content ----------------------------


@pytest.mark.parametrize("reader", READERS)
def test_a_file_without_permission_is_no_damaged_one(
    reader: str, artefact: Path, pack: Path
) -> None:
    path = artefact if reader in ("artefact", "checkpoint") else pack
    path.chmod(0o000)
    with ordinary_user():
        message = refusal(reader, path)
    assert "no permission to read" in message and "chmod" in message


@pytest.mark.parametrize("reader", READERS)
def test_a_folder_where_a_file_was_expected(reader: str, tmp_path: Path) -> None:
    assert "it is a folder" in refusal(reader, tmp_path)


@pytest.mark.parametrize("reader", READERS)
def test_too_many_open_files(reader: str, artefact: Path, pack: Path) -> None:
    path = artefact if reader in ("artefact", "checkpoint") else pack
    with no_file_more():
        message = refusal(reader, path)
    assert "ulimit -n" in message


@pytest.mark.parametrize("reader", ["artefact", "checkpoint"])
def test_a_disk_that_fails(reader: str) -> None:
    """Linux answers a read of this file's first page with EIO."""
    assert "the disk or the network failed" in refusal(reader, Path("/proc/self/mem"))


@pytest.mark.parametrize(
    ("number", "way"),
    [
        (errno.EAGAIN, "another program"),
        (errno.ENOENT, "put the file there"),
        (errno.ESTALE, "mounted anew"),
        (errno.EDQUOT, "quota"),
    ],
)
@pytest.mark.parametrize("in_text", [False, True])
def test_an_error_of_the_system_names_the_way_out(number: int, way: str, in_text: bool) -> None:
    """HDF5 gives some numbers only inside a longer text."""
    error = RuntimeError(f"(errno = {number}, ...)") if in_text else OSError(number, "no")
    assert way in str(file_error("a.h5", error, "read"))


# Locks --------------------------------------------------------------------------------------------

HOLD = """
import h5py, sys
file = h5py.File(sys.argv[1], "a")
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def open_in_a_notebook(path: Path) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        yield
        holder.stdin.close()


@pytest.mark.parametrize("reader", ["pack", "classes of a pack"])
def test_a_pack_that_another_program_writes_is_said_to_be_open(reader: str, pack: Path) -> None:
    with open_in_a_notebook(pack):
        message = refusal(reader, pack)
    assert "another program has it open" in message and "file.close()" in message
    READERS[reader](pack)


def test_an_artefact_needs_no_lock(artefact: Path) -> None:
    """A lock left by a machine that is gone stops nobody: artefacts are replaced as a whole."""
    import fcntl

    with open(artefact, "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert (read_hdf5(artefact)[0]["x"] == ARRAYS["x"]).all()


NO_LOCKS = """
#include <errno.h>
#include <stdlib.h>
int flock(int file, int operation) { errno = atoi(getenv("ERRNO")); return -1; }
"""

USE = """
import sys
from pathlib import Path
import h5py, numpy
from workflow_scripts.advtransfer.artifacts.hdf5 import read_hdf5, write_hdf5
from workflow_scripts.advtransfer.data.packs import class_names_of_pack, read_pack
try:
    h5py.File(sys.argv[1], "r")
except OSError:
    print("h5py alone fails")
write_hdf5(sys.argv[2], {"x": numpy.arange(3)}, {})
print(len(read_hdf5(sys.argv[2])[0]["x"]), class_names_of_pack(Path(sys.argv[1])))
print(len(read_pack(Path(sys.argv[1])).splits))
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to take the locks away with")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, 524])
def test_a_file_system_without_locks_is_as_good_as_another(
    number: int, pack: Path, tmp_path: Path
) -> None:
    source, library = tmp_path / "locks.c", tmp_path / "locks.so"
    source.write_text(NO_LOCKS)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    done = subprocess.run(
        [sys.executable, "-c", USE, str(pack), str(tmp_path / "new.h5")],
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": str(library), "ERRNO": str(number)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["h5py alone fails", "3 ('cat', 'dog')", "2"], done.stderr


# The umask ----------------------------------------------------------------------------------------


def _figure(path: Path) -> None:
    save(Figure(), path)


def _download(path: Path) -> None:
    origin = path.parent.parent / "origin" / path.name
    origin.parent.mkdir()
    origin.write_bytes(b"")
    empty = "d41d8cd98f00b204e9800998ecf8427e"
    download(OfficialFile(path.name, empty, (origin.as_uri(),)), path.parent)


WRITERS: dict[str, Callable[[Path], object]] = {
    "hdf5": lambda path: write_hdf5(path, ARRAYS, {}),
    "checkpoint": lambda path: save_tensors(path, {"a": torch.zeros(2)}, {}),
    "measurements": lambda path: write_measurements(path, [{"a": 1}], ["a"]),
    "table": lambda path: write_rows(path, [{"a": 1}], ["a"]),
    "json": lambda path: write_json(path, {}),
    "recipe": lambda path: write_recipe(path, "{}"),
    "sealed json": lambda path: write_sealed_json(path, []),
    "svg": lambda path: _figure(path.with_suffix(".svg")),
    "png": lambda path: _figure(path.with_suffix(".png")),
    "download": _download,
}


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o027, 0o077])
@pytest.mark.parametrize("writer", WRITERS)
def test_everything_written_follows_the_umask(writer: str, umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        WRITERS[writer](tmp_path / "new" / "file")
        WRITERS[writer](tmp_path / "new" / "file") if writer != "download" else None
    finally:
        os.umask(before)
    written = list((tmp_path / "new").iterdir())
    assert written
    assert {oct(path.stat().st_mode & 0o777) for path in written} == {oct(0o666 & ~umask)}
    assert oct((tmp_path / "new").stat().st_mode & 0o777) == oct(0o777 & ~umask)
