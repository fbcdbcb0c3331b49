"""JSON files with a seal: detections, in the form that COCO's tools read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .. import seals
from .sealed import csv_bytes
from .sidecars import with_sidecar


def write_sealed_json(path: str | Path, value: Any) -> None:
    """Write JSON without white space, sealed like a CSV, for formats that cannot hold a seal."""
    with with_sidecar(path) as temporary:
        temporary.write_text(json.dumps(value, separators=(",", ":"), allow_nan=False))


def read_sealed_json(path: str | Path) -> Any:
    """Return the value that `write_sealed_json` wrote.

    Raises:
        UserError: See `csv_bytes`; or the file is no JSON.
    """
    try:
        return json.loads(csv_bytes(path))
    except ValueError as error:
        raise seals.damaged(path, f"damaged, or no JSON ({error})") from None
