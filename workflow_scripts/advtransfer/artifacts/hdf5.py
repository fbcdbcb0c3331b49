"""HDF5 files: arrays are written row by row, read in parts, and verified while they are read.

Datasets, views, features, perturbations, responses, logits and metrics by image are such files.
Every file gets a seal (seals.py), which is verified when the file is read.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from .. import seals
from ..errors import UserError
from .files import atomic, error_number, file_error

CHECKSUM = "block_crc32"  # a dataset's attribute: CRC-32 of the CRC-32s of its blocks
BLOCK_BYTES = 4 << 20
BLOCKS = "block_checksums"  # group with the CRC-32s of the blocks of datasets written by `place`
READERS = 2  # number of threads; reading and checksums release the interpreter lock


@contextlib.contextmanager
def _tracebacks_silenced() -> Iterator[None]:
    """Silence the tracebacks of HDF5 for objects that it cannot close after a failed write."""

    def silent(*_: object) -> None:
        pass

    hooks = sys.excepthook, sys.unraisablehook
    sys.excepthook, sys.unraisablehook = silent, silent
    try:
        yield
    finally:
        sys.excepthook, sys.unraisablehook = hooks


class Hdf5Writer:
    """A writer of datasets, whole or row by row; made by `hdf5_writer`."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._rows: dict[str, int] = {}  # number of rows written so far
        self._checksums: dict[str, _Checksum] = {}
        self._placed: dict[str, np.ndarray] = {}  # which rows have been placed

    def append(self, name: str, rows: np.ndarray, total: int) -> None:
        """Write the next of ``total`` rows of dataset ``name`` (``/`` makes groups)."""
        rows = np.asarray(rows, order="C")
        if name not in self._rows:
            shape = (total, *rows.shape[1:])
            self._file.create_dataset(name, shape, rows.dtype, track_times=False)
            self._rows[name], self._checksums[name] = 0, _Checksum()
        start = self._rows[name]
        self._rows[name] += len(rows)
        if rows.size:
            self._file[name][start : self._rows[name]] = rows
            self._checksums[name].update(_bytes(rows))

    def place(self, name: str, position: int, row: np.ndarray, total: int) -> None:
        """Write one of ``total`` rows of dataset ``name``; rows may come in any order.

        Such a dataset may be larger than memory. It has a checksum of every block, so that a reader
        verifies only the blocks that it reads.
        """
        if name not in self._placed:
            self._file.create_dataset(name, (total, *row.shape), row.dtype, track_times=False)
            self._placed[name] = np.zeros(total, bool)
        self._file[name][position] = row
        self._placed[name][position] = True

    def describe(self, key: str, value: Any) -> None:
        """Add an attribute of the file that is known only after its rows are written."""
        self._file.attrs[key] = value if isinstance(value, str) else json.dumps(value)

    def finish(self) -> list[tuple[int, int]]:
        """Write the checksums, and return offset and size in bytes of every dataset.

        Raises:
            ValueError: A dataset lacks rows.
        """
        for name, placed in self._placed.items():
            if not placed.all():
                raise ValueError(f"'{name}' got {placed.sum()} rows of {len(placed)}")
            checksum = _Checksum()
            dataset = self._file[name]
            several = max(1, BLOCK_BYTES // max(1, dataset.nbytes // len(dataset)))
            for start in range(0, len(dataset), several):
                checksum.update(_bytes(dataset[start : start + several]))
            self._checksums[name], self._rows[name] = checksum, len(dataset)
            blocks = checksum.blocks()
            self.append(f"{BLOCKS}/{name}", blocks, len(blocks))
        for name, checksum in self._checksums.items():
            dataset = self._file[name]
            if self._rows[name] != len(dataset):
                raise ValueError(f"'{name}' got {self._rows[name]} rows of {len(dataset)}")
            dataset.attrs[CHECKSUM] = checksum.value()
        written = [self._file[name] for name in self._checksums]
        return [(item.id.get_offset(), item.nbytes) for item in written if item.size]


@contextlib.contextmanager
def hdf5_writer(path: str | Path, attributes: Mapping[str, Any]) -> Iterator[Hdf5Writer]:
    """Give a writer of a file that is put in place at the end.

    Rows are appended, so that memory does not grow with the file. Datasets are contiguous, which is
    read several times as fast as small chunks, and have a CRC-32 each. Attributes that are not text
    become JSON. The same content gives the same bytes, because there are no timestamps.
    """
    import h5py

    with atomic(path) as temporary, _tracebacks_silenced():
        access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
        access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
        access.set_libver_bounds(h5py.h5f.LIBVER_EARLIEST, h5py.h5f.LIBVER_LATEST)  # as h5py does
        access.set_file_locking(False, True)  # nobody else knows the temporary name
        access.set_sieve_buf_size(0)  # report a refused write at once
        identifier = h5py.h5f.create(os.fsencode(temporary), h5py.h5f.ACC_TRUNC, fapl=access)
        file = h5py.File(identifier)
        try:
            for key, value in attributes.items():
                text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
                file.attrs[key] = text
            writer = Hdf5Writer(file)
            yield writer
            extents = writer.finish()
        except (OSError, RuntimeError):
            _UNWRITABLE.append(file)
            raise
        except BaseException:
            file.close()
            raise
        file.close()
        seals.seal_hdf5(temporary, seals.artefact_at(path), extents)


# Files that the system refused to write stay open here, because HDF5 crashes when it closes them.
_UNWRITABLE: list[Any] = []


def write_hdf5(
    path: str | Path, arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any]
) -> None:
    """Write whole arrays and attributes as `hdf5_writer` does; ``/`` in a key makes groups."""
    with hdf5_writer(path, attributes) as writer:
        for name, array in arrays.items():
            writer.append(name, array, len(array))


