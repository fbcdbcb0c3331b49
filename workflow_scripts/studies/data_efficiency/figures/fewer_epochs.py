"""Draw accuracy on the target epoch by epoch, and robust minus natural."""

import argparse
from dataclasses import replace

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--curves", required=True, help="learning curves of the study (CSV)")
    parser.add_argument("--differences", required=True, help="table of paired differences (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    table = plotting.read_efficiency(arguments.curves, plotting.EPOCH_COLUMNS, recipe)
    differences = plotting.read_efficiency(
        arguments.differences, plotting.DIFFERENCE_COLUMNS, recipe, "model"
    )
    targets = plotting.efficiency_targets(recipe, table)
    rows = plotting.of_grid(table, recipe, "epochs", blocks="fewest")
    compared = plotting.of_grid(differences, recipe, "epochs", blocks="fewest")
    compared = plotting.robust_minus_baseline(compared, recipe).dropna(subset=["value"])
    looks = plotting.training_looks(recipe, rows["source_training"])
    pair = {name: looks[name] for name in (recipe.baseline, recipe.robust) if name in looks}
    if rows["epoch"].nunique() > 12:  # marks would hide the lines
        pair = {name: replace(look, marker="") for name, look in pair.items()}
    marker = "" if compared["epoch"].nunique() > 12 else "o"
    colours = plotting.size_colours({*rows["images"], *compared["images"]})
    sizes = list(colours)

    figure, axes = plotting.efficiency_panels(
        recipe, targets, len(sizes) + 1, height=1.35, sharex=True
    )
    plotting.share_rows(axes)
    for column, target in zip(axes.T, targets, strict=True):
        for panel, size in zip(column, sizes, strict=False):
            for name, look in pair.items():
                own = plotting.those(rows, target=target, images=size, source_training=name)
                plotting.draw_means(panel, own, look, "epoch", "test_accuracy")
            plotting.say_if_empty(panel, "not measured")
        for size, colour in colours.items():
            own = plotting.those(compared, target=target, images=size).sort_values("epoch")
            bounded = own.dropna(subset=["ci_low", "ci_high"])
            band = bounded["epoch"], bounded["ci_low"], bounded["ci_high"]
            if len(bounded):
                column[-1].fill_between(*band, color=colour, alpha=0.2, lw=0)
            if len(own):
                style = {"color": colour, "marker": marker, "markersize": 2.5}
                column[-1].plot(own["epoch"], own["value"], linewidth=1.2, **style)
        plotting.say_if_empty(column[-1], "no differences")
        plotting.zero_line(column[-1])
        column[-1].set_xlabel("epoch")
        plotting.epoch_axis(column[-1], {*rows["epoch"], *compared["epoch"]})
    for row, size in zip(axes, sizes, strict=False):
        row[0].set_ylabel("accuracy")
        plotting.row_label(row[-1], f"{size:g} images")
    names = plotting.training_label(recipe.robust), plotting.training_label(recipe.baseline)
    axes[-1, 0].set_ylabel(f"{names[0]}\n− {names[1]}")
    entries = [look.entry(plotting.training_label(name)) for name, look in pair.items()]
    entries += [
        plotting.Look(colour, marker).entry(f"difference, {size:g} images", markersize=2.5)
        for size, colour in colours.items()
    ]
    plotting.efficiency_legend(figure, entries)
    blocks = rows["blocks"].iloc[0] if len(rows) else ""
    notes = [plotting.model_note(table), f"trained: {plotting.blocks_label(blocks)}" * bool(blocks)]
    note = "; ".join(filter(None, notes))
    plotting.finish(figure, arguments.output, "Transfer with fewer epochs", note)


if __name__ == "__main__":
    run(main, parser())
