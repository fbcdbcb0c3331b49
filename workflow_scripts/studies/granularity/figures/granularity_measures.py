"""Draw the best epsilon of every target against every measure of its granularity."""

import argparse
from typing import Any

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser
from .. import plotting as own

COLUMNS = 3


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--table", required=True, help="the study's transferred networks (CSV)")
    parser.add_argument("--best", required=True, help="best epsilons (CSV)")
    parser.add_argument("--measures", required=True, help="measures of its targets (CSV)")
    parser.add_argument("--prediction", required=True, help="what predicts them (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

    from ....advtransfer.metrics.granularity import LOGARITHMIC
    from ....advtransfer.recipes import from_json

    recipe = from_json(own.GranularityFigure, arguments.recipe)
    grid = own.accuracies(arguments.table, recipe)["source_epsilon"].unique()
    best = own.with_coordinates(own.read(arguments.best, own.BEST_COLUMNS, recipe), grid)
    best = plotting.select(best, estimator=recipe.estimator)
    measures = own.measured(arguments.measures, recipe)
    prediction = own.read(arguments.prediction, own.PREDICTION_COLUMNS, recipe)
    prediction = plotting.select(prediction, estimator=recipe.estimator)
    looks = own.dataset_looks(best["dataset"])

    shown = list(dict.fromkeys(zip(measures["measure"], measures["basis"], strict=True)))
    rows = -(-len(shown) // COLUMNS)
    figure, axes = plotting.new_figure(rows, COLUMNS, height=1.0 + 2.15 * rows, sharey=True)
    for panel in axes.flat[len(shown) :]:
        panel.set_visible(False)
    for panel, (measure, basis) in zip(axes.flat, shown, strict=False):
        points = plotting.those(measures, measure=measure, basis=basis)
        points = points.drop(columns="dataset").merge(best, on="target")
        point: Any
        for point in points.itertuples():
            look = looks[point.dataset]
            panel.vlines(point.value, point.y_low, point.y_high, color=look.colour, linewidth=0.6)
            panel.plot(point.value, point.y, look.marker, color=look.colour, markersize=4)
        if measure in LOGARITHMIC:
            panel.set_xscale("log", base=2)
            panel.xaxis.set_major_formatter(ScalarFormatter())
            panel.xaxis.set_minor_formatter(NullFormatter())
            spread = points["value"].max() / points["value"].min()
            if spread < 4:  # too few powers of two
                panel.set_xscale("log", base=10)
                ends = float(points["value"].min()), float(points["value"].max())
                ticks = [float(tick) for tick in MaxNLocator(4).tick_values(*ends) if tick > 0]
                panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
                panel.minorticks_off()
                panel.set_xlim(ends[0] / 1.08, ends[1] * 1.08)
            else:
                panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        own.epsilon_axis(panel, grid, "y")
        panel.set_xlabel(own.measure_label(measure, basis))
        of = {"measure": measure, "basis": basis, "group": ""}
        lines = [
            f"{name}: {own.interval_text(own.statistic(prediction, statistic=kind, **of))}"
            for name, kind in (("ρ", "spearman"), ("within datasets", "spearman_within"))
        ]
        primary = (measure, basis) == (recipe.measure, recipe.basis)
        title = "\n".join(lines)
        panel.set_title(f"primary; {title}" if primary else title, fontsize=7)
    for row in axes:
        row[0].set_ylabel("best ε")
    entries = [look.entry(own.target_label(name), linestyle="none") for name, look in looks.items()]
    plotting.efficiency_legend(figure, entries)
    note = (
        f"{len(best)} targets of {len(looks)} datasets; {plotting.model_note(best)}; Spearman's ρ"
    )
    heading = "Measures of granularity and the best epsilon"
    plotting.finish(figure, arguments.output, heading, note)


if __name__ == "__main__":
    run(main, parser())
