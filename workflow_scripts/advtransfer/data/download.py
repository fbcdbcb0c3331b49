"""Downloads over HTTP that are checked, and resumed after an interruption."""

from __future__ import annotations

import errno
import hashlib
import os
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tqdm import tqdm

from ..artifacts.files import file_error
from .dataset import OfficialFile, Unavailable

TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 20


def md5_of(path: Path) -> str:
    """Return the md5 of a file's content, the checksum that dataset authors publish."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def is_official(path: Path, file: OfficialFile) -> bool:
    """Return whether a file has the checksum of the official one."""
    if not file.sha256:
        return md5_of(path) == file.md5
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest() == file.sha256


def download(file: OfficialFile, folder: Path) -> Path:
    """Fetch a file into ``folder`` from the first address with the right content; return its path.

    The file gets its name only after its checksum was verified. An interrupted download leaves
    ``<name>.part``, which the next call completes.

    Raises:
        Unavailable: No address gave the file; the message says why for each.
        UserError: The disk is full or the folder cannot be written.
    """
    final = folder / file.name
    part = folder / f"{file.name}.part"
    failures = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if final.is_file() and is_official(final, file):
            return final
        for url in file.urls:
            try:
                if _receive(url, part, file):
                    os.replace(part, final)
                    return final
                failures.append(f"{url}: wrong checksum, expected {file.checksum}; thrown away")
            except (OSError, HTTPException) as error:
                if getattr(error, "errno", None) in (errno.ENOSPC, errno.EACCES, errno.EROFS):
                    raise
                failures.append(f"{url}: {error}")
    except OSError as error:
        raise file_error(part, error, "write") from None
    gone = f"{file.name}: no address is known that still gives it"
    raise Unavailable("; ".join(failures) or gone)


def _receive(url: str, part: Path, file: OfficialFile) -> bool:
    """Fetch ``url`` into ``part``, and return whether the checksum agrees; if not, remove it."""
    resumed = part.exists()
    _append(url, part)
    if is_official(part, file):
        return True
    part.unlink()
    # The part that an earlier call left may belong to another file, so try again from the start.
    return resumed and _receive(url, part, file)


def _append(url: str, part: Path) -> None:
    """Fetch the rest of ``part``, or the whole file if the server cannot start in the middle."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "advtransfer"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        response = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if start and error.code == 416:  # nothing is left to send; the checksum is verified next
            return
        raise
    with response:
        if response.status != 206:
            start = 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        with (
            open(part, "ab" if start else "wb") as handle,
            tqdm(
                total=total, initial=start, desc=part.stem, unit="B", unit_scale=True, disable=None
            ) as bar,
        ):
            while chunk := response.read(CHUNK):
                handle.write(chunk)
                bar.update(len(chunk))
    size = part.stat().st_size
    if total is not None and size < total:
        raise ConnectionError(
            f"broke off after {size} of {total} bytes; they are kept in {part}, and the same "
            "command goes on from there"
        )
