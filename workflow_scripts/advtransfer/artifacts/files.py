"""Atomic replacement of files, and messages for failures of the disk or of permissions.

Every write goes to a temporary name in the same folder and is moved into place. A reader therefore
never sees half a file, and a failed write leaves the old file. All of ``artifacts`` builds on this.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import UserError


def file_error(path: str | Path, error: Exception, doing: str) -> UserError:
    """Return the error to raise when ``doing`` something to ``path`` failed, with advice."""
    number = getattr(error, "errno", None)
    text = str(error)
    if number == errno.ENOSPC or "No space left" in text or "errno = 28" in text:
        return UserError(
            f"{path}: the disk is full. Nothing was replaced; free some space "
            "(`df -h` shows where) and run the same command again; it resumes from here."
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return UserError(f"{path}: no permission to {doing} this file ({text}).")
    return UserError(f"{path}: could not {doing} this file ({text}).")


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; it replaces ``path`` if the block succeeds.

    Raises:
        UserError: The disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        to_disk(temporary)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        if isinstance(error, OSError) or "errno" in str(error):
            raise file_error(path, error, "write") from error
        raise
    finally:
        with contextlib.suppress(OSError):  # it has been moved, or was never made
            temporary.unlink()


def to_disk(path: Path) -> None:
    with open(path, "rb") as handle:
        os.fsync(handle.fileno())
