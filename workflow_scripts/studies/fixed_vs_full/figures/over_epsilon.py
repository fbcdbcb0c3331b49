"""Draw accuracy after transfer, and its difference from natural sources, over the epsilon of the
sources' adversarial training."""

import argparse

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser
from .. import plotting as figures


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--summary", required=True, help="all-of table (CSV)")
    parser.add_argument("--best", required=True, help="best-of table (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    chosen = {"selection": "validation"}
    rows = plotting.those(figures.read(arguments.summary, "summary", recipe), **chosen)
    best = plotting.those(figures.read(arguments.best, "best", recipe), **chosen)
    targets, modes = figures.targets_of(recipe, rows), figures.modes_of(rows)
    looks, places = figures.models_of(rows), figures.strengths(rows)

    figure, panels = figures.target_panels(targets, 2 * len(modes), 1.35)
    for k, mode in enumerate(modes):
        reached, gained = panels[2 * k], panels[2 * k + 1]
        for target in targets:
            here = plotting.those(rows, target=target, mode=mode)
            for shift, (model, look) in figures.spread(looks):
                own = plotting.those(here, model=model)
                where = [places[name][0] + shift for name in own["training"]]
                ranges = [own["mean"] - own["lowest"], own["highest"] - own["mean"]]
                figures.draw(reached[target], where, own["mean"], ranges, look)
                kept = own[own["difference"].notna()]
                where = [places[name][0] + shift for name in kept["training"]]
                half = kept["difference"] - kept["difference_low"]
                figures.draw(gained[target], where, kept["difference"], [half, half], look)
                ring = plotting.those(best, target=target, mode=mode, model=model)
                for row in figures.records(own[own["training"].isin(ring["robust_training"])]):
                    reached[target].plot(
                        places[row.training][0] + shift,
                        row.mean,
                        **figures.RING,
                        color=look.colour,
                    )
            for panel in (reached[target], gained[target]):
                plotting.say_if_empty(panel, "not measured")
                figures.strength_axis(panel, places, labels=panel is gained[target] and k == 1)
            plotting.zero_line(gained[target])
        baseline = plotting.training_label(recipe.baseline)
        for panel in figures.at_left(reached):
            panel.set_ylabel(f"{figures.mode_label(mode)}\naccuracy")
        for panel in figures.at_left(gained):
            panel.set_ylabel(f"{figures.mode_label(mode)}\nminus {baseline}")
    if len(modes) == 1:
        for panel in panels[1].values():
            figures.strength_axis(panel, places, labels=True)
    entries = [look.entry(plotting.model_label(name)) for name, look in looks.items()]
    if len(best):
        entries.append(plotting.Look(plotting.INK, "o", "none").entry("best ε", **figures.RING))
    plotting.efficiency_legend(figure, entries)
    note = (
        "bars: of accuracies, lowest to highest network\nof differences, 95 % interval over seeds"
    )
    plotting.finish(figure, arguments.output, "Transfer over ε of adversarial training", note)


if __name__ == "__main__":
    run(main, parser())
