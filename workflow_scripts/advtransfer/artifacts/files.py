"""Atomic replacement of files, and what is said where the disk or a permission fails.

Every write goes to a temporary name in the same folder and is moved into place, so a reader never
sees half a file and a failed write leaves what was there. All of ``artifacts`` builds on this.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import UserError


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
        to_disk(temporary)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        if isinstance(error, OSError) or "errno" in str(error):
            raise file_error(path, error, "write") from error
        raise
    finally:
        with contextlib.suppress(OSError):  # it was moved, or never made
            temporary.unlink()


def to_disk(path: Path) -> None:
    with open(path, "rb") as handle:
        os.fsync(handle.fileno())
