"""Files in and out: atomic replacement, HDF5, safetensors, CSV, JSON, provenance.

Every write goes to a temporary name in the same folder and is moved into place, so a reader never
sees half a file and a failed write leaves what was there. Nothing here unpickles.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .errors import UserError

CHUNK_BYTES = 4 << 20  # large chunks: a view is read whole, once
ATTRIBUTES_KEY = "advtransfer"  # of a checkpoint's metadata


def file_error(path: str | Path, error: Exception, doing: str) -> UserError:
    """``error`` while ``doing`` something to ``path``, as a message with the way out."""
    number = getattr(error, "errno", None)
    text = str(error)
    if number == errno.ENOSPC or "No space left" in text or "errno = 28" in text:
        return UserError(
            f"{path}: the disk is full. Nothing was replaced; free some space "
            "(`df -h` shows where) and run the same command again, it goes on from here."
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return UserError(f"{path}: no permission to {doing} this file ({text}).")
    return UserError(f"{path}: could not {doing} this file ({text}).")


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Temporary path beside ``path``; replaces ``path`` when the block ends well.

    Raises:
        UserError: the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        if isinstance(error, OSError) or "errno" in str(error):
            raise file_error(path, error, "write") from error
        raise
    finally:
        with contextlib.suppress(OSError):  # it was moved, or never made
            temporary.unlink()


def provenance() -> dict[str, str]:
    """Versions of what computed an artefact; packages that were not imported are not named."""
    found = {"python": platform.python_version()}
    for package in ("torch", "torchvision", "numpy", "scipy", "pandas", "h5py"):
        if package in sys.modules:
            found[package] = metadata.version(package)
    return found


@contextlib.contextmanager
def _told_once() -> Iterator[None]:
    """After a write that failed HDF5 prints a traceback for every object that it cannot close."""

    def silent(*_: object) -> None:
        pass

    hooks = sys.excepthook, sys.unraisablehook
    sys.excepthook, sys.unraisablehook = silent, silent
    try:
        yield
    finally:
        sys.excepthook, sys.unraisablehook = hooks


def write_hdf5(
    path: str | Path, arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any]
) -> None:
    """Write arrays (keys may hold ``/`` for groups) and attributes (non-strings as JSON).

    Chunked, Fletcher-32 checksummed, byte-stable (no timestamps).
    """
    import h5py

    with (
        atomic(path) as temporary,
        _told_once(),
        h5py.File(temporary, "w", track_order=False) as file,
    ):
        for key, value in attributes.items():
            file.attrs[key] = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for name, array in arrays.items():
            array = np.asarray(array)
            options: dict[str, Any] = {"track_times": False}
            if array.ndim and array.size:
                rows = max(1, min(len(array), CHUNK_BYTES // max(1, array[0].nbytes)))
                options |= {"chunks": (rows, *array.shape[1:]), "fletcher32": True}
            file.create_dataset(name, data=array, **options)


def read_hdf5(
    path: str | Path, names: Sequence[str] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays (all, or those named) and attributes of an HDF5 file; JSON attributes decoded.

    Raises:
        UserError: the file is missing, truncated, fails its checksum or lacks a name.
    """
    import h5py

    arrays: dict[str, np.ndarray] = {}
    try:
        with h5py.File(path, "r") as file:
            attributes = {key: decode_attribute(value) for key, value in file.attrs.items()}
            if names is None:
                found: list[str] = []
                file.visititems(
                    lambda name, item: found.append(name) if hasattr(item, "shape") else None
                )
                names = found
            for name in names:
                if name not in file:
                    raise UserError(
                        f"{path}: this HDF5 file has no dataset '{name}'; it has {sorted(file)}."
                    )
                arrays[name] = file[name][()]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except PermissionError as error:
        raise file_error(path, error, "read") from None
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:  # all from h5py
        raise UserError(
            f"{path}: this HDF5 file is truncated or damaged ({error}). Delete it and run the same "
            "snakemake command again: it is made anew."
        ) from None
    return arrays, attributes


def decode_attribute(value: Any) -> Any:
    """An attribute as it was written: JSON text decoded, other text as it is."""
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str):
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(value)
    return value


def write_json(path: str | Path, value: Any) -> None:
    """Sorted, indented JSON."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_recipe(path: str | Path, text: str) -> None:
    """``recipe.json`` beside an artefact; a different recipe under the same digest is an error.

    Raises:
        UserError: the file is there and holds another recipe (a collision of digests).
    """
    path = Path(path)
    value = json.loads(text)
    if path.exists() and json.loads(path.read_text()) != value:
        raise UserError(f"{path} holds another recipe than the one asked for: a digest collision.")
    write_json(path, value)


def write_rows(path: str | Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Tidy CSV with exactly ``columns``; floats keep 10 significant digits."""
    with atomic(path) as temporary, open(temporary, "w", newline="") as handle:
        writer = csv.DictWriter(handle, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.10g}" if isinstance(v, float) else v for k, v in row.items()})


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Rows of a CSV, as text."""
    try:
        with open(path, newline="") as handle:
            return list(csv.DictReader(handle))
    except OSError as error:
        raise file_error(path, error, "read") from None


def save_tensors(
    path: str | Path, tensors: Mapping[str, Any], attributes: Mapping[str, Any]
) -> None:
    """Tensors to safetensors, attributes as JSON in its metadata; byte-stable."""
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # Under one key: safetensors writes several in an order that changes from run to run.
    metadata = {ATTRIBUTES_KEY: json.dumps(dict(attributes))}
    with atomic(path) as temporary:
        try:
            save_file(plain, str(temporary), metadata=metadata)
        except Exception as error:  # safetensors raises its own type for I/O errors
            raise file_error(path, error, "write") from error


def load_tensors(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tensors and attributes of a safetensors file.

    Raises:
        UserError: the file is missing, or is not a complete safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise UserError(f"{path}: no such checkpoint.")
    try:
        with safe_open(str(path), framework="pt") as file:
            attributes = json.loads((file.metadata() or {}).get(ATTRIBUTES_KEY, "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, attributes  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(
            f"{path}: not a complete safetensors checkpoint ({error}). Checkpoints are safetensors "
            "files; a .pt or .ckpt file has to be converted first (nothing is unpickled here)."
        ) from None
