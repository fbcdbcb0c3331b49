"""What the figures and pages of a study of pairs share: settings, labels, scatters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ....advtransfer.errors import UserError
from ....advtransfer.plotting.frames import mean_and_range, select
from ....advtransfer.plotting.labels import attack_label, interval, model_label, target_label
from ....advtransfer.plotting.style import DOT, FAINT
from .columns import CORRELATION_COLUMNS, SOURCE_COLUMNS
from .marks import Mark

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

DIRECTIONS = ("source_to_reference", "reference_to_source")
MAIN_METRICS = ("alpha_1_mean", "alpha_2", "combined_squared")
DIRECTION_LABELS = {
    "source_to_reference": "source → reference",
    "reference_to_source": "reference → source",
}
TRANSFER_LABELS = {
    "last_layer_accuracy": "last-layer transfer accuracy",
    "full_network_accuracy": "full-network transfer accuracy",
}


@dataclass(frozen=True)
class Settings:
    """What a figure or page shows, beside its tables. Each reads some; the others may be absent."""

    study: str
    target: str | None = None
    reference: str | None = None
    attack: str | None = None
    norm: str | None = None
    epsilon: float | None = None
    metric: str | None = None
    direction: str | None = None
    transfer: str = "last_layer_accuracy"
    mode: str = "full_network"  # of the learning curves
    metrics: tuple[str, ...] = MAIN_METRICS
    targets: dict[str, list[str]] = field(default_factory=dict)  # name: classes
    mixtures: dict[str, list[str]] = field(default_factory=dict)  # name: classes
    bootstrap: int = 1000  # resamples behind the regression band

    def attacked(self) -> dict[str, Any]:
        """The settings that choose one attack, as conditions of `select`."""
        return {"attack": self.attack, "norm": self.norm, "epsilon": self.epsilon}


def direction_label(name: str) -> str:
    """``source → reference`` or the other way round."""
    return DIRECTION_LABELS.get(name, name)


def transfer_label(name: str) -> str:
    """Display name of a measure of knowledge transfer."""
    return TRANSFER_LABELS.get(name, name.replace("_", " "))


def settings_line(settings: Settings, *, attack: bool = True, target: bool = True) -> str:
    """The conditions of a figure, to print under its title."""
    parts = []
    if attack and settings.attack:
        parts.append(attack_label(settings.attack, settings.norm or "", settings.epsilon))
    if target and settings.target:
        parts.append(f"target {target_label(settings.target)}")
    if settings.reference:
        parts.append(f"reference {model_label(settings.reference)}")
    return "; ".join(parts)


def correlation(frame: pd.DataFrame, **conditions: Any) -> pd.Series:
    """The one row of a correlation table that meets ``conditions``.

    Raises:
        UserError: no row does, or several do.
    """
    rows = select(frame, **conditions)
    if len(rows) > 1:
        free = [c for c in CORRELATION_COLUMNS if c not in conditions and rows[c].nunique() > 1]
        raise UserError(
            f"{frame.attrs.get('path', 'the table')}: {len(rows)} rows where one is expected; "
            f"they differ in column '{(free or ['study'])[0]}'."
        )
    return rows.iloc[0]


def correlation_title(correlations: pd.DataFrame, robust: bool, **conditions: Any) -> str:
    """Correlation with its interval over natural sources, and over all where some are robust."""
    lines = []
    for sources, name in (("natural", "natural"), ("all", "all"))[: 2 if robust else 1]:
        row = correlation(correlations, sources=sources, statistic="pearson", **conditions)
        text = f"r = {interval(row)}, n = {row['n_models']:.0f}"
        lines.append(f"{name}: {text}" if robust else text)
    return "\n".join(lines)


def per_source(frame: pd.DataFrame, transfer: str) -> pd.DataFrame:
    """One row per source: mean and range over seeds of the metric (x) and of ``transfer`` (y)."""
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
    """One mark per source with thin bars over its seeds."""
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
    """Regression line of y on x with its bootstrap band, over natural sources only."""
    import numpy as np
    from matplotlib.collections import PolyCollection

    from ....advtransfer.statistics.regression import regression_band

    natural = points[points["robust"] == 0]
    if natural["x"].nunique() < 3:
        return
    if len(natural) < 4:
        bootstrap = 0  # as for their correlation: three points bear no interval
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
    """The scatter panel of the studies of references: band, marks, bars."""
    from matplotlib.ticker import MaxNLocator

    draw_points(axes, points, marks)
    draw_band(axes, points, bootstrap)
    axes.margins(0.08)
    for axis, ticks in ((axes.xaxis, 5), (axes.yaxis, 7)):
        axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))


def target_panels(settings: Settings, frame: pd.DataFrame) -> list[str]:
    """Targets to draw, one panel each: those of the recipe, else all of the table."""
    return list(settings.targets) or sorted(frame["target"].unique())
