"""Draw cost and accuracy of every training of a source, and transfer at equal cost."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter

from ....advtransfer.plotting.axes import image_axis, say_if_empty
from ....advtransfer.plotting.draw import draw_means
from ....advtransfer.plotting.figure import finish, legend_below, new_figure
from ....advtransfer.plotting.frames import Tables, mean_and_range, rows_where, targets_shown
from ....advtransfer.plotting.labels import attack_label, model_note, target_title, training_label
from ....advtransfer.plotting.marks import Look, training_looks
from ....advtransfer.plotting.style import FAINT, INK, WIDTH
from ...columns import ATTACK_COLUMNS
from .. import plotting
from ..columns import EVALUATION_COLUMNS, TRANSFER_COLUMNS
from ..plotting import Settings

ALT = "Accuracy and training cost of the sources"
LABEL = "accuracy and cost of the sources"
TABLES = ("sources", "table")
SETTINGS = ("baseline", "robust", "model", "grids", "trainings", "targets")

COSTS = {"passes": "passes per image", "seconds": "seconds of training"}


def draw_panel(
    panel: Axes,
    rows: pd.DataFrame,
    column: str,
    looks: dict[str, Look],
    marker: str = "o",
    face: str | None = None,
    shift: float = 0.0,
) -> None:
    """Draw mean and range over seeds of every training, one below the other."""
    means = mean_and_range(rows, ["source_training"], column)
    for place, (training, look) in enumerate(looks.items()):
        row: Any
        for row in rows_where(means, source_training=training).itertuples():
            style: dict[str, Any] = {"markersize": 5, "markerfacecolor": face or look.colour}
            ends = [row.low, row.high]
            panel.plot(ends, [place + shift] * 2, color=look.colour, linewidth=0.9)
            panel.plot(row.mean, place + shift, marker, color=look.colour, **style)


def draw_cost(
    panel: Axes, rows: pd.DataFrame, column: str, looks: dict[str, Look], robust: str
) -> None:
    """Draw a cost on a log axis, with its mean beside it; a cost of 0 stands at the left edge."""
    spent = rows[rows[column] > 0]
    if spent.empty:
        return
    panel.set_xscale("log")
    panel.margins(x=0.25)
    draw_panel(panel, spent, column, looks)
    costs = rows.groupby("source_training")[column]
    means, highest = costs.mean().dropna(), costs.max()
    for place, training in enumerate(looks):
        mean = means.get(training)
        if mean:
            text, where = f"{mean:.3g}", (highest[training], place)
            panel.annotate(text, where, (5, 0), textcoords="offset points", va="center", size=7)
        elif mean == 0:
            panel.text(0.03, place, "0", transform=panel.get_yaxis_transform(), va="center", size=7)
    if means.get(robust):
        panel.axvline(means[robust], color=FAINT, linewidth=0.7, linestyle=":", zorder=0)
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.minorticks_off()


def draw(tables: Tables, settings: Settings) -> Figure:
    sources = plotting.read(tables["sources"], EVALUATION_COLUMNS, settings)
    table = plotting.read(tables["table"], TRANSFER_COLUMNS, settings)
    targets = targets_shown(settings.targets, table)
    looks = training_looks(sources["source_training"], settings.trainings)
    tests = sources[list(ATTACK_COLUMNS)].drop_duplicates()
    tests = tests.assign(order=tests["attack"] != "none").sort_values(["order", "norm", "epsilon"])

    size = (2, max(3, len(targets)))
    figure, axes = new_figure(
        *size,
        height=3.4 + 0.2 * len(looks),
        width=max(WIDTH, 2.4 * size[1]),
        height_ratios=[0.6 + 0.2 * len(looks), 1.9],
    )
    for panel in axes[0, 1:]:
        panel.sharey(axes[0, 0])
        panel.tick_params(labelleft=False)
    for panel in [*axes[0, 3:], *axes[1, len(targets) :]]:
        panel.set_visible(False)
    entries = []
    shifts = [0.0, *np.linspace(-0.2, 0.2, max(2, len(tests) - 1))]
    kinds = zip(tests.itertuples(), itertools.cycle("o^sDv"), shifts, strict=False)
    test: Any
    for test, marker, shift in kinds:
        label = attack_label(test.attack, test.norm, test.epsilon)
        chosen = {"attack": test.attack}
        if test.attack != "none":
            chosen |= {"norm": test.norm, "epsilon": test.epsilon}
        face = None if test.attack == "none" else "white"
        rows = rows_where(sources, **chosen)
        draw_panel(axes[0, 0], rows, "accuracy", looks, marker, face, shift)
        style = {"markerfacecolor": face or INK}
        entries.append(Look(INK, marker, "none").entry(label, **style))
    once = sources.drop_duplicates(["source_training", "source_seed"])
    for panel, (column, label) in zip(axes[0, 1:], COSTS.items(), strict=False):
        draw_cost(panel, once, column, looks, settings.robust)
        panel.set_title(label)
    axes[0, 0].set_title("accuracy of the source")
    axes[0, 0].set_xlim(-0.03, 1.03)
    for panel in axes[0, :3]:
        panel.set_yticks(range(len(looks)), [training_label(name) for name in looks])
        panel.set_ylim(max(1, len(looks)) - 0.4, -0.6)
        panel.grid(axis="x", color="#dddddd", linewidth=0.6)
        say_if_empty(panel, "not known")

    # Below: the natural trainings, one of them as long as adversarial training takes.
    rows = plotting.of_grid(table, settings, "images", blocks="fewest")
    compared = {
        name: look
        for name, look in training_looks(rows["source_training"], settings.trainings).items()
        if name == settings.robust or name.startswith(settings.baseline)
    }
    for panel, target in zip(axes[1], targets, strict=False):
        for training, look in compared.items():
            own = rows_where(rows, target=target, source_training=training)
            draw_means(panel, own, look)
        say_if_empty(panel, "not measured")
        panel.set_title(target_title(target, []), fontweight="bold")
        panel.set_xlabel("images of the target")
    image_axis(axes[1, : len(targets)], rows["images"])
    axes[1, 0].set_ylabel("accuracy after transfer")
    entries += [look.entry(training_label(name)) for name, look in compared.items()]
    legend_below(figure, entries)
    heading = "Cost and accuracy of the sources, and transfer at equal cost"
    return finish(figure, heading, model_note(sources, table))
