"""Draw what moving batch norm statistics in the frozen part change, against frozen ones."""

import argparse

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--differences", required=True, help="table of paired differences (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    differences = plotting.read_efficiency(
        arguments.differences, plotting.DIFFERENCE_COLUMNS, recipe, "model"
    )
    targets = plotting.efficiency_targets(recipe, differences)
    rows = plotting.those(
        plotting.of_grid(differences, recipe, "statistics"),
        comparison="statistics",
        quantity="accuracy",
        last=1,
    )
    looks = plotting.training_looks(recipe, rows["training"])
    numbers = list(plotting.block_looks(rows["blocks"])) or [""]

    figure, axes = plotting.efficiency_panels(recipe, targets, len(numbers), height=2, sharey=True)
    for row, blocks in zip(axes, numbers, strict=True):
        for panel, target in zip(row, targets, strict=True):
            for k, (training, look) in enumerate(looks.items()):
                own = plotting.those(rows, target=target, blocks=blocks, training=training)
                shift = 0.14 * (k - (len(looks) - 1) / 2)
                plotting.draw_differences(panel, own, look, shift)
            plotting.say_if_empty(panel, "not measured")
            plotting.zero_line(panel)
        row[0].set_ylabel("moving − frozen statistics\n(accuracy)")
        if blocks:
            plotting.row_label(row[-1], plotting.blocks_label(blocks))
    for panel in axes[-1]:
        panel.set_xlabel("images of the target")
    plotting.image_axis(axes.flat, rows["images"])
    entries = [look.entry(plotting.training_label(name)) for name, look in looks.items()]
    entries += plotting.certainty_entries([rows])
    plotting.efficiency_legend(figure, entries)
    heading = "Batch norm statistics of the frozen part"
    note = plotting.model_note(differences)
    plotting.finish(figure, arguments.output, heading, note)


if __name__ == "__main__":
    run(main, parser())
