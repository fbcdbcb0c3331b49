"""Draw robust minus natural accuracy on the target as published, beside ours."""

import argparse
from dataclasses import replace
from typing import Any

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser

# Published sources: column of the data, training whose look they have, strength.
PUBLISHED = {
    "robust_l2": ("robust_l2", "ℓ₂, ε = 3"),
    "robust_linf_4": ("robust_linf_half", "ℓ∞, ε = 4/255"),
    "robust_linf_8": ("robust_linf", "ℓ∞, ε = 8/255"),
}
ALL = 51200  # where the last row of a target stands, whose sizes are close to it but differ
ALIKE = {"near": "cifar10"}  # our targets that are part of a published one
SETTINGS = (("images", "fewest", "-", -0.07), ("blocks", "most", "--", 0.07))


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--differences", required=True, help="table of paired differences (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json
    from .. import published as published_efficiency

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    differences = plotting.read_efficiency(
        arguments.differences, plotting.DIFFERENCE_COLUMNS, recipe, "model"
    )
    compared = plotting.those(plotting.robust_minus_baseline(differences, recipe), last=1)
    targets = plotting.efficiency_targets(recipe, differences)
    ours = plotting.training_look(recipe, recipe.robust)

    figure, axes = plotting.new_figure(
        len(targets), 2, height=1.5 + 1.7 * len(targets), width=6.2, sharey=True, sharex="col"
    )
    figure.set_layout_engine("constrained", wspace=0.12)
    entries, shown = [], []
    for panel, target in zip(axes[:, 0], targets, strict=True):
        name = ALIKE.get(target, target)
        printed = published_efficiency.ACCURACIES.get(name, ())
        sizes = [min(row.images, ALL) for row in printed]
        for column, (training, _) in PUBLISHED.items():
            gains = [getattr(row, column) - row.natural for row in printed]
            look = plotting.training_look(recipe, training)
            style: dict[str, Any] = {"marker": look.marker, "markersize": 4, "linewidth": 1}
            if printed:
                panel.plot(sizes, gains, color=look.colour, **style)
        panel.set_title(plotting.target_label(name), fontweight="bold")
        plotting.say_if_empty(panel, "not published")
        panel.set_ylabel("robust − natural")
    printed_entries = [
        plotting.training_look(recipe, training).entry(label)
        for training, label in PUBLISHED.values()
    ]
    figure.legend(handles=printed_entries, loc="outside lower left")
    for role, number, line, shift in SETTINGS:
        rows = plotting.of_grid(compared, recipe, role, blocks=number)
        if rows.empty:
            continue
        shown.append(rows)
        look = replace(ours, line=line)
        blocks = " or ".join(map(plotting.blocks_label, sorted(rows["blocks"].unique())))
        label = f"{plotting.training_label(recipe.robust)}, {blocks}"
        entries.append(look.entry(label))
        for panel, target in zip(axes[:, 1], targets, strict=True):
            plotting.draw_differences(panel, plotting.those(rows, target=target), look, shift)
    for panel, target in zip(axes[:, 1], targets, strict=True):
        classes = recipe.targets.get(target, [])
        title = plotting.target_title(target, classes if len(classes) < 6 else [], width=44)
        panel.set_title(title, fontweight="bold")
        plotting.say_if_empty(panel, "no differences")
    for panel in axes.flat:
        plotting.zero_line(panel)
    ticks = [100 * 2**doublings for doublings in range(10)]
    plotting.image_axis(axes[:, 0], ticks)
    for panel in axes[:, 0]:
        panel.set_xticks(ticks, [*map(str, ticks[:-1]), "all"])
    plotting.image_axis(axes[:, 1], {size for rows in shown for size in rows["images"]})
    for panel, heading in zip(axes[0], ("Published", "Ours"), strict=True):
        panel.set_title(f"{heading}\n\n{panel.get_title()}", fontweight="bold")
    for panel in axes[-1]:
        panel.set_xlabel("images of the target")
    entries += plotting.certainty_entries(shown)
    if entries:
        figure.legend(handles=entries, loc="outside lower right")
    note = (
        "published: ResNet-50 trained on ImageNet, 224 pixels, 3 blocks\n"
        f"ours: {plotting.model_note(differences) or 'none'}; compare shapes, not values"
    )
    plotting.finish(figure, arguments.output, "Utrera et al. (2021) and this study", note)


if __name__ == "__main__":
    run(main, parser())
