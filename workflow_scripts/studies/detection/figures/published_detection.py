"""Draw average precision on natural and robust backbones as published, beside ours."""

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
    import pandas as pd

    from ....advtransfer.recipes import from_json
    from ..published import PRECISIONS

    recipe = from_json(detection.DetectionFigureRecipe, arguments.recipe)
    table = detection.read(arguments.table, detection.AP_COLUMNS, recipe)
    both = {name: plotting.training_look(recipe, name) for name in (recipe.baseline, recipe.robust)}
    published = pd.DataFrame(
        [
            {
                "metric": _name(row.task, row.of),
                "source_training": training,
                "value": value,
            }
            for row in PRECISIONS
            for training, value in ((recipe.baseline, row.natural), (recipe.robust, row.robust))
        ]
    )
    ours = plotting.those(table, metric="AP")
    quantities = detection.quantities(recipe, ours)
    ours = ours.assign(
        metric=[
            _name(detection.task_label(task), of)
            for task, of in zip(ours["task"], ours["of"], strict=True)
        ]
    )
    figure, axes = plotting.new_figure(
        1,
        2,
        height=3.3,
        width=plotting.WIDTH,
        width_ratios=[len(PRECISIONS), max(len(quantities), 2)],
    )
    names = list(dict.fromkeys(published["metric"]))
    detection.draw_bars(axes[0, 0], published, both, names)
    detection.draw_bars(
        axes[0, 1], ours, both, [_name(detection.task_label(q.task), q.of) for q in quantities]
    )
    for bar in axes[0, 0].patches:
        where = bar.get_x() + bar.get_width() / 2, bar.get_height()
        axes[0, 0].text(*where, plotting.number(where[1], 3), fontsize=6, ha="center", va="bottom")
    plotting.say_if_empty(axes[0, 1], "not measured")
    for panel, title in zip(axes[0], ("Published: COCO, VOC", "Ours"), strict=True):
        panel.set_title(title, fontweight="bold")
        panel.set_ylabel("AP")
        panel.tick_params(axis="x", labelsize=6.5)
    plotting.efficiency_legend(figure, detection.bar_entries(both))
    note = (
        "published: ImageNet backbones, robust at the best of the epsilons tried, no intervals\n"
        f"ours: {plotting.model_note(table)}, {'; '.join(dict.fromkeys(table['data']))}; "
        "compare signs, not values"
    )
    plotting.finish(figure, arguments.output, "Salman et al. (2020) and this study", note)


def _name(task: str, of: str) -> str:
    """A line for every word, so that names stand beside one another."""
    return f"{task} {detection.OF_LABELS[of]}".replace(" ", "\n")


if __name__ == "__main__":
    run(main, parser())
