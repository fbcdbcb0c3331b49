"""Draw transfer accuracy over the width of the source, for every epsilon of its training."""

import argparse

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser
from .. import plotting as figures

BOUNDS = ("value", "ci_low", "ci_high")


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--width", required=True, help="table of accuracy over width (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    table = figures.read(arguments.width, figures.WIDTH_COLUMNS, recipe)
    rows = plotting.those(table, quantity="accuracy")
    targets = plotting.efficiency_targets(recipe, rows)
    modes, levels = figures.modes(rows), figures.levels(rows)
    looks, labels = figures.level_looks(levels), figures.level_labels(levels)

    figure, axes = figures.panels(recipe, targets, len(modes), 1.75, sharex=True)
    for line, mode in zip(axes, modes, strict=True):
        for panel, target in zip(line, targets, strict=True):
            for k, (training, look) in enumerate(looks.items()):
                own = plotting.those(rows, target=target, mode=mode, source_training=training)
                own = own.sort_values("width")
                if own.empty:
                    continue
                where = own["width"].astype(float) * 2.0 ** (0.06 * (k - (len(looks) - 1) / 2))
                panel.plot(where, own["value"], color=look.colour, linewidth=1.1)
                for place, row in zip(where, own.itertuples(), strict=True):
                    figures.draw_interval(panel, place, figures.triple(row, BOUNDS), look)
        line[0].set_ylabel(f"accuracy,\n{figures.mode_label(mode)}")
    plotting.image_axis(axes.flat, rows["width"])
    figures.label_columns(axes, "width of the source")
    plotting.efficiency_legend(figure, [look.entry(labels[name]) for name, look in looks.items()])
    seeds = rows["n_seeds"].max() if len(rows) else 0
    note = f"up to {seeds:.0f} source seeds; 95 % t intervals" if seeds > 1 else "one source seed"
    heading = "Transfer accuracy over the width of the source"
    plotting.finish(figure, arguments.output, heading, note)


if __name__ == "__main__":
    run(main, parser())
