"""Draw the published image experiment beside ours."""

import argparse

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser

# The published columns alpha_2 and alpha_1 * alpha_2 are squared norms: ours are taken alike.
METRICS = {
    "alpha_1_mean": "alpha_1",
    "alpha_2_squared": "alpha_2_squared",
    "combined_squared": "combined_squared",
}
TRANSFER = "last_layer_accuracy"
DIRECTION = "reference_to_source"
PUBLISHED_SETTINGS = "CIFAR-10 → STL-10, FGSM ℓ∞, ε = 0.1"


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--table", required=True, help="table of the study (CSV)")
    parser.add_argument("--correlations", required=True, help="table of correlations (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import pandas as pd

    from ....advtransfer.recipes import from_json
    from ...kinds.pairs import published

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    table = plotting.read_table(arguments.table, plotting.STUDY_COLUMNS)
    correlations = plotting.read_table(arguments.correlations, plotting.CORRELATION_COLUMNS)
    chosen = {
        "study": recipe.study,
        "target": recipe.target,
        "reference": recipe.reference,
        **recipe.attacked(),
        "direction": DIRECTION,
    }
    table = plotting.select(table, **chosen, robust=0)
    ours = plotting.source_marks(table)
    theirs = plotting.published_marks(table)

    figure, axes = plotting.new_figure(len(METRICS), 2, height=7.6, width=6.0, sharey=True)
    for (left, right), (metric, attribute) in zip(axes, METRICS.items(), strict=True):
        printed = pd.DataFrame(
            {
                "source": row.model,
                "robust": 0,
                **dict.fromkeys(("x", "x_low", "x_high"), getattr(row, attribute)),
                **dict.fromkeys(("y", "y_low", "y_high"), getattr(row, TRANSFER)),
            }
            for row in published.ARCHITECTURES
        )
        measured = plotting.per_source(plotting.select(table, metric=metric), TRANSFER)
        # Lines without bands: five points published without seeds bear none.
        plotting.draw_scatter(left, printed, theirs, bootstrap=0)
        plotting.draw_scatter(right, measured, ours, bootstrap=0)
        pearson = published.ARCHITECTURE_CORRELATIONS[attribute]["pearson"]
        left.set_title(f"r = {plotting.number(pearson)}, n = {len(printed)}", fontsize=7.5)
        title = plotting.correlation_title(
            correlations, False, **chosen, metric=metric, transfer=TRANSFER
        )
        right.set_title(title, fontsize=7.5)
        for panel in (left, right):
            panel.set_xlabel(plotting.metric_label(metric))
            panel.set_ylim(0, 1)
        left.set_ylabel(plotting.transfer_label(TRANSFER))
    strength = plotting.settings_line(recipe, target=False)
    target = plotting.target_label(recipe.target or "")
    for panel, heading in (
        (axes[0, 0], f"Published\n{PUBLISHED_SETTINGS}"),
        (axes[0, 1], f"Ours: target {target}\n{strength}"),
    ):
        panel.set_title(f"{heading}\n\n{panel.get_title()}", fontsize=7.5)
    marks = {mark.label: mark for mark in [*theirs.values(), *ours.values()]}
    plotting.source_legend(figure, marks.values())
    note = "data, models and attacks differ: compare shapes, not values; reference → source"
    plotting.finish(figure, arguments.output, "Liang et al. (2021) and this study", note)


if __name__ == "__main__":
    run(main, parser())
