"""Writes files whose seal stands in a hidden file beside them, as CSV has no place for one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .. import seals
from .files import atomic, to_disk


@contextlib.contextmanager
def with_sidecar(path: str | Path) -> Iterator[Path]:
    """As `atomic`, for a file whose seal stands beside it."""
    with atomic(path) as temporary:
        yield temporary
        # The seal goes first: a crash in between leaves a pair that is refused. A full disk shows
        # before either is moved.
        with atomic(seals.sidecar(path)) as beside:
            beside.write_text(seals.sidecar_text(path, temporary))
            to_disk(temporary)
