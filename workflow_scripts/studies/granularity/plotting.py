"""What the figures and the page of granularity share: settings, tables, names, epsilon axis."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...advtransfer.plotting.frames import read_table, rows_where, select
from ...advtransfer.plotting.labels import interval, number
from ...advtransfer.plotting.labels import target_label as plain_target_label
from ...advtransfer.plotting.marks import Look
from ...advtransfer.plotting.style import MARKERS, PALETTE
from ..kinds.whole_targets.columns import TRANSFER_COLUMNS
from .columns import MEASURE_COLUMNS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

TEXT_COLUMNS = ("dataset", "estimator", "basis", "group", "source_norm", "selection")
MEASURE_LABELS = {
    ("resolution", "pixels"): "resolution, pixels a side",
    ("spectral_slope", "pixels"): "spectral slope",
    ("mean_frequency", "pixels"): "mean frequency, cycles an image",
    ("twonn", "pixels"): "dimension of pixels, TwoNN",
    ("levina_bickel", "pixels"): "dimension of pixels, likelihood",
    ("label_depth", "labels"): "depth in label hierarchy",
    ("class_separation", "features"): "between / within classes, features",
    ("twonn", "features"): "dimension of features, TwoNN",
    ("levina_bickel", "features"): "dimension of features, likelihood",
}
ESTIMATOR_LABELS = {
    "vertex": "vertex of a parabola",
    "softmax": "softmax-weighted mean",
    "grid": "highest mean on the grid",
}
LINES = ("-", "--", ":", "-.")
TARGET_LABELS = {"near": "CIFAR-10, unseen classes"}


@dataclass(frozen=True)
class Settings:
    """What a figure or the page shows, beside its tables. Each reads some of it."""

    study: str
    model: str | None = None  # architecture of the sources; None: the table's first
    estimator: str = "vertex"  # of the best epsilon: the primary one
    measure: str = ""  # the primary one, taken on ``basis``
    basis: str = ""
    series: dict[str, list[str]] = field(default_factory=dict)  # targets of rising resolution
    scores: dict[str, str] = field(default_factory=dict)  # target: column, if not accuracy
    trainings: tuple[str, ...] = ()  # of the sources, in the order of the page


def read(path: str | Path, columns: Iterable[str], settings: Settings) -> pd.DataFrame:
    """The study's rows of one architecture.

    Raises:
        UserError: as `read_table` and `select`.
    """
    frame = select(read_table(path, columns), study=settings.study)
    for name in set(TEXT_COLUMNS) & set(frame):
        frame[name] = frame[name].astype("object").where(frame[name].notna(), "")
    model = settings.model or frame["source_model"].iloc[0]
    return select(frame, source_model=model)


def accuracies(path: str | Path, settings: Settings) -> pd.DataFrame:
    """Fixed-feature transfers, what held-out images chose, by what their targets are scored by."""
    table = read(path, TRANSFER_COLUMNS, settings)
    table = select(table, mode="last_layer", selection="validation").copy()
    for target, column in settings.scores.items():
        own = table["target"] == target
        table.loc[own, "accuracy"] = table.loc[own, column]
    return table


def measured(path: str | Path, settings: Settings) -> pd.DataFrame:
    """Measures of every target, means over source seeds."""
    table = read(path, MEASURE_COLUMNS, settings)
    keys = ["target", "dataset", "measure", "basis"]
    return table.groupby(keys, sort=False)["value"].mean().reset_index()


def resolutions(measures: pd.DataFrame) -> dict[str, int]:
    """Pixels a side of every target's detail."""
    rows = rows_where(measures, measure="resolution")
    return {str(name): int(side) for name, side in zip(rows["target"], rows["value"], strict=True)}


def target_label(name: str) -> str:
    return TARGET_LABELS.get(name, plain_target_label(name))


def measure_label(measure: str, basis: str) -> str:
    return MEASURE_LABELS.get((measure, basis), f"{measure.replace('_', ' ')}, {basis}")


def dataset_looks(names: Iterable[str]) -> dict[str, Look]:
    """Colour and marker of every dataset, in the order given."""
    order = list(dict.fromkeys(names))
    colours, markers = PALETTE, MARKERS
    return {
        name: Look(colours[k % len(colours)], markers[k % len(markers)])
        for k, name in enumerate(order)
    }


def series_looks(settings: Settings, best: pd.DataFrame) -> dict[str, Look]:
    """Of every series of resolutions: the look of its dataset; of a second one, broken lines."""
    looks = dataset_looks(best["dataset"])
    lines: dict[str, int] = {}
    found = {}
    for name, targets in settings.series.items():
        datasets = rows_where(best, target=targets)["dataset"]
        if len(datasets):
            dataset = str(datasets.iloc[0])
            lines[dataset] = lines.get(dataset, -1) + 1
            style = LINES[lines[dataset] % len(LINES)]
            found[name] = dataclasses.replace(looks[dataset], line=style)
    return found


def epsilon_axis(axes: Axes, grid: Iterable[float], which: str = "x") -> None:
    """Ticks at the epsilons of the grid, on the coordinate of `best_epsilon`."""
    from .best_epsilon import coordinate

    values = sorted(set(grid))
    where = coordinate(values, values)
    labels = [f"{value:g}" for value in values]
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_ticks(where.tolist(), labels)
    margin = 0.06 * (where[-1] - where[0])
    (axes.set_xlim if which == "x" else axes.set_ylim)(where[0] - margin, where[-1] + margin)


def with_coordinates(best: pd.DataFrame, grid: Iterable[float]) -> pd.DataFrame:
    """Best epsilons and their intervals as coordinates: ``y``, ``y_low``, ``y_high``."""
    from .best_epsilon import coordinate

    values = sorted(set(grid))
    frame = best.copy()
    for name, column in (("y", "epsilon"), ("y_low", "ci_low"), ("y_high", "ci_high")):
        frame[name] = coordinate(frame[column].to_numpy(float), values)
    return frame


def statistic(prediction: pd.DataFrame, **conditions: Any) -> pd.Series | None:
    """The one row of the table of predictions that meets ``conditions``; None if none does."""
    rows = rows_where(prediction, **conditions)
    return rows.iloc[0] if len(rows) else None


def interval_text(row: pd.Series | None) -> str:
    """``0.83 [0.41, 0.97]``, or why there is none."""
    return "not measured" if row is None else interval(row)


def ranking(prediction: pd.DataFrame) -> list[tuple[str, str]]:
    """Measures by the size of their rank correlation over all targets; undefined ones last."""
    rows = rows_where(prediction, statistic="spearman", group="")
    order = rows["value"].abs().sort_values(ascending=False, kind="stable", na_position="last")
    rows = rows.loc[order.index]
    return list(zip(rows["measure"], rows["basis"], strict=True))


def dependence_text(prediction: pd.DataFrame) -> str:
    """How far the targets are from being independent."""
    share, worth = (
        statistic(prediction, role="dependence", statistic=name)
        for name in ("intraclass_correlation", "effective_targets")
    )
    if share is None or worth is None:
        return ""
    text = f"{share['n_targets']:.0f} targets of {share['n_groups']:.0f} datasets"
    if number(share["value"]) == "–":
        return text
    return (
        f"{text}, intraclass correlation of the best ε {number(share['value'])}: "
        f"worth {number(worth['value'], 1)} independent ones"
    )
