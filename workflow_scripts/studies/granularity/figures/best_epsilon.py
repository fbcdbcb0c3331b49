"""Draw the best epsilon over the resolution of the target, by every estimator."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import image_axis, say_if_empty
from ....advtransfer.plotting.figure import finish, legend_below, new_figure
from ....advtransfer.plotting.frames import Tables, rows_where
from ....advtransfer.plotting.labels import model_note
from .. import plotting
from ..columns import BEST_COLUMNS
from ..plotting import Settings

ALT = "Best epsilon over resolution"
LABEL = "best epsilon over resolution"
TABLES = ("table", "best", "measures")
SETTINGS = ("model", "series", "estimator", "scores")


def draw(tables: Tables, settings: Settings) -> Figure:
    grid = plotting.accuracies(tables["table"], settings)["source_epsilon"].unique()
    best = plotting.with_coordinates(plotting.read(tables["best"], BEST_COLUMNS, settings), grid)
    sides = plotting.resolutions(plotting.measured(tables["measures"], settings))
    looks = plotting.series_looks(settings, best)
    estimators = sorted(plotting.ESTIMATOR_LABELS, key=lambda name: name != settings.estimator)

    figure, axes = new_figure(1, len(estimators), height=3.0, sharey=True, sharex=True)
    found: set[int] = set()
    shifts = np.linspace(-0.08, 0.08, max(2, len(settings.series)))
    for panel, estimator in zip(axes[0], estimators, strict=True):
        rows = rows_where(best, estimator=estimator)
        for shift, (name, targets) in zip(shifts, settings.series.items(), strict=False):
            line = rows_where(rows, target=targets)
            line = line.assign(side=line["target"].map(sides)).dropna(subset=["side"])
            line = line.sort_values("side")
            if line.empty:
                continue
            found |= {int(side) for side in line["side"]}
            look = looks[name]
            where = line["side"] * 2.0**shift
            panel.plot(where, line["y"], look.line, color=look.colour, linewidth=1.2)
            panel.plot(where, line["y"], look.marker, color=look.colour, markersize=4.5)
            bounded = line["y_low"].notna()
            ends = line["y_low"][bounded], line["y_high"][bounded]
            panel.vlines(where[bounded], *ends, color=look.colour, linewidth=0.8)
        say_if_empty(panel, "no target at\nseveral resolutions")
        plotting.epsilon_axis(panel, grid, "y")
        title = plotting.ESTIMATOR_LABELS[estimator]
        panel.set_title(f"{title} (primary)" if estimator == settings.estimator else title)
        panel.set_xlabel("pixels a side")
        if found:
            image_axis([panel], found)
    for panel in axes[0, 1:]:
        panel.tick_params(labelleft=False)
    axes[0, 0].set_ylabel("best ε of the source's training")
    entries = [look.entry(plotting.target_label(name)) for name, look in looks.items()]
    legend_below(figure, entries)
    seeds = "bars: 95 % bootstrap intervals over source seeds"
    note = "; ".join(filter(None, (model_note(best), seeds)))
    return finish(figure, "Which epsilon is best at which resolution", note)
