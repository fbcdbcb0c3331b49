"""Draw how well accuracy and robustness of a source predict transfer to left-out architectures."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import say_if_empty
from ....advtransfer.plotting.figure import finish, legend_below, panels_by_target
from ....advtransfer.plotting.frames import Tables, rows_where, targets_shown
from ....advtransfer.plotting.marks import Look
from ....advtransfer.plotting.style import FAINT, INK
from .. import plotting
from ..columns import BASELINE, PREDICTOR_COLUMNS
from ..plotting import Settings

ALT = "Errors of predictors of transfer on left-out architectures"
LABEL = "accuracy and robustness, or accuracy alone"
TABLES = ("predictors",)
SETTINGS = ("baseline", "trainings", "targets")

GAIN = ("gain", "gain_low", "gain_high")


def draw(tables: Tables, settings: Settings) -> Figure:
    rows = plotting.read(tables["predictors"], PREDICTOR_COLUMNS, settings)
    targets = targets_shown(settings.targets, rows)
    modes = plotting.modes(rows)
    there = set(rows["predictor"])
    predictors = [name for name in plotting.PREDICTOR_LABELS if name in there]

    figure, axes = panels_by_target(targets, settings.targets, 2, 1.5, sharey=True, sharex="row")
    for column, target in zip(axes.T, targets, strict=True):
        for k, mode in enumerate(modes):
            shift = 0.22 * (k - (len(modes) - 1) / 2)
            look = plotting.MODE_LOOKS[mode]
            row: Any
            for row in rows_where(rows, target=target, mode=mode).itertuples():
                place = predictors.index(row.predictor) + shift
                nan = float("nan")
                error = (row.absolute_error, nan, nan)
                gain = plotting.triple(row, GAIN)
                face = "white" if gain[1] <= 0 <= gain[2] else None
                plotting.draw_interval(column[0], place, error, look, sideways=True)
                plotting.draw_interval(column[1], place, gain, look, face=face, sideways=True)
        for panel, text in zip(column, ("not measured", "no differences"), strict=True):
            say_if_empty(panel, text)
            panel.grid(axis="x", color="#dddddd", linewidth=0.6)
        column[0].set_xlabel("mean absolute error, left out")
        column[1].set_xlabel("gain over accuracy alone")
        column[1].axvline(0, color=FAINT, linewidth=0.7, zorder=0)
        if BASELINE in predictors:
            place = predictors.index(BASELINE)
            column[1].text(0, place, " baseline", size=7, color=FAINT, va="center")
    axes[0, 0].set_xlim(left=0)
    for panel in axes[:, 0]:
        names = [plotting.predictor_label(name) for name in predictors]
        panel.set_yticks(range(len(predictors)), names)
        panel.set_ylim(max(1, len(predictors)) - 0.4, -0.6)
    entries = plotting.mode_entries(modes)
    mark = Look(INK, "o", "none")
    entries.append(mark.entry("interval includes 0", markerfacecolor="white"))
    legend_below(figure, entries)
    counts = rows["n_models"].max() if len(rows) else 0
    note = (
        f"{counts:.0f} architectures, each left out with all its epsilons; 95 % intervals over them"
    )
    heading = "What predicts transfer accuracy of an architecture that was left out"
    return finish(figure, heading, note)
