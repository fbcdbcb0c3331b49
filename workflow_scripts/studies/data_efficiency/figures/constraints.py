"""Draw what every training of the source gains over natural training, by kind of constraint."""

import argparse

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser

OTHER = "other trainings"


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--differences", required=True, help="table of paired differences (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def kind(training: str) -> str:
    """The row of panels that a training belongs to, by its name."""
    if training.startswith(("fast", "free", "natural")):
        return OTHER
    return "ℓ₂" if "l2" in training else "ℓ∞" if "linf" in training else OTHER


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    differences = plotting.read_efficiency(
        arguments.differences, plotting.DIFFERENCE_COLUMNS, recipe, "model"
    )
    targets = plotting.efficiency_targets(recipe, differences)
    rows = plotting.those(
        plotting.of_grid(differences, recipe, "images", blocks="fewest"),
        comparison="training",
        baseline_training=recipe.baseline,
        quantity="accuracy",
        last=1,
    )
    rows = rows[rows["training"] != plotting.UNTRAINED]
    looks = plotting.training_looks(recipe, rows["training"])
    kinds = [name for name in ("ℓ₂", "ℓ∞", OTHER) if name in map(kind, looks)] or [""]

    figure, axes = plotting.efficiency_panels(recipe, targets, len(kinds), sharex=True, sharey=True)
    for row, name in zip(axes, kinds, strict=True):
        own = [training for training in looks if kind(training) == name]
        for panel, target in zip(row, targets, strict=True):
            for k, training in enumerate(own):
                paired = plotting.those(rows, target=target, training=training)
                shift = 0.14 * (k - (len(own) - 1) / 2)
                plotting.draw_differences(panel, paired, looks[training], shift)
            plotting.say_if_empty(panel, "no differences")
            plotting.zero_line(panel)
        plotting.row_label(row[-1], name)
    plotting.image_axis(axes.flat, rows["images"])
    for panel in axes[-1]:
        panel.set_xlabel("images of the target")
    for panel in axes[:, 0]:
        panel.set_ylabel(f"accuracy − {plotting.training_label(recipe.baseline)}")
    entries = [look.entry(plotting.training_label(name)) for name, look in looks.items()]
    entries += plotting.certainty_entries([rows])
    plotting.efficiency_legend(figure, entries)
    heading = "Which constraint in adversarial training"
    note = plotting.model_note(rows)
    plotting.finish(figure, arguments.output, heading, note)


if __name__ == "__main__":
    run(main, parser())
