"""Reading of tables (CSV) as verified rows."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from .. import seals
from .sealed import csv_bytes


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Return the rows of a CSV, with values as text."""
    try:
        return list(csv.DictReader(io.StringIO(csv_bytes(path).decode(), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise seals.damaged(path, f"damaged, or no table ({error})") from None
