"""Draw the accuracy of transferred sources on the target, epoch by epoch."""

import argparse

from .....advtransfer import plotting
from .....advtransfer.cli import run, step_parser

COLUMNS = (
    *plotting.SOURCE_COLUMNS,
    "source_seed",
    "target",
    "mode",
    "epoch",
    "test_accuracy",
)
MODES = {"full_network": "whole network trained", "last_layer": "last layer trained"}


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--curves", required=True, help="learning curves of the study (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from matplotlib.ticker import MaxNLocator

    from .....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    table = plotting.read_table(arguments.curves, COLUMNS)
    table = plotting.select(table, study=recipe.study, mode=recipe.mode)
    marks = plotting.source_marks(table)
    targets = plotting.target_panels(recipe, table)

    figure, axes = plotting.new_figure(
        1, len(targets), height=3.9, width=3.4 * len(targets) + 0.6, sharey=True
    )
    for panel, target in zip(axes[0], targets, strict=True):
        rows = plotting.select(table, target=target)
        curves = plotting.mean_and_range(rows, ["source", "epoch"], "test_accuracy")
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
        classes = recipe.targets.get(target, [])
        panel.set_title(plotting.target_title(target, classes, width=54))
        panel.set_xlabel("epoch")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0, 0].set_ylabel("test accuracy on the target")
    plotting.source_legend(figure, marks.values(), columns=2 * len(targets) + 1)
    heading = f"Learning the target: {MODES.get(recipe.mode, recipe.mode)}"
    plotting.finish(figure, arguments.output, heading)


if __name__ == "__main__":
    run(main, parser())
