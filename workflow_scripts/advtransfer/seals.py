"""Seals: the name of a file's artefact and a checksum of its bytes, verified before it is used.

The name of an artefact is its path in the rules, below ``results/``, which contains the digests of
its recipes. A file there must carry the seal of that very path. A file elsewhere belongs to the
user: its checksum is verified if it has a seal, whatever name the seal carries.

HDF5 files have their seal after the end of what HDF5 reads, safetensors files in their metadata,
and CSV files in a hidden file beside them, in the form of ``sha256sum``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .errors import UserError

RESULTS = "results"  # the folder that all artefacts are in
STORAGE = (".snakemake", "storage")  # folder with a job's files of remote storage, by bucket
KEY = "seal"  # key in a checkpoint's attributes
CHANGED = "truncated or damaged, it does not have its checksum"

Extents = Iterable[tuple[int, int]]  # offsets and numbers of bytes


def artefact_at(path: str | Path) -> str | None:
    """Return the name of the artefact that belongs at ``path``; None for a file of the user."""
    parts = Path(path).parts
    if parts[:2] == STORAGE and RESULTS in parts:
        parts = parts[len(parts) - 1 - parts[::-1].index(RESULTS) :]
    return "/".join(parts) if parts[:1] == (RESULTS,) and ".." not in parts else None


def damaged(path: str | Path, what: str) -> UserError:
    """Return the error for a file that cannot be used because it is ``what``, with advice."""
    artefact = artefact_at(path)
    if artefact is None:
        way = "Copy it anew from where it came."
    elif artefact.endswith(".resume"):
        way = "It is not used."
    else:
        way = (
            f"Make it anew with `snakemake --force {shlex.quote(artefact)}`, with the --configfile "
            "options of your run if it has any; then run as usual."
        )
    return UserError(f"{path}: this file is {what}. {way}")


def check_name(path: str | Path, found: str | None) -> None:
    """Refuse a file below ``results/`` whose seal, ``found``, names another artefact.

    Raises:
        UserError: It does; the message names the artefact, and says how to make the right one.
    """
    wanted = artefact_at(path)
    if wanted is not None and found != wanted:
        what = f"really {found}, put here" if found else "sealed as a file of another folder"
        raise damaged(path, what)


def check_unsealed(path: str | Path) -> None:
    """Refuse a file without a seal below ``results/``."""
    if artefact_at(path) is not None:
        raise damaged(
            path,
            "truncated or damaged, or was not written by this version of the workflow: it has no "
            "seal",
        )


# HDF5 --------------------------------------------------------------------------------------------
# The seal is one line of JSON, and one of fixed length with that line's checksum and length. HDF5
# does not read beyond its own end. It crashes or hangs on some damaged files, so the seal is
# verified without it.

_MARK = b"advtransfer seal\n"
_FOOTER = 18 + len(_MARK)
_READ = 1 << 20


def seal_hdf5(file: Path, artefact: str | None, arrays: Extents) -> None:
    """Append the seal of ``file``; ``arrays`` are parts that have checksums of their own."""
    with open(file, "r+b") as handle:
        end = handle.seek(0, os.SEEK_END)
        extents = sorted(arrays)
        checksum = _checksum_outside(handle.fileno(), extents, end)
        seal = {"artefact": artefact, "crc32": checksum, "arrays": extents}
        line = json.dumps(seal).encode() + b"\n"
        handle.write(line + f"{zlib.crc32(line):08x} {len(line):08x} ".encode() + _MARK)


def check_hdf5(path: str | Path, descriptor: int) -> None:
    """Verify an HDF5 file except for the bytes of its arrays.

    Raises:
        UserError: It is damaged, another artefact, or below ``results/`` without a seal.
    """
    found = _seal_line(descriptor)
    if found is None:
        check_unsealed(path)
        return
    line, end = found
    if not line:
        raise damaged(path, CHANGED)
    seal = json.loads(line)
    if _checksum_outside(descriptor, seal["arrays"], end) != seal["crc32"]:
        raise damaged(path, CHANGED)
    check_name(path, seal["artefact"])


def _seal_line(descriptor: int) -> tuple[bytes, int] | None:
    """Return the line of an HDF5 file's seal and where it begins; None without a seal.

    The line is empty if it does not have its own checksum.
    """
    size = os.fstat(descriptor).st_size
    footer = os.pread(descriptor, _FOOTER, max(0, size - _FOOTER))
    if not footer.endswith(_MARK):
        return None
    match = re.match(rb"([0-9a-f]{8}) ([0-9a-f]{8}) ", footer)
    length = int(match[2], 16) if match else 0
    end = size - _FOOTER - length
    line = os.pread(descriptor, length, end) if end >= 0 else b""
    if match is None or zlib.crc32(line) != int(match[1], 16):
        return b"", end
    return line, end


def _checksum_outside(descriptor: int, extents: Extents, end: int) -> str:
    """Return the CRC-32 of a file's bytes up to ``end``, without the ``extents``."""
    checksum = position = 0
    for start, length in [*extents, (end, 0)]:
        while position < start:
            block = os.pread(descriptor, min(start - position, _READ), position)
            if not block:
                return ""  # the file is shorter than it was
            checksum = zlib.crc32(block, checksum)
            position += len(block)
        position = max(position, start + length)
    return f"{checksum:08x}"


