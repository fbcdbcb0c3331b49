"""Draw how much of transfer accuracy source accuracy explains at every epsilon (R^2), and the
published table beside it."""

import argparse
from typing import Any

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser
from .. import plotting as figures

SQUARES = ("r_squared", "r_squared_low", "r_squared_high")


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--correlations", required=True, help="table of R^2 by epsilon (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json
    from .. import published

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    rows = figures.read(arguments.correlations, figures.CORRELATION_COLUMNS, recipe)
    targets = plotting.efficiency_targets(recipe, rows)
    modes, levels = figures.modes(rows), figures.levels(rows)
    labels = figures.level_labels(levels)
    places = {training: place for place, (training, _, _) in enumerate(levels)}

    figure, axes = plotting.new_figure(
        1,
        len(targets) + 1,
        height=2.9,
        width=max(plotting.WIDTH * 0.75, 1.8 * (len(targets) + 1)),
        sharey=True,
    )
    figure.set_layout_engine("constrained", wspace=0.06)
    ours, theirs = axes[0, :-1], axes[0, -1]
    for panel, target in zip(ours, targets, strict=True):
        for k, mode in enumerate(modes):
            shift = 0.2 * (k - (len(modes) - 1) / 2)
            row: Any
            for row in plotting.those(rows, target=target, mode=mode).itertuples():
                look = figures.MODE_LOOKS[mode]
                face = "white" if row.pearson < 0 else None
                place = places[row.source_training] + shift
                figures.draw_interval(panel, place, figures.triple(row, SQUARES), look, face=face)
        plotting.say_if_empty(panel, "not measured")
        panel.set_xticks(range(len(levels)), list(labels.values()), rotation=40, ha="right")
        panel.set_xlim(-0.6, max(1, len(levels)) - 0.4)
        panel.set_title(plotting.target_title(target, [], width=26), fontweight="bold")
    look = figures.MODE_LOOKS[published.MODE]
    found = published.squared_correlations()
    for place, (epsilon, square) in enumerate(found.items()):
        figures.draw_interval(theirs, place, (square.value, square.ci_low, square.ci_high), look)
        text = f"{square.value:.3f}\n(printed {published.PRINTED[epsilon]:g})"
        at = (place, square.ci_low)
        theirs.annotate(
            text, at, (0, -3), textcoords="offset points", ha="center", va="top", size=7
        )
    epsilons = [figures.level_label("l2" if epsilon else "", epsilon) for epsilon in found]
    theirs.set_xticks(range(len(found)), epsilons, rotation=40, ha="right")
    theirs.set_xlim(-0.7, len(found) - 0.3)
    theirs.set_facecolor("#f4f4f4")
    theirs.set_title("Published:\nImageNet to CIFAR-10", fontweight="bold")
    axes[0, 0].set_ylim(-0.03, 1.03)
    axes[0, 0].set_ylabel("R²")
    entries = figures.mode_entries(modes)
    if (rows["pearson"] < 0).any():
        entries.append(
            plotting.Look(plotting.INK, "o", "none").entry(
                "negative correlation", markerfacecolor="white"
            )
        )
    plotting.efficiency_legend(figure, entries)
    numbers = sorted({int(number) for number in rows["n_models"]})
    span = "–".join(map(str, dict.fromkeys((numbers[0], numbers[-1])))) if numbers else "no"
    note = f"{span} architectures here, 6 in the published table; 95 % intervals over architectures"
    heading = "Transfer accuracy explained by source accuracy at a fixed epsilon"
    plotting.finish(figure, arguments.output, heading, note)


if __name__ == "__main__":
    run(main, parser())
