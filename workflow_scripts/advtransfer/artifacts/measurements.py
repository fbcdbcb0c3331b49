"""Writing of measurements (CSV): histories, curves, accuracies, metrics, measures.

These tables hold numbers and words of the library, which need no quoting. All steps below the
studies write their rows by this module. The tables of studies, which hold names from users, are
written by table_writer.py. Therefore an edit of that module repeats no training, transfer or
attack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .sidecars import with_sidecar

SPECIAL = frozenset(',"\r\n')  # characters that need quoting in a CSV


def write_measurements(
    path: str | Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]
) -> None:
    """Write a CSV with exactly ``columns``; a column that a row lacks is empty.

    Floats keep 10 significant digits.

    Raises:
        ValueError: A row has another column, or text that needs quoting.
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
