"""Writes what networks did (CSV): histories, curves, accuracies, metrics, measures.

These hold numbers and words of the library, nothing that would have to be quoted. All steps below
the studies write their rows by this module; tables of studies, which hold the user's own names,
are written by table_writer.py. So an edit of how tables are written trains, transfers and attacks
nothing anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .sidecars import with_sidecar

SPECIAL = frozenset(',"\r\n')  # what a CSV would have to quote


def write_measurements(
    path: str | Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]
) -> None:
    """CSV with exactly ``columns``; floats keep 10 significant digits, what a row lacks is empty.

    Raises:
        ValueError: a row has another column, or text that would have to be quoted.
    """
    with with_sidecar(path) as temporary, open(temporary, "w", newline="") as file:
        file.write(",".join(columns) + "\n")
        for row in rows:
            if unknown := set(row) - set(columns):
                raise ValueError(f"there is no column {sorted(unknown)}, only {list(columns)}")
            file.write(",".join(_text(row.get(name, "")) for name in columns) + "\n")


def _text(value: Any) -> str:
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    if SPECIAL.intersection(text):
        raise ValueError(f"{text!r} is neither a number nor a plain word")
    return text
