"""Draw accuracy on the target by the number of unfrozen blocks, and the gain over a head alone."""

import argparse

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--table", required=True, help="table of the study (CSV)")
    parser.add_argument("--differences", required=True, help="table of paired differences (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    table = plotting.read_efficiency(arguments.table, plotting.TRANSFER_COLUMNS, recipe)
    differences = plotting.read_efficiency(
        arguments.differences, plotting.DIFFERENCE_COLUMNS, recipe, "model"
    )
    targets = plotting.efficiency_targets(recipe, table)
    rows = plotting.with_heads(table, recipe)
    compared = plotting.those(
        plotting.of_grid(differences, recipe, "blocks"),
        comparison="blocks",
        baseline_blocks="0",
        quantity="accuracy",
        last=1,
    )
    looks = plotting.block_looks(rows["blocks"])
    trainings = [recipe.robust, recipe.baseline]

    figure, axes = plotting.efficiency_panels(
        recipe, targets, 2 * len(trainings), height=1.5, sharex=True
    )
    plotting.share_rows(axes)
    for column, target in zip(axes.T, targets, strict=True):
        for training, top, bottom in zip(trainings, column[:2], column[2:], strict=True):
            own = plotting.those(rows, target=target, source_training=training)
            paired = plotting.those(compared, target=target, training=training)
            for k, (blocks, look) in enumerate(looks.items()):
                shift = 0.16 * (k - len(looks) / 2)
                plotting.draw_means(top, plotting.those(own, blocks=blocks), look)
                gain = plotting.those(paired, blocks=blocks)
                plotting.draw_differences(bottom, gain, look, shift)
            plotting.say_if_empty(top, "not measured")
            plotting.say_if_empty(bottom, "no differences")
            plotting.zero_line(bottom)
        column[-1].set_xlabel("images of the target")
    plotting.image_axis(axes.flat, rows["images"])
    for row, what in zip(axes, ["accuracy"] * 2 + ["minus head only"] * 2, strict=True):
        row[0].set_ylabel(what)
    for row, training in zip(axes, trainings * 2, strict=True):
        plotting.row_label(row[-1], plotting.training_label(training))
    entries = [look.entry(plotting.blocks_label(blocks)) for blocks, look in looks.items()]
    shown = plotting.those(compared, training=trainings)
    entries += plotting.certainty_entries([shown])
    plotting.efficiency_legend(figure, entries)
    heading = "How many blocks to train on the target"
    plotting.finish(figure, arguments.output, heading, plotting.model_note(table))


if __name__ == "__main__":
    run(main, parser())
