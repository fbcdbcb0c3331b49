"""Draw how the correlations of a study depend on attack, norm and epsilon."""

import argparse
from typing import TYPE_CHECKING, Any

from .....advtransfer import plotting
from .....advtransfer.cli import run, step_parser

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# How the two sets of sources are told apart: style of the line and the marker's face.
SOURCES = {"natural": ("-", "natural sources"), "all": (":", "with robust sources")}


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--correlations", required=True, help="table of correlations (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def draw(panel: "Axes", rows: "pd.DataFrame", recipe: plotting.FigureRecipe, norm: str) -> None:
    """One panel: a line per metric and set of sources, side by side at every epsilon."""
    import numpy as np

    epsilons = sorted(rows["epsilon"].unique())
    kinds = [name for name in SOURCES if (rows["sources"] == name).any()]
    offsets = np.linspace(-0.26, 0.26, max(2, len(recipe.metrics) * len(kinds)))
    for index, metric in enumerate(recipe.metrics):
        colour = plotting.PALETTE[index]
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
                marker=plotting.MARKERS[index],
                markersize=4.5,
                markerfacecolor=colour if kind == "natural" else "white",
            )
            primary = (own["role"] == "primary").to_numpy()
            panel.plot(where[primary], own["value"][primary], **PRIMARY)
    panel.axhline(0, color=plotting.FAINT, linewidth=0.7, zorder=0)
    panel.set_xticks(
        range(len(epsilons)), [plotting.epsilon_label(epsilon, norm) for epsilon in epsilons]
    )
    panel.set_xlim(-0.5, len(epsilons) - 0.5)
    panel.set_ylim(-1.05, 1.05)
    panel.set_yticks([-1, -0.5, 0, 0.5, 1])


PRIMARY: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 11,
    "markerfacecolor": "none",
    "markeredgecolor": plotting.INK,
    "markeredgewidth": 1.1,
}


def legend_entries(recipe: plotting.FigureRecipe, rows: "pd.DataFrame") -> list[Any]:
    """Metrics by colour and marker, sets of sources by line and face, the primary by a ring."""
    from matplotlib.lines import Line2D

    entries = [
        Line2D([], [], color=colour, marker=marker, markersize=4.5, label=plotting.metric_label(m))
        for m, colour, marker in zip(
            recipe.metrics, plotting.PALETTE, plotting.MARKERS, strict=False
        )
    ]
    for kind, (line, label) in SOURCES.items():
        if (rows["sources"] == kind).any():
            face = plotting.FAINT if kind == "natural" else "white"
            style: dict[str, Any] = {"linestyle": line, "marker": "o", "markersize": 4.5}
            style |= {"color": plotting.FAINT, "markerfacecolor": face}
            entries.append(Line2D([], [], label=label, **style))
    if (rows["role"] == "primary").any():
        entries.append(Line2D([], [], label="primary test", **PRIMARY))
    return entries


def main(arguments: argparse.Namespace) -> None:
    from .....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    table = plotting.read_table(arguments.correlations, plotting.CORRELATION_COLUMNS)
    rows = plotting.select(
        table,
        study=recipe.study,
        target=recipe.target,
        reference=recipe.reference,
        transfer=recipe.transfer,
        statistic="pearson",
        metric=recipe.metrics,
    )
    attacks = sorted(set(zip(rows["norm"], rows["attack"], strict=True)), reverse=True)

    size = (len(plotting.DIRECTIONS), len(attacks))
    width = max(5.0, min(2.6 * len(attacks) + 1.0, 10.5))
    figure, axes = plotting.new_figure(*size, height=5.4, width=width, sharey=True, sharex="col")
    for column, (norm, attack) in enumerate(attacks):
        own = plotting.select(rows, norm=norm, attack=attack)
        for row, direction in enumerate(plotting.DIRECTIONS):
            draw(axes[row, column], plotting.select(own, direction=direction), recipe, norm)
        axes[0, column].set_title(plotting.attack_label(attack, norm), fontweight="bold")
        axes[-1, column].set_xlabel("ε")
    for row, direction in enumerate(plotting.DIRECTIONS):
        axes[row, 0].set_ylabel("Pearson r")
        plotting.row_label(axes[row, -1], plotting.direction_label(direction))
    figure.legend(handles=legend_entries(recipe, rows), loc="outside lower center", ncols=3)
    heading = f"Correlation with {plotting.transfer_label(recipe.transfer)}"
    note = plotting.settings_line(recipe, attack=False)
    plotting.finish(figure, arguments.output, heading, note)


if __name__ == "__main__":
    run(main, parser())