# safetensors -------------------------------------------------------------------------------------
# The checksum covers the whole file except its own eight digits.

_DIGITS = 8
_LARGEST_HEADER = 100_000_000  # bytes; safetensors itself reads no longer one
_IN_HEADER = re.compile(rb'\\"crc32\\": \\"([0-9a-f]{8})\\"')


def unfilled_seal(path: str | Path) -> dict[str, Any]:
    """Return the value of ``KEY`` in a checkpoint's attributes; `fill_seal` adds the checksum."""
    return {"crc32": "0" * _DIGITS, "artefact": artefact_at(path)}


def fill_seal(file: Path) -> None:
    """Write the checksum into a safetensors file."""
    with open(file, "r+b") as handle:
        match = _IN_HEADER.search(_header(handle.fileno()))
        if match is None:
            raise ValueError("no seal in the header")
        start, size = match.start(1), handle.seek(0, os.SEEK_END)
        checksum = _checksum_outside(handle.fileno(), [(start, _DIGITS)], size)
        handle.seek(start)
        handle.write(checksum.encode())


def check_safetensors(path: str | Path, descriptor: int) -> None:
    """Verify a safetensors file; the caller checks its name after parsing the metadata.

    Raises:
        UserError: It is damaged, or below ``results/`` without a seal.
    """
    header = _header(descriptor)
    match = _IN_HEADER.search(header)
    if match is None and b"crc32" not in header and KEY.encode() + b'\\"' not in header:
        check_unsealed(path)
        return
    size = os.fstat(descriptor).st_size
    if match is None or match[1].decode() != _checksum_outside(
        descriptor, [(match.start(1), _DIGITS)], size
    ):
        raise damaged(path, f"not a complete safetensors checkpoint: {CHANGED}")


def _header(descriptor: int) -> bytes:
    """Return the length and JSON at the start of a safetensors file, perhaps truncated."""
    length = int.from_bytes(os.pread(descriptor, 8, 0), "little")
    return os.pread(descriptor, min(8 + length, os.fstat(descriptor).st_size), 0)


# CSV ---------------------------------------------------------------------------------------------


def sidecar(path: str | Path) -> Path:
    """Return the path of the hidden file with the seal of a CSV."""
    path = Path(path)
    return path.with_name(f".{path.name}.sha256")


def sidecar_text(path: str | Path, content: Path) -> str:
    """Return the text of the sidecar of ``path`` for the bytes of ``content``."""
    with open(content, "rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    return f"{digest}  {artefact_at(path) or Path(path).name}\n"


def check_csv(path: str | Path, content: bytes) -> None:
    """Verify a CSV against its sidecar.

    Raises:
        UserError: It is damaged, edited, another artefact, or below ``results/`` without a seal.
    """
    try:
        seal = sidecar(path).read_text(errors="replace")
    except FileNotFoundError:
        # A bucket has only the files that rules name, so no sidecars. It has checksums of its own.
        if Path(path).parts[:2] != STORAGE:
            check_unsealed(path)
        return
    digest, _, name = seal.partition("  ")
    if hashlib.sha256(content).hexdigest() != digest or not name.endswith("\n"):
        raise damaged(path, f"{CHANGED} (or it was edited, or another file was put here)")
    check_name(path, name.rstrip("\n"))


# Recognising large files -------------------------------------------------------------------------


def fingerprint(path: str | Path) -> str | None:
    """Return a digest of the seal of an HDF5 or safetensors file; None if it has none.

    A seal holds a checksum of the file, so equal fingerprints mean equal content. Only the seal is
    read, so this takes no longer for a large file. The content itself is verified where it is used.
    """
    with open(path, "rb") as handle:
        descriptor = handle.fileno()
        found = _seal_line(descriptor)
        seal = found[0] if found else _header(descriptor) if _is_safetensors(descriptor) else b""
        size = os.fstat(descriptor).st_size
    return hashlib.sha256(b"%d " % size + seal).hexdigest() if seal else None


def _is_safetensors(descriptor: int) -> bool:
    """Return whether a file begins as a sealed checkpoint does."""
    length = int.from_bytes(os.pread(descriptor, 8, 0), "little")
    return length < _LARGEST_HEADER and _IN_HEADER.search(_header(descriptor)) is not None
