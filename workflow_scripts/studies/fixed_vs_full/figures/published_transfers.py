"""Draw the published best robust minus standard accuracies and best epsilons, beside ours."""

import argparse

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser
from .. import plotting as figures
from ..columns import ALL

HEIGHT = 0.19  # inches a line


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--summary", required=True, help="all-of table (CSV)")
    parser.add_argument("--best", required=True, help="best-of table (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json
    from .. import published

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    table = figures.read(arguments.best, "best", recipe)
    rows = plotting.those(table, selection="validation")
    targets, models = figures.targets_of(recipe, rows), figures.models_of(rows)
    over_all = ALL if ALL in set(rows["model"]) else next(iter(models), "")
    modes = list(figures.MODES)
    printed = list(published.TABLE_1)

    lines = max(len(printed), 4 + len(targets))
    figure, axes = plotting.new_figure(
        2, 2, 1.7 + 2 * HEIGHT * lines, width=plotting.WIDTH, sharey=False
    )
    for target, gains in published.gains().items():
        for mode, gain, shift in zip(modes, gains, (-0.15, 0.15), strict=True):
            look = figures.MODE_LOOKS[mode]
            style = {"marker": look.marker, "color": look.colour, "markersize": 4.5}
            axes[0, 0].plot(100 * gain, printed.index(target) + shift, linestyle="none", **style)
    for mode, shift in zip(modes, (-0.15, 0.15), strict=True):
        look = figures.MODE_LOOKS[mode]
        own = plotting.those(rows, mode=mode, model=over_all)
        own = own[own["difference"].notna()]
        where = [targets.index(target) + shift for target in own["target"]]
        half = 100 * (own["difference"] - own["difference_low"]).fillna(0)
        style = {"marker": look.marker, "color": look.colour, "markersize": 4.5}
        axes[0, 1].errorbar(
            100 * own["difference"], where, xerr=half, linestyle="none", **style, **figures.BARS
        )
    epsilons = sorted({run.epsilon for run in published.BEST_RUNS})
    names = list(dict.fromkeys(run.model for run in published.BEST_RUNS))
    for best in published.BEST_RUNS:
        k = modes.index(best.mode)
        look = figures.MODE_LOOKS[best.mode]
        aside = 0.13 * (names.index(best.model) - (len(names) - 1) / 2)
        axes[1, 0].plot(
            epsilons.index(best.epsilon) + aside,
            printed.index(best.target) + (-0.18, 0.18)[k],
            linestyle="none",
            marker=look.marker,
            color=look.colour,
            markersize=3,
        )
    own = plotting.those(rows, model=list(models)).rename(columns={"robust_training": "training"})
    tried = plotting.those(figures.read(arguments.summary, "summary", recipe), robust=1)
    places = figures.strengths(tried)
    for shift, (model, _) in figures.spread(models):
        for k, mode in enumerate(modes):
            look = figures.MODE_LOOKS[mode]
            for row in figures.records(plotting.those(own, model=model, mode=mode)):
                axes[1, 1].plot(
                    places[row.training][0] + shift,
                    targets.index(row.target) + (-0.18, 0.18)[k],
                    linestyle="none",
                    marker=look.marker,
                    color=look.colour,
                    markersize=4,
                )
    axes[1, 0].set_xticks(range(len(epsilons)), [f"{epsilon:g}" for epsilon in epsilons])
    axes[1, 0].set_xlabel("best ε in ℓ₂, single runs of four architectures (0: natural)")
    axes[1, 1].set_xlabel("best ε of robust sources, chosen on validation")
    figures.strength_axis(axes[1, 1], places, labels=True)
    for panel in axes[0]:
        panel.axvline(0, color=plotting.FAINT, linewidth=0.7, zorder=0)
        panel.set_xlabel("best robust − natural, percentage points")
    for panel, names_of in ((axes[0, 0], printed), (axes[1, 0], printed), *(
        (panel, targets) for panel in axes[:, 1]
    )):  # fmt: skip
        plotting.say_if_empty(panel, "not compared")
        panel.set_yticks(range(len(names_of)), map(figures.target_label, names_of))
        panel.set_ylim(len(names_of) - 0.5, -0.5)
        panel.grid(axis="y", color="#eeeeee", linewidth=0.6)
    for panel, heading in zip(axes[0], ("Published", "Ours"), strict=True):
        panel.set_title(heading, fontweight="bold")
    plotting.efficiency_legend(
        figure,
        [look.entry(figures.mode_label(mode), linestyle="none")
         for mode, look in figures.MODE_LOOKS.items()],
    )  # fmt: skip
    note = (
        "published: ImageNet sources, 224 pixels, chosen on test images; ours: see the page, 95 % "
        "intervals\ncompare signs and shapes, not values"
    )
    plotting.finish(figure, arguments.output, "Salman et al. (2020) and this study", note)


if __name__ == "__main__":
    run(main, parser())
