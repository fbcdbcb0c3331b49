"""Atomic replacement of files, and messages for failures of the disk or of permissions.

Every write goes to a temporary name in the same folder and is moved into place. A reader therefore
never sees half a file, and a failed write leaves the old file. All of ``artifacts`` builds on this.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import UserError


def error_number(error: Exception) -> int | None:
    """Return the system's number of an error; HDF5 and safetensors may give it in the text only."""
    number = getattr(error, "errno", None)
    if number is None and (match := re.search(r"\b(?:errno = |code: )(\d+)", str(error))):
        number = int(match[1])
    return number


def file_error(path: str | Path, error: Exception, doing: str) -> UserError:
    """Return the error to raise when ``doing`` something to ``path`` failed, with advice."""
    number = error_number(error)
    text = str(error)
    if number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in text:
        what = "the disk is full" if number != errno.EDQUOT else "your quota of the disk is used up"
        return UserError(
            f"{path}: {what}. Nothing was replaced; free some space "
            "(`df -h` shows where) and run the same command again; it resumes from here."
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return UserError(
            f"{path}: no permission to {doing} this file ({text}). `ls -l` shows its owner, who "
            "can allow it with `chmod`; the folders above need permission too."
        )
    way = _WAYS.get(number or 0)
    if way is not None:
        return UserError(f"{path}: could not {doing} this file: {way} ({text}).")
    return UserError(f"{path}: could not {doing} this file ({text}).")


_WAYS = {
    errno.ENOENT: "there is no such file. Correct the path, or put the file there",
    errno.ENOTDIR: "a part of its path is a file, not a folder. Correct the path",
    errno.EAGAIN: (
        "another program has it open and is writing it. Close it there (in a notebook, "
        "`file.close()` or a restart of the kernel) and run the same command again"
    ),
    errno.EISDIR: "it is a folder; a file was expected. Correct the path",
    errno.EIO: (
        "the disk or the network failed. The file itself may be whole: run the same command again, "
        "and see `dmesg` if it fails again"
    ),
    errno.ESTALE: (
        "the network file system has lost it, or it was replaced on another machine. Run the same "
        "command again; if it fails again, the folder has to be mounted anew"
    ),
    errno.EMFILE: "this process has too many files open. Raise the limit with `ulimit -n`",
    errno.ENFILE: "this machine has too many files open. Close programs, and run it again",
}


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        with open(path, "rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise file_error(path, error, "read") from None


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; it replaces ``path`` if the block succeeds.

    Raises:
        UserError: The disk is full, the folder cannot be written, or ``path`` is no regular file.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.exists() and not path.is_file():  # a device would be replaced by a file
            raise UserError(f"{path}: this is no regular file; name a file to write.")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        mode = temporary.stat().st_mode  # as the umask has it
        yield temporary
        if temporary.stat().st_mode != mode:  # safetensors puts a file of mode 0600 in its place
            temporary.chmod(mode)
        to_disk(temporary)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        if isinstance(error, OSError) or error_number(error) is not None:
            raise file_error(path, error, "write") from error
        raise
    finally:
        with contextlib.suppress(OSError):  # it has been moved, or was never made
            temporary.unlink()


def to_disk(path: Path) -> None:
    with open(path, "rb") as handle:
        os.fsync(handle.fileno())
