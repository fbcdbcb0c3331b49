"""Draw adversarial transferability and knowledge transfer by a source's share of animals."""

import argparse
from typing import TYPE_CHECKING

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

ACCURACIES = {"last_layer_accuracy": "last layer", "full_network_accuracy": "full network"}
COLOURS = ("#56B4E9", "#0072B2")  # lighter: less of the network is trained
METRIC_COLOUR = "#D55E00"


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--table", required=True, help="table of the study (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def bars(panel: "Axes", frame: "pd.DataFrame", column: str, place: float, **style: object) -> None:
    """Bars of the mean over seeds, with the range over seeds."""
    rows = plotting.mean_and_range(frame, ["animals"], column).sort_values("animals")
    spread = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
    where = [index + place for index in range(len(rows))]
    error = {"elinewidth": 0.9, "ecolor": plotting.INK}
    panel.bar(where, rows["mean"], yerr=spread, error_kw=error, **style)  # type: ignore[arg-type]


def label_mixtures(panel: "Axes", frame: "pd.DataFrame") -> None:
    """Under each pair of bars: the share of animals and the classes shared with the target."""
    shares = frame.groupby("animals")["shared_classes"].first().sort_index()
    labels = [f"{animals:g} %\n({shared:g})" for animals, shared in shares.items()]
    panel.set_xticks(range(len(shares)), labels)
    panel.tick_params(axis="x", length=0)


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    table = plotting.read_table(arguments.table, plotting.STUDY_COLUMNS)
    metric = recipe.metric or "alpha_1_mean"
    direction = recipe.direction or "source_to_reference"
    table = plotting.select(
        table,
        study=recipe.study,
        reference=recipe.reference,
        **recipe.attacked(),
        direction=direction,
        metric=metric,
        robust=0,
    )
    targets = plotting.target_panels(recipe, table)

    figure, axes = plotting.new_figure(
        len(targets), 2, height=0.9 + 2.4 * len(targets), sharey="col"
    )
    for (left, right), target in zip(axes, targets, strict=True):
        rows = plotting.select(table, target=target)
        bars(left, rows, "value", 0.0, color=METRIC_COLOUR, width=0.6)
        for index, column in enumerate(ACCURACIES):
            bars(right, rows, column, 0.37 * (index - 0.5), color=COLOURS[index], width=0.36)
        for panel in (left, right):
            label_mixtures(panel, rows)
        left.set_title(
            plotting.target_title(target, recipe.targets.get(target, [])),
            loc="left",
            fontweight="bold",
        )
        left.set_ylabel(plotting.metric_label(metric))
        right.set_ylabel("transfer accuracy")
        right.set_ylim(0, 1)
    for panel in axes[-1]:
        panel.set_xlabel("animals in the source (classes shared with the target)")
    figure.legend(
        axes[0, 1].containers[1::2],
        ACCURACIES.values(),
        loc="outside lower right",
        ncols=2,
        title="trained on the target",
        title_fontsize=7.5,
    )
    note = f"{plotting.settings_line(recipe, target=False)}; {plotting.direction_label(direction)}"
    heading = "What a source shares with the target"
    plotting.finish(figure, arguments.output, heading, note)


if __name__ == "__main__":
    run(main, parser())
