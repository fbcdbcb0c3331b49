"""Draw how the correlations of a study depend on the attack, its norm and epsilon."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .....advtransfer.plotting.axes import row_label
from .....advtransfer.plotting.figure import finish, new_figure
from .....advtransfer.plotting.frames import Tables, read_table, select
from .....advtransfer.plotting.labels import attack_label, epsilon_label, metric_label
from .....advtransfer.plotting.style import FAINT, INK, MARKERS, PALETTE
from ..columns import CORRELATION_COLUMNS
from ..plotting import DIRECTIONS, Settings, direction_label, settings_line, transfer_label

ALT = "Correlations over attack strength"
LABEL = "correlations over epsilon"
TABLES = ("correlations",)
SETTINGS = ("target", "reference", "transfer")

# The line and the label of either set of sources; markers of the second are hollow.
SOURCES = {"natural": ("-", "natural sources"), "all": (":", "with robust sources")}


def draw_panel(panel: Axes, rows: pd.DataFrame, settings: Settings, norm: str) -> None:
    """Draw one panel: a line for each metric and set of sources, side by side at every epsilon."""
    epsilons = sorted(rows["epsilon"].unique())
    kinds = [name for name in SOURCES if (rows["sources"] == name).any()]
    offsets = np.linspace(-0.26, 0.26, max(2, len(settings.metrics) * len(kinds)))
    for index, metric in enumerate(settings.metrics):
        colour = PALETTE[index]
        for second, kind in enumerate(kinds):
            own = rows[(rows["metric"] == metric) & (rows["sources"] == kind)]
            own = own.dropna(subset=["value"]).sort_values("epsilon")
            where = np.array([epsilons.index(epsilon) for epsilon in own["epsilon"]], dtype=float)
            where += offsets[index * len(kinds) + second]
            panel.errorbar(
                where,
                own["value"],
                yerr=[own["value"] - own["ci_low"], own["ci_high"] - own["value"]],
                color=colour,
                linestyle=SOURCES[kind][0],
                linewidth=1.1,
                elinewidth=0.8,
                marker=MARKERS[index],
                markersize=4.5,
                markerfacecolor=colour if kind == "natural" else "white",
            )
            primary = (own["role"] == "primary").to_numpy()
            panel.plot(where[primary], own["value"][primary], **PRIMARY)
    panel.axhline(0, color=FAINT, linewidth=0.7, zorder=0)
    panel.set_xticks(range(len(epsilons)), [epsilon_label(epsilon, norm) for epsilon in epsilons])
    panel.set_xlim(-0.5, len(epsilons) - 0.5)
    panel.set_ylim(-1.05, 1.05)
    panel.set_yticks([-1, -0.5, 0, 0.5, 1])


PRIMARY: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 11,
    "markerfacecolor": "none",
    "markeredgecolor": INK,
    "markeredgewidth": 1.1,
}


def legend_entries(settings: Settings, rows: pd.DataFrame) -> list[Any]:
    """Return legend entries for the metrics, the sets of sources and the primary test."""
    entries = [
        Line2D([], [], color=colour, marker=marker, markersize=4.5, label=metric_label(m))
        for m, colour, marker in zip(settings.metrics, PALETTE, MARKERS, strict=False)
    ]
    for kind, (line, label) in SOURCES.items():
        if (rows["sources"] == kind).any():
            face = FAINT if kind == "natural" else "white"
            style: dict[str, Any] = {"linestyle": line, "marker": "o", "markersize": 4.5}
            style |= {"color": FAINT, "markerfacecolor": face}
            entries.append(Line2D([], [], label=label, **style))
    if (rows["role"] == "primary").any():
        entries.append(Line2D([], [], label="primary test", **PRIMARY))
    return entries


def draw(tables: Tables, settings: Settings) -> Figure:
    table = read_table(tables["correlations"], CORRELATION_COLUMNS)
    rows = select(
        table,
        study=settings.study,
        target=settings.target,
        reference=settings.reference,
        transfer=settings.transfer,
        statistic="pearson",
        metric=settings.metrics,
    )
    attacks = sorted(set(zip(rows["norm"], rows["attack"], strict=True)), reverse=True)

    size = (len(DIRECTIONS), len(attacks))
    width = max(5.0, min(2.6 * len(attacks) + 1.0, 10.5))
    figure, axes = new_figure(*size, height=5.4, width=width, sharey=True, sharex="col")
    for column, (norm, attack) in enumerate(attacks):
        own = select(rows, norm=norm, attack=attack)
        for row, direction in enumerate(DIRECTIONS):
            draw_panel(axes[row, column], select(own, direction=direction), settings, norm)
        axes[0, column].set_title(attack_label(attack, norm), fontweight="bold")
        axes[-1, column].set_xlabel("ε")
    for row, direction in enumerate(DIRECTIONS):
        axes[row, 0].set_ylabel("Pearson r")
        row_label(axes[row, -1], direction_label(direction))
    figure.legend(handles=legend_entries(settings, rows), loc="outside lower center", ncols=3)
    heading = f"Correlation with {transfer_label(settings.transfer)}"
    note = settings_line(settings, attack=False)
    return finish(figure, heading, note)