@contextlib.contextmanager
def open_hdf5(path: str | Path) -> Iterator[Hdf5Reader]:
    """Open a file whose rows can be read a slice at a time.

    It is not locked: files are replaced as a whole, and some file systems have no locks.

    Raises:
        UserError: The file is missing, cannot be read, is truncated, damaged or another artefact.
    """
    import h5py

    with contextlib.ExitStack() as stack:
        with readable(path):
            raw = stack.enter_context(open(path, "rb", buffering=0))
            seals.check_hdf5(path, raw.fileno())
            file = stack.enter_context(h5py.File(path, "r", locking=False))
        yield Hdf5Reader(path, file, raw.fileno())


@contextlib.contextmanager
def open_foreign_hdf5(path: str | Path) -> Iterator[Any]:
    """Open a file of another program, as an ``h5py.File``, unless it is being written.

    Such a file has no seal, so that half of one would pass for the whole. HDF5 locks what it writes
    where the file system has locks.

    Raises:
        UserError: The file is missing, cannot be read, is being written, truncated or damaged.
    """
    import h5py

    with readable(path), open(path, "rb", buffering=0) as raw:
        try:
            fcntl.flock(raw, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass  # a file system without locks
        with h5py.File(path, "r", locking=False) as file:
            yield file


@contextlib.contextmanager
def readable(path: str | Path) -> Iterator[None]:
    """Turn errors of the system and of h5py for a file that cannot be read into a message."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:  # all from h5py
        if error_number(error) is not None:  # from the system: it says nothing of the content
            raise file_error(path, error, "read") from None
        raise seals.damaged(path, f"truncated or damaged, or no HDF5 file ({error})") from None


class Hdf5Reader:
    """A reader of datasets, which verifies each against its checksum; made by `open_hdf5`."""

    def __init__(self, path: str | Path, file: Any, descriptor: int) -> None:
        self._path, self._file, self._descriptor = path, file, descriptor

    def attributes(self) -> dict[str, Any]:
        """Return the attributes of the file, with JSON decoded."""
        with readable(self._path):
            return {key: decode_attribute(value) for key, value in self._file.attrs.items()}

    def names(self) -> list[str]:
        """Return the names of all datasets, including their groups."""
        found: list[str] = []
        with readable(self._path):
            self._file.visititems(
                lambda name, item: found.append(name) if hasattr(item, "shape") else None
            )
        return [name for name in found if not name.startswith(f"{BLOCKS}/")]

    def whole(self, name: str) -> np.ndarray:
        """Return a dataset in memory; two threads read and verify it block by block."""
        with readable(self._path):
            dataset = self._dataset(name)
            if not self._has_checksum(dataset):
                return np.asarray(dataset[()])
            array = np.empty(dataset.shape, dataset.dtype)
            self._verify(dataset, _bytes(array))
            return array

    def rows(self, name: str) -> Hdf5Rows:
        """Return a dataset to read in parts; it is verified, and never in memory as a whole.

        If its blocks have checksums, each block is verified when a row in it is first read.
        Otherwise the whole dataset is verified now.
        """
        with readable(self._path):
            dataset = self._dataset(name)
            checked = self._has_checksum(dataset)
            blocks = None
            if checked and f"{BLOCKS}/{name}" in self._file:
                blocks = self.whole(f"{BLOCKS}/{name}")
                if _Checksum(blocks.tolist()).value() != dataset.attrs[CHECKSUM]:
                    raise OSError(f"dataset '{dataset.name}' does not have its checksum")
            elif checked:
                self._verify(dataset, None)
            return Hdf5Rows(self._path, dataset, self._descriptor if checked else None, blocks)

    def _dataset(self, name: str) -> Any:
        if name not in self._file:
            raise UserError(
                f"{self._path}: this HDF5 file has no dataset '{name}'; it has "
                f"{sorted(self._file)}."
            )
        return self._file[name]

    def _has_checksum(self, dataset: Any) -> bool:
        """Return False for a file of another program, a repacked file and an empty dataset."""
        return bool(CHECKSUM in dataset.attrs and dataset.chunks is None and dataset.size)

    def _verify(self, dataset: Any, target: memoryview | None) -> None:
        start, size = dataset.id.get_offset(), dataset.nbytes

        def checked(offset: int) -> int:
            length = min(BLOCK_BYTES, size - offset)
            block = memoryview(bytearray(length)) if target is None else target[offset:][:length]
            _fill(block, self._descriptor, start + offset)
            return zlib.crc32(block)

        with ThreadPoolExecutor(READERS) as pool:
            checksum = _Checksum(pool.map(checked, range(0, size, BLOCK_BYTES)))
        if checksum.value() != dataset.attrs[CHECKSUM]:
            raise OSError(f"dataset '{dataset.name}' does not have its checksum")


class Hdf5Rows:
    """Access to rows of a dataset by ``rows[start:stop]`` or ``rows[positions]``.

    `Hdf5Reader.rows` makes it.
    """

    def __init__(
        self,
        path: str | Path,
        dataset: Any,
        descriptor: int | None,
        blocks: np.ndarray | None = None,
    ) -> None:
        self._path, self._dataset, self._descriptor = path, dataset, descriptor
        self.shape: tuple[int, ...] = dataset.shape
        self._blocks = blocks  # CRC-32 of each block
        self._verified = np.zeros(0 if blocks is None else len(blocks), bool)

    def __getitem__(self, which: slice | np.ndarray) -> np.ndarray:
        if not isinstance(which, slice) and ((which < 0) | (which >= self.shape[0])).any():
            raise IndexError(f"rows {which.min()} ... {which.max()} of {self.shape[0]}")
        with readable(self._path):
            if self._blocks is not None and self._descriptor is not None:
                self._verify(which, self._blocks, self._descriptor)
            if isinstance(which, slice):
                return np.asarray(self._dataset[which])
            if self._descriptor is None:
                distinct, back = np.unique(
                    which, return_inverse=True
                )  # h5py needs ascending positions
                return np.asarray(self._dataset[distinct])[back]
            # Rows of a contiguous dataset lie one after another, so they are read without h5py,
            # which takes 30 times as long.
            found = np.empty((len(which), *self._dataset.shape[1:]), self._dataset.dtype)
            start, size = self._dataset.id.get_offset(), found[0].nbytes if len(found) else 0
            whole = _bytes(found)
            for k, position in enumerate(which.tolist()):
                row = whole[k * size : (k + 1) * size]
                _fill(row, self._descriptor, start + position * size)
            return found

    def _verify(self, which: slice | np.ndarray, blocks: np.ndarray, descriptor: int) -> None:
        """Verify the blocks that contain the rows, each once."""
        rows = np.arange(self.shape[0])[which] if isinstance(which, slice) else which
        size = self._dataset.nbytes // self.shape[0]
        wanted = np.zeros(len(blocks), bool)
        first, last = rows * size // BLOCK_BYTES, (rows * size + size - 1) // BLOCK_BYTES
        for further in range(int((last - first).max(initial=0)) + 1):
            wanted[np.minimum(first + further, last)] = True
        start, end = self._dataset.id.get_offset(), self._dataset.nbytes

        def checked(block: int) -> bool:
            offset = block * BLOCK_BYTES
            data = memoryview(bytearray(min(BLOCK_BYTES, end - offset)))
            _fill(data, descriptor, start + offset)
            return bool(zlib.crc32(data) == blocks[block])

        new = np.flatnonzero(wanted & ~self._verified)
        with ThreadPoolExecutor(READERS) as pool:
            if not all(pool.map(checked, new.tolist())):
                raise OSError(f"dataset '{self._dataset.name}' does not have its checksum")
        self._verified[new] = True


def _fill(target: memoryview, descriptor: int, offset: int) -> None:
    while len(target):
        count = os.preadv(descriptor, [target], offset)  # may read less than requested
        if not count:
            raise OSError("the file ends too early")
        target, offset = target[count:], offset + count


def _bytes(array: np.ndarray) -> memoryview:
    return memoryview(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type]


class _Checksum:
    """CRC-32 of the CRC-32s of blocks, so that blocks can be verified in parallel."""

    def __init__(self, blocks: Iterable[int] = ()) -> None:
        self._blocks = list(blocks)
        self._running, self._filled = 0, 0

    def update(self, data: memoryview) -> None:
        while len(data):
            part = data[: BLOCK_BYTES - self._filled]
            data = data[len(part) :]
            self._running = zlib.crc32(part, self._running)
            self._filled += len(part)
            if self._filled == BLOCK_BYTES:
                self._blocks.append(self._running)
                self._running, self._filled = 0, 0

    def blocks(self) -> np.ndarray:
        """Return the CRC-32 of every block, uint32 (n,); the last block may be shorter."""
        return np.array(self._blocks + ([self._running] if self._filled else []), "<u4")

    def value(self) -> str:
        return f"{zlib.crc32(self.blocks().tobytes()):08x}"


def read_hdf5(
    path: str | Path, names: Sequence[str] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return arrays (all or the named ones) and attributes of an HDF5 file, with JSON decoded.

    Raises:
        UserError: The file is missing or truncated, fails its checksum, or lacks a name.
    """
    with open_hdf5(path) as file:
        wanted = file.names() if names is None else names
        return {name: file.whole(name) for name in wanted}, file.attributes()


def decode_attribute(value: Any) -> Any:
    """Return an attribute with JSON decoded; other text stays unchanged."""
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str):
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(value)
    return value
