"""Draw how well every measure of granularity predicts the best epsilon, the best one on top."""

import argparse
import math

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser
from .. import plotting as own

CORRELATIONS = (
    ("spearman", "over all targets"),
    ("spearman_within", "within datasets"),
    ("spearman_given_resolution", "given resolution"),
)


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--prediction", required=True, help="what predicts best epsilons (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json

    recipe = from_json(own.GranularityFigure, arguments.recipe)
    prediction = own.read(arguments.prediction, own.PREDICTION_COLUMNS, recipe)
    prediction = plotting.those(prediction, estimator=recipe.estimator, group="")
    order = own.ranking(prediction)

    figure, axes = plotting.new_figure(
        1, len(CORRELATIONS) + 1, height=1.6 + 0.3 * len(order), width=8.2, sharey=True
    )
    primary = (recipe.measure, recipe.basis)
    for panel, (statistic, title) in zip(axes[0], CORRELATIONS, strict=False):
        for k, (measure, basis) in enumerate(order):
            row = own.statistic(prediction, statistic=statistic, measure=measure, basis=basis)
            if row is None or math.isnan(row["value"]):
                continue
            colour = plotting.PALETTE[1] if (measure, basis) == primary else plotting.INK
            if not math.isnan(row["ci_low"]):
                panel.hlines(k, row["ci_low"], row["ci_high"], color=colour, linewidth=1)
            panel.plot(row["value"], k, "o", color=colour, markersize=4.5)
        plotting.say_if_empty(panel, "no correlation")
        panel.axvline(0, color=plotting.FAINT, linewidth=0.7, zorder=0)
        panel.set_xlim(-1.05, 1.05)
        panel.set_title(title)
        panel.set_xlabel("Spearman's ρ")
    panel = axes[0, -1]
    for k, (measure, basis) in enumerate(order):
        of = {"measure": measure, "basis": basis}
        error, mean = (
            own.statistic(prediction, statistic=kind, **of)
            for kind in ("left_out_error", "left_out_baseline")
        )
        if error is None or mean is None or math.isnan(error["value"]):
            continue
        colour = plotting.PALETTE[1] if (measure, basis) == primary else plotting.INK
        panel.plot(mean["value"], k, "|", color=plotting.FAINT, markersize=9, markeredgewidth=1.4)
        panel.plot(error["value"], k, "o", color=colour, markersize=4.5)
    plotting.say_if_empty(panel, "one dataset:\nnone to leave out")
    panel.set_title("a dataset left out")
    panel.set_xlabel("mean error, doublings")
    panel.margins(x=0.1)
    panel.set_xlim(left=0)
    axes[0, 0].set_yticks(range(len(order)), [own.measure_label(*what) for what in order])
    axes[0, 0].set_ylim(len(order) - 0.4, -0.6)
    for panel in axes[0]:
        panel.grid(axis="y", color="#dddddd", linewidth=0.5)
    entries = [
        plotting.Look(plotting.PALETTE[1], "o", "none").entry("primary measure"),
        plotting.Look(plotting.INK, "o", "none").entry("exploratory"),
        plotting.Look(plotting.FAINT, "|", "none").entry("the other datasets' mean"),
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=3)
    note = own.dependence_text(prediction)
    plotting.finish(figure, arguments.output, "What predicts the best epsilon", note)


if __name__ == "__main__":
    run(main, parser())
