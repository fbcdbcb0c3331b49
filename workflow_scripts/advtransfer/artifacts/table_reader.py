"""Reads tables (CSV), verified: for collected tables, analyses, figures and pages."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from .. import seals
from .files import file_error


def csv_bytes(path: str | Path) -> bytes:
    """The verified content of a CSV, or of another file that is sealed like one.

    Raises:
        UserError: the file is missing, truncated, damaged or edited, or is not what belongs there.
    """
    try:
        content = Path(path).read_bytes()
        seals.check_csv(path, content)
    except OSError as error:
        raise file_error(path, error, "read") from None
    return content


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Rows of a CSV, as text."""
    try:
        return list(csv.DictReader(io.StringIO(csv_bytes(path).decode(), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise seals.damaged(path, f"damaged, or no table ({error})") from None
