"""Draw how robust transferred networks are on the target, by the training of their source."""

import argparse

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--robustness", required=True, help="table of attacked accuracies (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    table = plotting.read_efficiency(arguments.robustness, plotting.ROBUSTNESS_COLUMNS, recipe)
    targets = plotting.efficiency_targets(recipe, table)
    rows = plotting.of_grid(table, recipe, "robustness")
    looks = plotting.training_looks(recipe, rows["source_training"])
    clean = plotting.those(rows, attack="none")
    attacked = rows[rows["attack"] != "none"]
    settings = ["blocks", *plotting.ATTACK_COLUMNS]
    kinds = attacked[settings].drop_duplicates().sort_values(settings)
    several = kinds["blocks"].nunique() > 1

    figure, axes = plotting.efficiency_panels(
        recipe, targets, max(1, len(kinds)), sharex=True, sharey=True
    )
    for row, (blocks, attack, norm, epsilon) in zip(axes, kinds.to_numpy(), strict=False):
        own = plotting.those(attacked, blocks=blocks, attack=attack, norm=norm, epsilon=epsilon)
        for panel, target in zip(row, targets, strict=True):
            for training, look in looks.items():
                chosen = {"target": target, "source_training": training}
                plain = plotting.those(clean, blocks=blocks, **chosen)
                plain = plotting.mean_and_range(plain, ["images"], "accuracy")
                plain = plain.sort_values("images")
                if len(plain):
                    line = panel.plot(plain["images"], plain["mean"], color=look.colour)[0]
                    line.set(linewidth=0.7, alpha=0.45)
                plotting.draw_means(panel, plotting.those(own, **chosen), look)
        label = plotting.attack_label(attack, norm, epsilon).replace(", ", "\n")
        plotting.row_label(
            row[-1], f"{label}\n{plotting.blocks_label(blocks)}" if several else label
        )
        row[0].set_ylim(-0.02, 1.02)
    for row in axes:
        row[0].set_ylabel("robust accuracy")
        for panel in row:
            plotting.say_if_empty(panel, "no attacks on\ntransferred networks")
    for panel in axes[-1]:
        panel.set_xlabel("images of the target")
    plotting.image_axis(axes.flat, rows["images"])
    entries = [look.entry(plotting.training_label(name)) for name, look in looks.items()]
    if len(clean):
        faint = plotting.Look(plotting.FAINT, "")
        entries.append(faint.entry("thin: clean images", linewidth=0.7))
    plotting.efficiency_legend(figure, entries)
    counts = attacked["n_images"].dropna().unique()
    notes = [plotting.model_note(table)]
    if not several and len(kinds):
        notes.append(plotting.blocks_label(kinds["blocks"].iloc[0]))
    notes += [f"{count:g} attacked images" for count in counts[:1] if len(counts) == 1]
    heading = "Robustness on the target"
    plotting.finish(figure, arguments.output, heading, "; ".join(filter(None, notes)))


if __name__ == "__main__":
    run(main, parser())
