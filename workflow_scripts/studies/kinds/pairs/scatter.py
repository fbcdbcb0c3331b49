"""Scatters of transferability against knowledge transfer: marks of sources, a line, a band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ....advtransfer.errors import UserError
from ....advtransfer.plotting.axes import row_label
from ....advtransfer.plotting.frames import mean_and_range, select
from ....advtransfer.plotting.labels import interval, metric_label
from ....advtransfer.plotting.style import DOT, FAINT
from .columns import SOURCE_COLUMNS
from .marks import Mark
from .plotting import Settings, correlation, transfer_label

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes


def correlation_title(correlations: pd.DataFrame, robust: bool, **conditions: Any) -> str:
    """Return the correlation over natural sources, and over all if some are robust."""
    lines = []
    for sources, name in (("natural", "natural"), ("all", "all"))[: 2 if robust else 1]:
        row = correlation(correlations, sources=sources, statistic="pearson", **conditions)
        text = f"r = {interval(row)}, n = {row['n_models']:.0f}"
        lines.append(f"{name}: {text}" if robust else text)
    return "\n".join(lines)


def per_source(frame: pd.DataFrame, transfer: str) -> pd.DataFrame:
    """Return mean and range over seeds of the metric (x) and of ``transfer`` (y), by source."""
    frame = frame.dropna(subset=["value", transfer])
    if frame.empty:
        raise UserError(
            f"{frame.attrs.get('path', 'the table')}: column 'value' or '{transfer}' is empty in "
            "every row that the figure shows."
        )
    x = mean_and_range(frame, SOURCE_COLUMNS, "value")
    y = mean_and_range(frame, SOURCE_COLUMNS, transfer)
    columns = {name: "y" if name == "mean" else f"y_{name}" for name in ("mean", "low", "high")}
    points = x.rename(columns={"mean": "x", "low": "x_low", "high": "x_high"})
    return points.join(y[["mean", "low", "high"]].rename(columns=columns))


def draw_points(axes: Axes, points: pd.DataFrame, marks: Mapping[str, Mark]) -> None:
    """Draw one mark per source, with thin bars that span its seeds."""
    row: Any
    for row in points.itertuples():
        mark = marks[row.source]
        axes.errorbar(
            row.x,
            row.y,
            xerr=[[row.x - row.x_low], [row.x_high - row.x]],
            yerr=[[row.y - row.y_low], [row.y_high - row.y]],
            color=mark.colour,
            elinewidth=0.7,
            zorder=3,
            **mark.shape,
        )
        if mark.dotted:
            axes.plot(row.x, row.y, **DOT, color=mark.colour, zorder=4)


def draw_band(axes: Axes, points: pd.DataFrame, bootstrap: int) -> None:
    """Draw the regression line of y on x and its bootstrap band, over natural sources alone."""
    import numpy as np
    from matplotlib.collections import PolyCollection

    from ....advtransfer.statistics.regression import regression_band

    natural = points[points["robust"] == 0]
    if natural["x"].nunique() < 3:
        return
    if len(natural) < 4:
        bootstrap = 0  # three points bear no interval; their correlation has none either
    x, y = natural["x"].to_numpy(float), natural["y"].to_numpy(float)
    grid = np.linspace(x.min(), x.max(), 60)
    line, low, high = regression_band(x, y, grid, bootstrap=bootstrap)
    # The band of a few points can be far wider than they are: it must not set the limits.
    outline = np.column_stack([np.append(grid, grid[::-1]), np.append(low, high[::-1])])
    band = PolyCollection([outline], facecolors=FAINT, alpha=0.18, linewidths=0, zorder=0)
    axes.add_collection(band, autolim=False)
    axes.plot(grid, line, color=FAINT, linewidth=1.2, zorder=1)


def draw_scatter(
    axes: Axes, points: pd.DataFrame, marks: Mapping[str, Mark], bootstrap: int
) -> None:
    """Draw one panel: marks with bars, and the line with its band."""
    from matplotlib.ticker import MaxNLocator

    draw_points(axes, points, marks)
    draw_band(axes, points, bootstrap)
    axes.margins(0.08)
    for axis, ticks in ((axes.xaxis, 5), (axes.yaxis, 7)):
        axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))


def scatter_of_metrics(
    axes: np.ndarray,
    tables: tuple[pd.DataFrame, pd.DataFrame],
    settings: Settings,
    rows: Sequence[tuple[str, Mapping[str, str]]],
    chosen: Mapping[str, Any],
    marks: Mapping[str, Mark],
) -> None:
    """Draw every metric of the settings against knowledge transfer, a column for each.

    Args:
        axes: of panels (rows, metrics).
        tables: the rows of the study at ``chosen``, and its correlations.
        rows: for each row of panels its label, and the conditions in which it differs.
        chosen: the conditions that all panels share.
        marks: of the sources.
    """
    table, correlations = tables
    robust = any(mark.robust for mark in marks.values())
    for line, (label, own) in zip(axes, rows, strict=True):
        for panel, metric in zip(line, settings.metrics, strict=True):
            points = per_source(select(table, **own, metric=metric), settings.transfer)
            draw_scatter(panel, points, marks, settings.bootstrap)
            conditions = {**chosen, **own, "metric": metric, "transfer": settings.transfer}
            title = correlation_title(correlations, robust, study=settings.study, **conditions)
            panel.set_title(title, fontsize=6.6)
            panel.set_xlabel(metric_label(metric))
        line[0].set_ylabel(transfer_label(settings.transfer))
        row_label(line[-1], label)
