"""Draw the best epsilon of every target against every measure of its granularity."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

from ....advtransfer.metrics.granularity import LOGARITHMIC
from ....advtransfer.plotting.figure import finish, legend_below, new_figure
from ....advtransfer.plotting.frames import Tables, rows_where, select
from ....advtransfer.plotting.labels import model_note
from .. import plotting
from ..columns import BEST_COLUMNS, PREDICTION_COLUMNS
from ..plotting import Settings

ALT = "Best epsilon over every measure of granularity"
LABEL = "best epsilon over measures of granularity"
TABLES = ("table", "best", "measures", "prediction")
SETTINGS = ("model", "estimator", "measure", "basis", "scores")

COLUMNS = 3


def draw(tables: Tables, settings: Settings) -> Figure:
    grid = plotting.accuracies(tables["table"], settings)["source_epsilon"].unique()
    best = plotting.with_coordinates(plotting.read(tables["best"], BEST_COLUMNS, settings), grid)
    best = select(best, estimator=settings.estimator)
    measures = plotting.measured(tables["measures"], settings)
    prediction = plotting.read(tables["prediction"], PREDICTION_COLUMNS, settings)
    prediction = select(prediction, estimator=settings.estimator)
    looks = plotting.dataset_looks(best["dataset"])

    shown = list(dict.fromkeys(zip(measures["measure"], measures["basis"], strict=True)))
    rows = -(-len(shown) // COLUMNS)
    figure, axes = new_figure(rows, COLUMNS, height=1.0 + 2.15 * rows, sharey=True)
    for panel in axes.flat[len(shown) :]:
        panel.set_visible(False)
    for panel, (measure, basis) in zip(axes.flat, shown, strict=False):
        points = rows_where(measures, measure=measure, basis=basis)
        points = points.drop(columns="dataset").merge(best, on="target")
        point: Any
        for point in points.itertuples():
            look = looks[point.dataset]
            panel.vlines(point.value, point.y_low, point.y_high, color=look.colour, linewidth=0.6)
            panel.plot(point.value, point.y, look.marker, color=look.colour, markersize=4)
        if measure in LOGARITHMIC:
            panel.set_xscale("log", base=2)
            panel.xaxis.set_major_formatter(ScalarFormatter())
            panel.xaxis.set_minor_formatter(NullFormatter())
            spread = points["value"].max() / points["value"].min()
            if spread < 4:  # too few powers of two
                panel.set_xscale("log", base=10)
                ends = float(points["value"].min()), float(points["value"].max())
                ticks = [float(tick) for tick in MaxNLocator(4).tick_values(*ends) if tick > 0]
                panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
                panel.minorticks_off()
                panel.set_xlim(ends[0] / 1.08, ends[1] * 1.08)
            else:
                panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        plotting.epsilon_axis(panel, grid, "y")
        panel.set_xlabel(plotting.measure_label(measure, basis))
        of = {"measure": measure, "basis": basis, "group": ""}
        lines = []
        for name, kind in (("ρ", "spearman"), ("within datasets", "spearman_within")):
            row = plotting.statistic(prediction, statistic=kind, **of)
            lines.append(f"{name}: {plotting.interval_text(row)}")
        primary = (measure, basis) == (settings.measure, settings.basis)
        title = "\n".join(lines)
        panel.set_title(f"primary; {title}" if primary else title, fontsize=7)
    for panel in axes[:, 0]:
        panel.set_ylabel("best ε")
    entries = [
        look.entry(plotting.target_label(name), linestyle="none") for name, look in looks.items()
    ]
    legend_below(figure, entries)
    note = f"{len(best)} targets of {len(looks)} datasets; {model_note(best)}; Spearman's ρ"
    heading = "Measures of granularity and the best epsilon"
    return finish(figure, heading, note)
