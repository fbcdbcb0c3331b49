"""Drawing of means and differences, with their certainty, for figures of several studies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .frames import mean_and_range
from .marks import Look
from .style import INK

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# The marker's face and size by the certainty of a difference, which its 95 % interval decides.
CERTAINTIES: dict[str, dict[str, Any]] = {
    "interval excludes 0": {"markersize": 4.5},
    "interval includes 0": {"markersize": 4.5, "markerfacecolor": "white"},
    "no interval": {"markersize": 2.5},
}


def draw_means(
    panel: Axes, rows: pd.DataFrame, look: Look, x: str = "images", y: str = "accuracy"
) -> None:
    """Draw means over seeds along ``x``, and the range over seeds as a band."""
    curve = mean_and_range(rows, [x], y).sort_values(x)
    if curve.empty:
        return
    colour = look.colour
    panel.fill_between(curve[x], curve["low"], curve["high"], color=colour, alpha=0.15, lw=0)
    style: dict[str, Any] = {"marker": look.marker, "markersize": 3.5, "linestyle": look.line}
    panel.plot(curve[x], curve["mean"], color=colour, linewidth=1.2, **style)


def draw_differences(panel: Axes, rows: pd.DataFrame, look: Look, shift: float = 0.0) -> None:
    """Draw differences over the number of images, with 95 % intervals and marks of certainty.

    ``shift`` moves them sideways, in doublings, so that coinciding lines can be distinguished.
    """
    rows = rows.dropna(subset=["value"]).sort_values("images")
    if rows.empty:
        return
    where = rows["images"].astype(float) * 2.0**shift
    style: dict[str, Any] = {"color": look.colour}
    panel.plot(where, rows["value"], linestyle=look.line, linewidth=0.9, **style)
    kinds = certainty(rows)
    bounded = rows["ci_low"].notna()
    bars = rows["ci_low"][bounded], rows["ci_high"][bounded]
    panel.vlines(where[bounded], *bars, linewidth=0.8, **style)
    for kind, face in CERTAINTIES.items():
        chosen = kinds == kind
        if chosen.any():
            mark = {"marker": look.marker, "markeredgewidth": 0.9, **face, **style}
            panel.plot(where[chosen], rows["value"][chosen], linestyle="none", zorder=3, **mark)


def certainty(rows: pd.DataFrame) -> pd.Series:
    """Return the certainty of every difference, one of ``CERTAINTIES``."""
    excluded, included, unknown = CERTAINTIES
    kinds = rows["ci_low"].isna().map({True: unknown, False: included})
    return kinds.mask((rows["ci_low"] > 0) | (rows["ci_high"] < 0), excluded)


def certainty_entries(frames: Iterable[pd.DataFrame]) -> list[Any]:
    """Return legend entries for the certainties of the differences in ``frames``."""
    found = {kind for rows in frames for kind in certainty(rows.dropna(subset=["value"]))}
    mark = Look(INK, "o", "none")
    return [mark.entry(kind, **face) for kind, face in CERTAINTIES.items() if kind in found]
