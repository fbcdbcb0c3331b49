"""Reads files whose seal stands beside them: tables for figures, pages and analyses."""

from __future__ import annotations

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
