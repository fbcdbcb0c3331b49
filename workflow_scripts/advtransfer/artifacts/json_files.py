"""JSON files without a seal: the recipe beside a network, and the record of a run."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from ..errors import UserError
from .files import atomic


def write_json(path: str | Path, value: Any) -> None:
    """Write sorted, indented JSON."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_recipe(path: str | Path, text: str) -> None:
    """Write ``recipe.json`` beside an artefact.

    An existing file that is not JSON is damaged, and is replaced.

    Raises:
        UserError: The file exists and has another recipe, which means that two digests collide.
    """
    path = Path(path)
    value = json.loads(text)
    with contextlib.suppress(FileNotFoundError, ValueError):
        if json.loads(path.read_bytes()) != value:
            raise UserError(
                f"{path} holds another recipe than the expected one: there is a digest collision, "
                "or the file was damaged. Delete it and run the same command again."
            )
    write_json(path, value)
