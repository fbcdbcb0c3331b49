"""Draw the accuracy of transferred sources on the target after every epoch."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .....advtransfer.plotting.figure import finish, new_figure
from .....advtransfer.plotting.frames import Tables, mean_and_range, read_table, select
from .....advtransfer.plotting.labels import target_title
from ..columns import CURVE_COLUMNS
from ..marks import source_legend, source_marks
from ..plotting import Settings, targets_of

ALT = "Accuracy on the target over epochs of transfer"
LABEL = "transfer over epochs"
TABLES = ("curves",)
SETTINGS = ("targets",)

MODES = {"full_network": "full-network transfer", "last_layer": "fixed-feature transfer"}


def draw(tables: Tables, settings: Settings) -> Figure:
    table = read_table(tables["curves"], CURVE_COLUMNS)
    table = select(table, study=settings.study, mode=settings.mode)
    marks = source_marks(table)
    targets = targets_of(settings, table)

    figure, axes = new_figure(
        1, len(targets), height=3.9, width=3.4 * len(targets) + 0.6, sharey=True
    )
    for panel, target in zip(axes[0], targets, strict=True):
        rows = select(table, target=target)
        curves = mean_and_range(rows, ["source", "epoch"], "test_accuracy")
        for source, mark in marks.items():
            curve = curves[curves["source"] == source].sort_values("epoch")
            if curve.empty:
                continue
            panel.fill_between(
                curve["epoch"], curve["low"], curve["high"], color=mark.colour, alpha=0.15, lw=0
            )
            panel.plot(
                curve["epoch"],
                curve["mean"],
                color=mark.colour,
                linestyle=mark.line,
                marker=mark.marker,
                markersize=4,
                markerfacecolor=mark.face,
                markevery=max(1, len(curve) // 6),
            )
        classes = settings.targets.get(target, [])
        panel.set_title(target_title(target, classes, width=54))
        panel.set_xlabel("epoch")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0, 0].set_ylabel("test accuracy on the target")
    source_legend(figure, marks.values(), columns=2 * len(targets) + 1)
    heading = f"Learning the target: {MODES.get(settings.mode, settings.mode)}"
    return finish(figure, heading)
