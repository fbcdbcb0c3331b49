"""Draw average precision of the detectors by the training of their source."""

import argparse

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser
from .. import plotting as detection


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__ or "")
    parser.add_argument("--table", required=True, help="average precision (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json

    recipe = from_json(detection.DetectionFigureRecipe, arguments.recipe)
    table = detection.read(arguments.table, detection.AP_COLUMNS, recipe)
    quantities = detection.quantities(recipe, table)
    looks = plotting.training_looks(recipe, table["source_training"])
    figure, axes = plotting.new_figure(
        len(quantities), 1, height=1.0 + 1.5 * len(quantities), width=6.4, sharex=True
    )
    metrics = detection.metrics_of(table)
    for panel, quantity in zip(axes[:, 0], quantities, strict=True):
        rows = detection.measured(table, quantity)
        detection.draw_bars(panel, rows, looks, metrics)
        panel.set_title(detection.quantity_label(quantity), fontweight="bold")
        panel.set_ylabel("average precision")
        plotting.say_if_empty(panel, "not measured")
    plotting.efficiency_legend(figure, detection.bar_entries(looks))
    note = plotting.model_note(table)
    sizes = detection.size_note(recipe)
    plotting.finish(
        figure,
        arguments.output,
        "Average precision of detectors, by the source's training",
        "; ".join(filter(None, [note, sizes])),
    )


if __name__ == "__main__":
    run(main, parser())
