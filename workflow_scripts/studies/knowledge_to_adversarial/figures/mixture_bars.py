"""Draw adversarial transferability and knowledge transfer by a source's share of animals."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....advtransfer.plotting.figure import finish, new_figure
from ....advtransfer.plotting.frames import Tables, mean_and_range, read_table, select
from ....advtransfer.plotting.labels import metric_label, target_title
from ....advtransfer.plotting.style import INK
from ...kinds.pairs.columns import METRIC_COLUMNS
from ...kinds.pairs.plotting import Settings, direction_label, settings_line, targets_of

ALT = "Bars of transferability and transfer accuracy by share of animals"
LABEL = "bars by share of animals"
TABLES = ("table",)
SETTINGS = ("reference", "attack", "norm", "epsilon", "targets")

ACCURACIES = {"last_layer_accuracy": "fixed-feature", "full_network_accuracy": "full-network"}
COLOURS = ("#56B4E9", "#0072B2")  # lighter: less of the network is trained
METRIC_COLOUR = "#D55E00"


def bars(panel: Axes, frame: pd.DataFrame, column: str, place: float, **style: object) -> None:
    """Draw bars at the mean over seeds, with lines that span the seeds."""
    rows = mean_and_range(frame, ["animals"], column).sort_values("animals")
    spread = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
    where = [index + place for index in range(len(rows))]
    error = {"elinewidth": 0.9, "ecolor": INK}
    panel.bar(where, rows["mean"], yerr=spread, error_kw=error, **style)  # type: ignore[arg-type]


def label_mixtures(panel: Axes, frame: pd.DataFrame) -> None:
    """Write the share of animals, and the number of shared classes, under each pair of bars."""
    shares = frame.groupby("animals")["shared_classes"].first().sort_index()
    labels = [f"{animals:g} %\n({shared:g})" for animals, shared in shares.items()]
    panel.set_xticks(range(len(shares)), labels)
    panel.tick_params(axis="x", length=0)


def draw(tables: Tables, settings: Settings) -> Figure:
    table = read_table(tables["table"], METRIC_COLUMNS)
    metric = settings.metric or "alpha_1_mean"
    direction = settings.direction or "source_to_reference"
    table = select(
        table,
        study=settings.study,
        reference=settings.reference,
        **settings.attacked(),
        direction=direction,
        metric=metric,
        robust=0,
    )
    targets = targets_of(settings, table)

    figure, axes = new_figure(len(targets), 2, height=0.9 + 2.4 * len(targets), sharey="col")
    for (left, right), target in zip(axes, targets, strict=True):
        rows = select(table, target=target)
        bars(left, rows, "value", 0.0, color=METRIC_COLOUR, width=0.6)
        for index, column in enumerate(ACCURACIES):
            bars(right, rows, column, 0.37 * (index - 0.5), color=COLOURS[index], width=0.36)
        for panel in (left, right):
            label_mixtures(panel, rows)
        left.set_title(
            target_title(target, settings.targets.get(target, [])),
            loc="left",
            fontweight="bold",
        )
        left.set_ylabel(metric_label(metric))
        right.set_ylabel("transfer accuracy")
        right.set_ylim(0, 1)
    for panel in axes[-1]:
        panel.set_xlabel("animals in the source (classes shared with the target)")
    figure.legend(
        axes[0, 1].containers[1::2],
        ACCURACIES.values(),
        loc="outside lower right",
        ncols=2,
        title="transfer",
        title_fontsize=7.5,
    )
    note = f"{settings_line(settings, target=False)}; {direction_label(direction)}"
    heading = "What a source shares with the target"
    return finish(figure, heading, note)
