"""Axes of panels: their scales, and texts beside and inside them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .style import FAINT

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes


def row_label(axes: Axes, text: str) -> None:
    """Write the name of a row of panels along the right edge of its last panel."""
    axes.annotate(
        text,
        (1.03, 0.5),
        xycoords="axes fraction",
        rotation=270,
        ha="left",
        va="center",
        fontsize=8,
        fontweight="bold",
    )


def image_axis(panels: Iterable[Axes], sizes: Iterable[float]) -> None:
    """Make the x axis show numbers of images on a log2 scale, with a tick for each."""
    ticks = sorted(set(sizes))
    for panel in panels:
        panel.set_xscale("log", base=2)
        slant = 60 if len(ticks) > 6 else 0
        panel.set_xticks(ticks, [f"{size:g}" for size in ticks], rotation=slant)
        panel.minorticks_off()
        if ticks:
            panel.set_xlim(ticks[0] / 1.4, ticks[-1] * 1.4)


def epoch_axis(panel: Axes, epochs: Iterable[float]) -> None:
    """Make the x axis show epochs on a log scale, with ticks at round numbers."""
    last = max(epochs, default=1)
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if tick <= last]
    panel.set_xscale("log")
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.minorticks_off()


def share_rows(axes: np.ndarray) -> None:
    """Give the panels of each row one y scale, with numbers on the first panel only."""
    for row in axes:
        for panel in row[1:]:
            panel.sharey(row[0])
            panel.tick_params(labelleft=False)


def say_if_empty(panel: Axes, text: str) -> None:
    """Write ``text``, which says what is missing, into a panel that has no drawing."""
    if not panel.has_data():
        panel.text(
            *(0.5, 0.5, text),
            transform=panel.transAxes,
            color=FAINT,
            ha="center",
            va="center",
            linespacing=1.4,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
        )


def zero_line(panel: Axes) -> None:
    """Draw a horizontal line at 0, where there is no difference."""
    panel.axhline(0, color=FAINT, linewidth=0.7, zorder=0)
