"""Draw the best epsilon over the resolution of the target, by every estimator."""

import argparse

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser
from .. import plotting as own


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--table", required=True, help="the study's transferred networks (CSV)")
    parser.add_argument("--best", required=True, help="best epsilons (CSV)")
    parser.add_argument("--measures", required=True, help="measures of its targets (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import numpy as np

    from ....advtransfer.recipes import from_json

    recipe = from_json(own.GranularityFigure, arguments.recipe)
    grid = own.accuracies(arguments.table, recipe)["source_epsilon"].unique()
    best = own.with_coordinates(own.read(arguments.best, own.BEST_COLUMNS, recipe), grid)
    sides = own.resolutions(own.measured(arguments.measures, recipe))
    looks = own.series_looks(recipe, best)
    estimators = sorted(own.ESTIMATOR_LABELS, key=lambda name: name != recipe.estimator)

    figure, axes = plotting.new_figure(1, len(estimators), height=3.0, sharey=True, sharex=True)
    found: set[int] = set()
    shifts = np.linspace(-0.08, 0.08, max(2, len(recipe.series)))
    for panel, estimator in zip(axes[0], estimators, strict=True):
        rows = plotting.those(best, estimator=estimator)
        for shift, (name, targets) in zip(shifts, recipe.series.items(), strict=False):
            line = plotting.those(rows, target=targets)
            line = line.assign(side=line["target"].map(sides)).dropna(subset=["side"])
            line = line.sort_values("side")
            if line.empty:
                continue
            found |= {int(side) for side in line["side"]}
            look = looks[name]
            where = line["side"] * 2.0**shift
            panel.plot(where, line["y"], look.line, color=look.colour, linewidth=1.2)
            panel.plot(where, line["y"], look.marker, color=look.colour, markersize=4.5)
            bounded = line["y_low"].notna()
            ends = line["y_low"][bounded], line["y_high"][bounded]
            panel.vlines(where[bounded], *ends, color=look.colour, linewidth=0.8)
        plotting.say_if_empty(panel, "no target at\nseveral resolutions")
        own.epsilon_axis(panel, grid, "y")
        title = own.ESTIMATOR_LABELS[estimator]
        panel.set_title(f"{title} (primary)" if estimator == recipe.estimator else title)
        panel.set_xlabel("pixels a side")
        if found:
            plotting.image_axis([panel], found)
    for panel in axes[0, 1:]:
        panel.tick_params(labelleft=False)
    axes[0, 0].set_ylabel("best ε of the source's training")
    entries = [look.entry(own.target_label(name)) for name, look in looks.items()]
    plotting.efficiency_legend(figure, entries)
    seeds = "bars: 95 % bootstrap intervals over source seeds"
    note = "; ".join(filter(None, (plotting.model_note(best), seeds)))
    plotting.finish(figure, arguments.output, "Which epsilon is best at which resolution", note)


if __name__ == "__main__":
    run(main, parser())
