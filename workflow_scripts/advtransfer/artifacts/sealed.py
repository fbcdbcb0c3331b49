"""Reading of files with a seal beside them: tables for figures, pages and analyses."""

from __future__ import annotations

from pathlib import Path

from .. import seals
from .files import file_error


def csv_bytes(path: str | Path) -> bytes:
    """Return the verified content of a CSV, or of another file that is sealed like one.

    Raises:
        UserError: The file is missing, truncated, damaged, edited or another artefact.
    """
    try:
        content = Path(path).read_bytes()
        seals.check_csv(path, content)
    except OSError as error:
        raise file_error(path, error, "read") from None
    return content
