"""Reads tables (CSV), verified, row by row."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from .. import seals
from .sealed import csv_bytes


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Rows of a CSV, as text."""
    try:
        return list(csv.DictReader(io.StringIO(csv_bytes(path).decode(), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise seals.damaged(path, f"damaged, or no table ({error})") from None
