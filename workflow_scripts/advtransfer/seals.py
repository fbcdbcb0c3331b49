"""Seals: which artefact a file is, and a checksum of its bytes, verified before it is used.

An artefact is called by its path as the rules give it, below ``results/``; the digests of recipes
in that path say what it is. A file read there must carry the seal of that very path. A file
elsewhere is the user's own: its seal is verified if it has one, whatever name it carries.

HDF5 files have their seal behind the end of what HDF5 reads, safetensors files in their metadata,
CSV files in a hidden file beside them, in the form of ``sha256sum``.
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
STORAGE = (".snakemake", "storage")  # where a job has its files of remote storage, by bucket
KEY = "seal"  # of a checkpoint's attributes
CHANGED = "truncated or damaged, it does not have its checksum"

Extents = Iterable[tuple[int, int]]  # offset, bytes


def artefact_at(path: str | Path) -> str | None:
    """The artefact that belongs at ``path``; None for a user's own file."""
    parts = Path(path).parts
    if parts[:2] == STORAGE and RESULTS in parts:
        parts = parts[len(parts) - 1 - parts[::-1].index(RESULTS) :]
    return "/".join(parts) if parts[:1] == (RESULTS,) and ".." not in parts else None


def damaged(path: str | Path, what: str) -> UserError:
    """``path`` cannot be used because it is ``what``, as a message with the way out."""
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
    """Refuse a file below ``results/`` that is sealed as ``found``, and not as what belongs there.

    Raises:
        UserError: says what the file is, and how to make the right one.
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
# One line of JSON, then one of fixed length with that line's checksum and length. HDF5 does not
# look behind its own end, and crashes or hangs on some damaged files: this is verified without it.

_MARK = b"advtransfer seal\n"
_FOOTER = 18 + len(_MARK)
_READ = 1 << 20


def seal_hdf5(file: Path, artefact: str | None, arrays: Extents) -> None:
    """Append the seal of ``file``; ``arrays`` lie where and have checksums of their own."""
    with open(file, "r+b") as handle:
        end = handle.seek(0, os.SEEK_END)
        extents = sorted(arrays)
        checksum = _checksum_outside(handle.fileno(), extents, end)
        seal = {"artefact": artefact, "crc32": checksum, "arrays": extents}
        line = json.dumps(seal).encode() + b"\n"
        handle.write(line + f"{zlib.crc32(line):08x} {len(line):08x} ".encode() + _MARK)


def check_hdf5(path: str | Path, descriptor: int) -> None:
    """Verify all of an HDF5 file but the bytes of its arrays.

    Raises:
        UserError: it is damaged, another artefact, or below ``results/`` without a seal.
    """
    size = os.fstat(descriptor).st_size
    footer = os.pread(descriptor, _FOOTER, max(0, size - _FOOTER))
    if not footer.endswith(_MARK):
        check_unsealed(path)
        return
    match = re.match(rb"([0-9a-f]{8}) ([0-9a-f]{8}) ", footer)
    length = int(match[2], 16) if match else 0
    end = size - _FOOTER - length
    line = os.pread(descriptor, length, end) if end >= 0 else b""
    if match is None or zlib.crc32(line) != int(match[1], 16):
        raise damaged(path, CHANGED)
    seal = json.loads(line)
    if _checksum_outside(descriptor, seal["arrays"], end) != seal["crc32"]:
        raise damaged(path, CHANGED)
    check_name(path, seal["artefact"])


def _checksum_outside(descriptor: int, extents: Extents, end: int) -> str:
    """CRC-32 of a file's bytes up to ``end``, less the ``extents``."""
    checksum = position = 0
    for start, length in [*extents, (end, 0)]:
        while position < start:
            block = os.pread(descriptor, min(start - position, _READ), position)
            if not block:
                return ""  # shorter than it was
            checksum = zlib.crc32(block, checksum)
            position += len(block)
        position = max(position, start + length)
    return f"{checksum:08x}"


# safetensors -------------------------------------------------------------------------------------
# The checksum is of the whole file but its own eight digits.

_DIGITS = 8
_IN_HEADER = re.compile(rb'\\"crc32\\": \\"([0-9a-f]{8})\\"')


def unfilled_seal(path: str | Path) -> dict[str, Any]:
    """The value of ``KEY`` in the attributes of a checkpoint; `fill_seal` adds the checksum."""
    return {"crc32": "0" * _DIGITS, "artefact": artefact_at(path)}


def fill_seal(file: Path) -> None:
    """Put the checksum into a safetensors file."""
    with open(file, "r+b") as handle:
        match = _IN_HEADER.search(_header(handle.fileno()))
        if match is None:
            raise ValueError("no seal in the header")
        start, size = match.start(1), handle.seek(0, os.SEEK_END)
        checksum = _checksum_outside(handle.fileno(), [(start, _DIGITS)], size)
        handle.seek(start)
        handle.write(checksum.encode())


def check_safetensors(path: str | Path, descriptor: int) -> None:
    """Verify a safetensors file; the name is checked when its metadata was parsed.

    Raises:
        UserError: it is damaged, or below ``results/`` without a seal.
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
    """The length and the JSON that a safetensors file begins with, or what there is of them."""
    length = int.from_bytes(os.pread(descriptor, 8, 0), "little")
    return os.pread(descriptor, min(8 + length, os.fstat(descriptor).st_size), 0)


# CSV ---------------------------------------------------------------------------------------------


def sidecar(path: str | Path) -> Path:
    """The hidden file that holds the seal of a CSV."""
    path = Path(path)
    return path.with_name(f".{path.name}.sha256")


def sidecar_text(path: str | Path, content: Path) -> str:
    """What the sidecar of ``path`` says when ``content`` gets there."""
    with open(content, "rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    return f"{digest}  {artefact_at(path) or Path(path).name}\n"


def check_csv(path: str | Path, content: bytes) -> None:
    """Verify a CSV against its sidecar.

    Raises:
        UserError: it is damaged, edited, another artefact, or below ``results/`` without a seal.
    """
    try:
        seal = sidecar(path).read_text(errors="replace")
    except FileNotFoundError:
        # A bucket has the files that rules name, so no sidecars; it has checksums of its own.
        if Path(path).parts[:2] != STORAGE:
            check_unsealed(path)
        return
    digest, _, name = seal.partition("  ")
    if hashlib.sha256(content).hexdigest() != digest or not name.endswith("\n"):
        raise damaged(path, f"{CHANGED} (or it was edited, or another file was put here)")
    check_name(path, name.rstrip("\n"))
