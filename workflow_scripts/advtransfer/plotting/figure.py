"""Figures as a whole: panels, title and legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .labels import target_title
from .style import RC, WIDTH

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


def new_figure(
    rows: int, columns: int, height: float, *, width: float = WIDTH, **options: Any
) -> tuple[Figure, np.ndarray]:
    """Return a figure in the house style, and its axes, always as a two-dimensional array."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(style="ticks", rc=RC)
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **options
    )
    return figure, axes


def panels_by_target(
    targets: Sequence[str],
    classes: Mapping[str, Sequence[str]],
    rows: int,
    height: float = 1.75,
    **options: Any,
) -> tuple[Figure, np.ndarray]:
    """Return a figure with a column of panels for each target, titled with its name.

    Args:
        targets: the targets, one per column.
        classes: classes of each target; they are named if they are few.
        rows: number of panels in each column.
        height: height of a row, in inches.
        options: further options of `new_figure`.
    """
    width = max(WIDTH * 0.75, WIDTH * len(targets) / 3)
    size = {"height": 1.1 + height * rows, "width": width}
    figure, axes = new_figure(rows, len(targets), **{**size, **options})
    for panel, target in zip(axes[0], targets, strict=True):
        names = classes.get(target, [])
        several = len(names) if len(names) < 6 else 0
        title = target_title(target, names[:several], width=26)
        panel.set_title(title, fontweight="bold")
    return figure, axes


def finish(figure: Figure, title: str = "", note: str = "") -> Figure:
    """Return the figure with its title, and a note below the title."""
    heading = "\n".join(line for line in (title, note) if line)
    if heading:
        figure.suptitle(heading, linespacing=1.4)
    return figure


def legend_below(figure: Figure, entries: list[Any]) -> None:
    """Add one legend under the figure, with as many columns as fit."""
    if entries:
        columns = int(figure.get_figwidth() / 1.75)
        figure.legend(handles=entries, loc="outside lower center", ncols=columns)
