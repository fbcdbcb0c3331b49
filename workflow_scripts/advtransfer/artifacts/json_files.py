"""JSON without a seal: the recipe beside a network, the record of a run."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from ..errors import UserError
from .files import atomic


def write_json(path: str | Path, value: Any) -> None:
    """Sorted, indented JSON."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_recipe(path: str | Path, text: str) -> None:
    """``recipe.json`` beside an artefact; a different recipe under the same digest is an error.

    A file that is there and not JSON is damaged, and replaced.

    Raises:
        UserError: the file is there and holds another recipe (a collision of digests).
    """
    path = Path(path)
    value = json.loads(text)
    with contextlib.suppress(FileNotFoundError, ValueError):
        if json.loads(path.read_bytes()) != value:
            raise UserError(
                f"{path} holds another recipe than the one asked for: a digest collision, or the "
                "file was damaged. Delete it and run the same command again."
            )
    write_json(path, value)
