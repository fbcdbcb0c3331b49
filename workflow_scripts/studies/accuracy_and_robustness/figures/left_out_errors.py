"""Draw how well accuracy and robustness of a source predict transfer to left-out architectures."""

import argparse
from typing import Any

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser
from .. import plotting as figures

GAIN = ("gain", "gain_low", "gain_high")


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--predictors", required=True, help="table of left-out errors (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    rows = figures.read(arguments.predictors, figures.PREDICTOR_COLUMNS, recipe)
    targets = plotting.efficiency_targets(recipe, rows)
    modes = figures.modes(rows)
    there = set(rows["predictor"])
    predictors = [name for name in figures.PREDICTOR_LABELS if name in there]

    figure, axes = figures.panels(recipe, targets, 2, 1.5, sharey=True, sharex="row")
    for column, target in zip(axes.T, targets, strict=True):
        for k, mode in enumerate(modes):
            shift = 0.22 * (k - (len(modes) - 1) / 2)
            look = figures.MODE_LOOKS[mode]
            row: Any
            for row in plotting.those(rows, target=target, mode=mode).itertuples():
                place = predictors.index(row.predictor) + shift
                nan = float("nan")
                error = (row.absolute_error, nan, nan)
                gain = figures.triple(row, GAIN)
                face = "white" if gain[1] <= 0 <= gain[2] else None
                figures.draw_interval(column[0], place, error, look, sideways=True)
                figures.draw_interval(column[1], place, gain, look, face=face, sideways=True)
        for panel, text in zip(column, ("not measured", "no differences"), strict=True):
            plotting.say_if_empty(panel, text)
            panel.grid(axis="x", color="#dddddd", linewidth=0.6)
        column[0].set_xlabel("mean absolute error, left out")
        column[1].set_xlabel("gain over accuracy alone")
        column[1].axvline(0, color=plotting.FAINT, linewidth=0.7, zorder=0)
        if figures.BASELINE in predictors:
            place = predictors.index(figures.BASELINE)
            column[1].text(0, place, " baseline", size=7, color=plotting.FAINT, va="center")
    axes[0, 0].set_xlim(left=0)
    for panel in axes[:, 0]:
        names = [figures.predictor_label(name) for name in predictors]
        panel.set_yticks(range(len(predictors)), names)
        panel.set_ylim(max(1, len(predictors)) - 0.4, -0.6)
    entries = figures.mode_entries(modes)
    mark = plotting.Look(plotting.INK, "o", "none")
    entries.append(mark.entry("interval includes 0", markerfacecolor="white"))
    plotting.efficiency_legend(figure, entries)
    counts = rows["n_models"].max() if len(rows) else 0
    note = (
        f"{counts:.0f} architectures, each left out with all its epsilons; 95 % intervals over them"
    )
    heading = "What predicts transfer accuracy of an architecture that was left out"
    plotting.finish(figure, arguments.output, heading, note)


if __name__ == "__main__":
    run(main, parser())
