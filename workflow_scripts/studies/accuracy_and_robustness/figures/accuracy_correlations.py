"""Draw how much of transfer accuracy source accuracy explains at every epsilon (R^2), and the
published table beside it."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import say_if_empty
from ....advtransfer.plotting.figure import finish, legend_below, new_figure
from ....advtransfer.plotting.frames import Tables, rows_where, targets_shown
from ....advtransfer.plotting.labels import target_title
from ....advtransfer.plotting.marks import Look
from ....advtransfer.plotting.style import INK, WIDTH
from .. import plotting, published
from ..columns import CORRELATION_COLUMNS
from ..plotting import Settings

ALT = "R^2 of source and transfer accuracy by epsilon, and as published"
LABEL = "R² by epsilon, and as published"
TABLES = ("correlations",)
SETTINGS = ("baseline", "trainings", "targets")

SQUARES = ("r_squared", "r_squared_low", "r_squared_high")


def draw(tables: Tables, settings: Settings) -> Figure:
    rows = plotting.read(tables["correlations"], CORRELATION_COLUMNS, settings)
    targets = targets_shown(settings.targets, rows)
    modes, levels = plotting.modes(rows), plotting.levels(rows)
    labels = plotting.level_labels(levels)
    places = {training: place for place, (training, _, _) in enumerate(levels)}

    figure, axes = new_figure(
        1,
        len(targets) + 1,
        height=2.9,
        width=max(WIDTH * 0.75, 1.8 * (len(targets) + 1)),
        sharey=True,
    )
    figure.set_layout_engine("constrained", wspace=0.06)
    ours, theirs = axes[0, :-1], axes[0, -1]
    for panel, target in zip(ours, targets, strict=True):
        for k, mode in enumerate(modes):
            shift = 0.2 * (k - (len(modes) - 1) / 2)
            row: Any
            for row in rows_where(rows, target=target, mode=mode).itertuples():
                look = plotting.MODE_LOOKS[mode]
                face = "white" if row.pearson < 0 else None
                place = places[row.source_training] + shift
                plotting.draw_interval(panel, place, plotting.triple(row, SQUARES), look, face=face)
        say_if_empty(panel, "not measured")
        panel.set_xticks(range(len(levels)), list(labels.values()), rotation=40, ha="right")
        panel.set_xlim(-0.6, max(1, len(levels)) - 0.4)
        panel.set_title(target_title(target, [], width=26), fontweight="bold")
    look = plotting.MODE_LOOKS[published.MODE]
    found = published.squared_correlations()
    for place, (epsilon, square) in enumerate(found.items()):
        plotting.draw_interval(theirs, place, (square.value, square.ci_low, square.ci_high), look)
        text = f"{square.value:.3f}\n(printed {published.PRINTED[epsilon]:g})"
        at = (place, square.ci_low)
        theirs.annotate(
            text, at, (0, -3), textcoords="offset points", ha="center", va="top", size=7
        )
    epsilons = [plotting.level_label("l2" if epsilon else "", epsilon) for epsilon in found]
    theirs.set_xticks(range(len(found)), epsilons, rotation=40, ha="right")
    theirs.set_xlim(-0.7, len(found) - 0.3)
    theirs.set_facecolor("#f4f4f4")
    theirs.set_title("Published:\nImageNet to CIFAR-10", fontweight="bold")
    axes[0, 0].set_ylim(-0.03, 1.03)
    axes[0, 0].set_ylabel("R²")
    entries = plotting.mode_entries(modes)
    if (rows["pearson"] < 0).any():
        entries.append(
            Look(INK, "o", "none").entry("negative correlation", markerfacecolor="white")
        )
    legend_below(figure, entries)
    numbers = sorted({int(number) for number in rows["n_models"]})
    span = "–".join(map(str, dict.fromkeys((numbers[0], numbers[-1])))) if numbers else "no"
    note = f"{span} architectures here, 6 in the published table; 95 % intervals over architectures"
    heading = "Transfer accuracy explained by source accuracy at a fixed epsilon"
    return finish(figure, heading, note)
