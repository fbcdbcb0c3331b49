"""Writing of files with a seal in a hidden file beside them, because a CSV cannot hold one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .. import seals
from .files import atomic, to_disk


@contextlib.contextmanager
def with_sidecar(path: str | Path) -> Iterator[Path]:
    """Give a temporary path as `atomic` does, and write the seal beside ``path`` as well."""
    with atomic(path) as temporary:
        yield temporary
        # The seal is moved first, so that a crash in between leaves a pair that readers refuse. A
        # full disk is noticed before either file is moved.
        with atomic(seals.sidecar(path)) as beside:
            beside.write_text(seals.sidecar_text(path, temporary))
            to_disk(temporary)
