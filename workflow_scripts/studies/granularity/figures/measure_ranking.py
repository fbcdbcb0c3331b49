"""Draw how well every measure of granularity predicts the best epsilon, the best one on top."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import say_if_empty
from ....advtransfer.plotting.figure import finish, new_figure
from ....advtransfer.plotting.frames import Tables, rows_where
from ....advtransfer.plotting.marks import Look
from ....advtransfer.plotting.style import FAINT, INK, PALETTE
from .. import plotting
from ..columns import PREDICTION_COLUMNS
from ..plotting import Settings

ALT = "How well every measure predicts the best epsilon"
LABEL = "what predicts the best epsilon"
TABLES = ("prediction",)
SETTINGS = ("model", "estimator", "measure", "basis", "scores")

CORRELATIONS = (
    ("spearman", "over all targets"),
    ("spearman_within", "within datasets"),
    ("spearman_given_resolution", "given resolution"),
)


def draw(tables: Tables, settings: Settings) -> Figure:
    prediction = plotting.read(tables["prediction"], PREDICTION_COLUMNS, settings)
    prediction = rows_where(prediction, estimator=settings.estimator, group="")
    order = plotting.ranking(prediction)

    figure, axes = new_figure(
        1, len(CORRELATIONS) + 1, height=1.6 + 0.3 * len(order), width=8.2, sharey=True
    )
    primary = (settings.measure, settings.basis)
    for panel, (statistic, title) in zip(axes[0], CORRELATIONS, strict=False):
        for k, (measure, basis) in enumerate(order):
            row = plotting.statistic(prediction, statistic=statistic, measure=measure, basis=basis)
            if row is None or math.isnan(row["value"]):
                continue
            colour = PALETTE[1] if (measure, basis) == primary else INK
            if not math.isnan(row["ci_low"]):
                panel.hlines(k, row["ci_low"], row["ci_high"], color=colour, linewidth=1)
            panel.plot(row["value"], k, "o", color=colour, markersize=4.5)
        say_if_empty(panel, "no correlation")
        panel.axvline(0, color=FAINT, linewidth=0.7, zorder=0)
        panel.set_xlim(-1.05, 1.05)
        panel.set_title(title)
        panel.set_xlabel("Spearman's ρ")
    panel = axes[0, -1]
    for k, (measure, basis) in enumerate(order):
        of = {"measure": measure, "basis": basis}
        error, mean = (
            plotting.statistic(prediction, statistic=kind, **of)
            for kind in ("left_out_error", "left_out_baseline")
        )
        if error is None or mean is None or math.isnan(error["value"]):
            continue
        colour = PALETTE[1] if (measure, basis) == primary else INK
        panel.plot(mean["value"], k, "|", color=FAINT, markersize=9, markeredgewidth=1.4)
        panel.plot(error["value"], k, "o", color=colour, markersize=4.5)
    say_if_empty(panel, "one dataset:\nnone to leave out")
    panel.set_title("a dataset left out")
    panel.set_xlabel("mean error, doublings")
    panel.margins(x=0.1)
    panel.set_xlim(left=0)
    axes[0, 0].set_yticks(range(len(order)), [plotting.measure_label(*what) for what in order])
    axes[0, 0].set_ylim(len(order) - 0.4, -0.6)
    for panel in axes[0]:
        panel.grid(axis="y", color="#dddddd", linewidth=0.5)
    entries = [
        Look(PALETTE[1], "o", "none").entry("primary measure"),
        Look(INK, "o", "none").entry("exploratory"),
        Look(FAINT, "|", "none").entry("the other datasets' mean"),
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=3)
    note = plotting.dependence_text(prediction)
    return finish(figure, "What predicts the best epsilon", note)
