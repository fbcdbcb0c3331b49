"""Draw accuracy on the target over the number of its images, and robust minus natural."""

import argparse
from dataclasses import replace

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser

# What is drawn of the grid: role, which number of blocks, style of the line, shift of the bars.
SETTINGS = (("images", "fewest", "-", -0.07), ("blocks", "most", "--", 0.07))


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
    compared = plotting.those(plotting.robust_minus_baseline(differences, recipe), last=1)
    looks = plotting.training_looks(recipe, table["source_training"])
    pair = {name: looks[name] for name in (recipe.baseline, recipe.robust) if name in looks}
    scratch = plotting.those(
        plotting.of_grid(table, recipe, "scratch"), source_training=plotting.UNTRAINED
    )
    from_scratch = replace(plotting.training_look(recipe, plotting.UNTRAINED), line=":")
    targets = plotting.efficiency_targets(recipe, table)

    figure, axes = plotting.efficiency_panels(recipe, targets, 2, sharex=True)
    plotting.share_rows(axes[1:])
    settings, shown, sizes = [], [], set(scratch["images"])
    for role, number, line, shift in SETTINGS:
        rows = plotting.of_grid(table, recipe, role, blocks=number)
        paired = plotting.of_grid(compared, recipe, role, blocks=number)
        if rows.empty:
            continue
        label = " or ".join(map(plotting.blocks_label, sorted(rows["blocks"].unique())))
        settings.append(plotting.Look(plotting.INK, "", line).entry(label))
        shown.append(paired)
        sizes |= set(rows["images"])
        for (top, bottom), target in zip(axes.T, targets, strict=True):
            for name, look in pair.items():
                own = plotting.those(rows, target=target, source_training=name)
                plotting.draw_means(top, own, replace(look, line=line))
            look = replace(plotting.training_look(recipe, recipe.robust), line=line)
            plotting.draw_differences(bottom, plotting.those(paired, target=target), look, shift)
    for (top, bottom), target in zip(axes.T, targets, strict=True):
        plotting.draw_means(top, plotting.those(scratch, target=target), from_scratch)
        plotting.say_if_empty(top, "not measured")
        plotting.say_if_empty(bottom, "no differences")
        plotting.zero_line(bottom)
        bottom.set_xlabel("images of the target")
    plotting.image_axis(axes.flat, sizes)
    names = plotting.training_label(recipe.robust), plotting.training_label(recipe.baseline)
    axes[0, 0].set_ylabel("accuracy on the target")
    axes[1, 0].set_ylabel(f"{names[0]} − {names[1]}")
    entries = [look.entry(plotting.training_label(name)) for name, look in pair.items()]
    if len(scratch):
        entries.append(from_scratch.entry("from scratch"))
    entries += [*settings, *plotting.certainty_entries(shown)]
    plotting.efficiency_legend(figure, entries)
    note = plotting.model_note(table)
    plotting.finish(figure, arguments.output, "Transfer with fewer images", note)


if __name__ == "__main__":
    run(main, parser())
