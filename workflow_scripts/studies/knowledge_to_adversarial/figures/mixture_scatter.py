"""Draw transferability metrics against knowledge transfer, one mark per mixture of classes."""

import argparse

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--table", required=True, help="table of the study (CSV)")
    parser.add_argument("--correlations", required=True, help="table of correlations (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    table = plotting.read_table(arguments.table, plotting.STUDY_COLUMNS)
    correlations = plotting.read_table(arguments.correlations, plotting.CORRELATION_COLUMNS)
    chosen = {
        "reference": recipe.reference,
        **recipe.attacked(),
        "direction": recipe.direction,
    }
    table = plotting.select(table, study=recipe.study, **chosen)
    marks = plotting.source_marks(table)
    robust = any(mark.robust for mark in marks.values())
    targets = plotting.target_panels(recipe, table)

    size = (len(targets), len(recipe.metrics))
    figure, axes = plotting.new_figure(*size, height=1.1 + 2.3 * len(targets), sharey="row")
    for row, target in enumerate(targets):
        for column, metric in enumerate(recipe.metrics):
            panel = axes[row, column]
            rows = plotting.select(table, target=target, metric=metric)
            points = plotting.per_source(rows, recipe.transfer)
            plotting.draw_scatter(panel, points, marks, recipe.bootstrap)
            title = plotting.correlation_title(
                correlations,
                robust,
                study=recipe.study,
                target=target,
                metric=metric,
                transfer=recipe.transfer,
                **chosen,
            )
            panel.set_title(title, fontsize=6.6)
            panel.set_xlabel(plotting.metric_label(metric))
        axes[row, 0].set_ylabel(plotting.transfer_label(recipe.transfer))
        plotting.row_label(axes[row, -1], f"target {plotting.target_label(target)}")
    plotting.source_legend(figure, marks.values(), columns=5)
    note = plotting.settings_line(recipe, target=False)
    if recipe.direction:
        note = f"{note}; {plotting.direction_label(recipe.direction)}"
    plotting.finish(figure, arguments.output, "Mixtures of animals and vehicles", note)


if __name__ == "__main__":
    run(main, parser())
