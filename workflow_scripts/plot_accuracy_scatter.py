"""Draw transfer accuracy against the source's own accuracy, one mark per epsilon."""

import argparse
from typing import Any

from .advtransfer import accuracy_figures as figures
from .advtransfer import plotting
from .advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--points", required=True, help="table of architectures and epsilons (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import numpy as np

    from .advtransfer.recipes import from_json
    from .advtransfer.statistics.regression import regression_band

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    points = figures.read(arguments.points, figures.POINT_COLUMNS, recipe)
    points = points.dropna(subset=["source_accuracy", "accuracy"])
    targets = plotting.efficiency_targets(recipe, points)
    modes = figures.modes(points)
    levels = figures.levels(points)
    looks, labels = figures.level_looks(levels), figures.level_labels(levels)
    letters = figures.model_letters(points["source_model"])

    figure, axes = figures.panels(recipe, targets, len(modes), 2.0, sharex=True)
    for row, mode in zip(axes, modes, strict=True):
        for panel, target in zip(row, targets, strict=True):
            for training, look in looks.items():
                own = plotting.those(points, target=target, mode=mode, source_training=training)
                if own.empty:
                    continue
                x, y = own["source_accuracy"].to_numpy(), own["accuracy"].to_numpy()
                ends = np.array([x.min(), x.max()])
                line = regression_band(x, y, ends, bootstrap=0).line
                panel.plot(ends, line, color=look.colour, linewidth=1, alpha=0.6, zorder=1)
                panel.vlines(
                    x, own["accuracy_min"], own["accuracy_max"], color=look.colour, linewidth=0.7
                )
                style: dict[str, Any] = {"markersize": 4.5, "linestyle": "none", "zorder": 3}
                panel.plot(x, y, marker=look.marker, color=look.colour, **style)
                for model, *place in zip(own["source_model"], x, y, strict=True):
                    panel.annotate(
                        letters[model],
                        place,
                        (3.2, 1.6),
                        textcoords="offset points",
                        size=6,
                        color=look.colour,
                    )
            panel.margins(0.09)
        row[0].set_ylabel(f"accuracy,\n{figures.mode_label(mode)}")
    figures.label_columns(axes, "accuracy of the source")
    plotting.efficiency_legend(figure, [look.entry(labels[name]) for name, look in looks.items()])
    names = [f"{letter} {plotting.model_label(model)}" for model, letter in letters.items()]
    note = ", ".join(names)
    heading = "Transfer accuracy against source accuracy at every epsilon"
    plotting.finish(figure, arguments.output, heading, note)


if __name__ == "__main__":
    run(main, parser())
