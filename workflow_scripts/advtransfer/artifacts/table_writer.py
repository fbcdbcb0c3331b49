"""Writing of the tables of studies (CSV), in which names from users may need quoting.

The steps that collect, analyse and concatenate tables import this module, as does the one that
records a run. Modules that only read tables import sealed.py (all bytes) or table_reader.py (rows).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .sidecars import with_sidecar


def write_rows(path: str | Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write a tidy CSV with exactly ``columns``; floats keep 10 significant digits."""
    with with_sidecar(path) as temporary, open(temporary, "w", newline="") as handle:
        writer = csv.DictWriter(handle, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.10g}" if isinstance(v, float) else v for k, v in row.items()})
