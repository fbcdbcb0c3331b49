"""Draw the best way to transfer to a target against its distance from the source."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import say_if_empty
from ....advtransfer.plotting.figure import finish, legend_below, new_figure
from ....advtransfer.plotting.frames import Tables, mean_and_range, rows_where, targets_shown
from ....advtransfer.plotting.labels import target_label, training_label
from ....advtransfer.plotting.marks import Look, size_colours, training_looks
from ....advtransfer.plotting.style import FAINT
from .. import plotting
from ..columns import SIMILARITY_COLUMNS, TRANSFER_COLUMNS
from ..plotting import Settings

ALT = "Best blocks and trainings over the distance of the target"
LABEL = "what is best, by distance from the source"
TABLES = ("table", "similarity")
SETTINGS = ("baseline", "robust", "model", "grids", "trainings", "targets")

MEASURES = {"frechet": "Fréchet distance from the source", "mmd": "maximum mean discrepancy"}


def best(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the ``column`` with the highest mean accuracy, by target and number of images.

    It compares the source seeds and subsets that all choices have, where there was a choice.
    """
    found = []
    for (target, images), cell in rows.groupby(["target", "images"], sort=False):
        runs = cell.pivot_table(
            index=["source_seed", "subset_seed"], columns=column, values="accuracy"
        ).dropna()
        if runs.shape[1] > 1 and len(runs):
            found.append({"target": target, "images": images, column: runs.mean().idxmax()})
    return pd.DataFrame(found, columns=["target", "images", column])


def draw_panel(
    panel: Axes,
    distances: pd.DataFrame,
    winners: pd.DataFrame,
    column: str,
    order: list[str],
    colours: dict[int, str],
) -> None:
    """Draw a column of marks for every target, with numbers of images side by side."""
    offsets = np.linspace(-0.3, 0.3, max(2, len(colours)))
    place: Any
    for place in distances.itertuples():
        own = rows_where(winners, target=place.target)
        if own.empty:
            continue
        panel.axvspan(place.low, place.high, color=FAINT, alpha=0.2, lw=0, zorder=0)
        panel.axvline(place.mean, color=FAINT, linewidth=0.5, zorder=0)
        for k, (size, colour) in enumerate(colours.items()):
            for name in rows_where(own, images=size)[column]:
                height = order.index(name) + offsets[k]
                panel.plot(place.mean, height, "o", color=colour, markersize=3.5)


def draw(tables: Tables, settings: Settings) -> Figure:
    table = plotting.read(tables["table"], TRANSFER_COLUMNS, settings)
    similarity = plotting.read(tables["similarity"], SIMILARITY_COLUMNS, settings)
    targets = targets_shown(settings.targets, table, similarity)
    similarity = rows_where(similarity, source_training=settings.baseline, target=targets)
    blocks = rows_where(plotting.with_heads(table, settings), source_training=settings.robust)
    trainings = plotting.of_grid(table, settings, "images", blocks="fewest")
    names = list(training_looks(trainings["source_training"], settings.trainings))
    trainings = rows_where(trainings, source_training=names)
    # column of the table, its values in order, their labels, the best ones
    choices = [
        ("blocks", list(plotting.block_looks(blocks["blocks"])), plotting.blocks_label),
        ("source_training", names, training_label),
    ]
    winners = [best(blocks, "blocks"), best(trainings, "source_training")]
    colours = size_colours({size for found in winners for size in found["images"]})

    heights = [max(1.6, 0.36 * len(order) + 0.5) for _, order, _ in choices]
    figure, axes = new_figure(
        2, len(MEASURES), height=sum(heights) + 1.8, height_ratios=heights, sharex="col"
    )
    for column, (measure, label) in zip(axes.T, MEASURES.items(), strict=True):
        rows = rows_where(similarity, measure=measure)
        distances = mean_and_range(rows, ["target"], "value")
        for panel, (choice, order, _), found in zip(column, choices, winners, strict=True):
            draw_panel(panel, distances, found, choice, order, colours)
            say_if_empty(panel, "no distances" if rows.empty else "no choice measured")
        column[-1].set_xlabel(label)
        top = column[0].secondary_xaxis("top")
        labels = [target_label(target) for target in distances["target"]]
        top.set_xticks(distances["mean"].tolist(), labels, rotation=35, ha="left")
        top.tick_params(length=2, pad=1)
        top.spines["top"].set_visible(False)
    for row, (_, order, name_of) in zip(axes, choices, strict=True):
        for k, panel in enumerate(row):
            panel.set_yticks(range(len(order)), [name_of(x) for x in order] if k == 0 else [])
            panel.set_ylim(-0.5, max(1, len(order)) - 0.5)
            for edge in range(1, len(order)):
                panel.axhline(edge - 0.5, color="#dddddd", linewidth=0.6, zorder=0)
    axes[0, 0].set_ylabel(f"best number of blocks\n({training_label(settings.robust)})")
    axes[1, 0].set_ylabel("best training of the source")
    entries = [
        Look(colour, "o", "none").entry(f"{size:g} images") for size, colour in colours.items()
    ]
    legend_below(figure, entries)
    count = similarity["target"].nunique()
    heading = "What is best for a target, by its distance from the source"
    note = f"{count} target{'s' * (count != 1)}"
    note += ": too few for a correlation, none is drawn" if count < 5 else ""
    return finish(figure, heading, note)
