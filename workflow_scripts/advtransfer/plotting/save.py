"""Saving of figures: the same figure gives the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..artifacts.files import atomic
from ..errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Text stays text, so that it can be searched and edited; ids do not change from run to run.
SVG: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "advtransfer"}
# Dates and versions are removed, because they would change the bytes.
METADATA: dict[str, dict[str, Any]] = {
    ".svg": {"Date": None, "Creator": "advtransfer"},
    ".png": {"Software": None},
}


def save(figure: Figure, path: str | Path) -> None:
    """Write the figure as SVG or PNG, according to the ending of the path, and close it.

    Raises:
        UserError: The path has another ending, or the file cannot be written.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    kind = Path(path).suffix.lower()
    if kind not in METADATA:
        raise UserError(f"{path}: a figure is written as .svg or .png, not '{kind}'.")
    with atomic(path) as temporary, mpl.rc_context(SVG):
        figure.savefig(temporary, format=kind[1:], dpi=150, metadata=METADATA[kind])
    plt.close(figure)
