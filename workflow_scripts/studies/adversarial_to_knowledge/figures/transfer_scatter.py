"""Draw transferability metrics against knowledge transfer, one mark per source model."""

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
    chosen = {"target": recipe.target, "reference": recipe.reference, **recipe.attacked()}
    table = plotting.select(table, study=recipe.study, **chosen)
    marks = plotting.source_marks(table)
    robust = any(mark.robust for mark in marks.values())

    size = (len(plotting.DIRECTIONS), len(recipe.metrics))
    figure, axes = plotting.new_figure(*size, height=5.7, sharey=True)
    for row, direction in enumerate(plotting.DIRECTIONS):
        for column, metric in enumerate(recipe.metrics):
            panel = axes[row, column]
            rows = plotting.select(table, direction=direction, metric=metric)
            points = plotting.per_source(rows, recipe.transfer)
            plotting.draw_scatter(panel, points, marks, recipe.bootstrap)
            title = plotting.correlation_title(
                correlations,
                robust,
                study=recipe.study,
                metric=metric,
                direction=direction,
                transfer=recipe.transfer,
                **chosen,
            )
            panel.set_title(title, fontsize=6.6)
            panel.set_xlabel(plotting.metric_label(metric))
        axes[row, 0].set_ylabel(plotting.transfer_label(recipe.transfer))
        plotting.row_label(axes[row, -1], plotting.direction_label(direction))
    plotting.source_legend(figure, marks.values())
    heading = "Adversarial transferability and knowledge transferability"
    plotting.finish(figure, arguments.output, heading, plotting.settings_line(recipe))


if __name__ == "__main__":
    run(main, parser())
