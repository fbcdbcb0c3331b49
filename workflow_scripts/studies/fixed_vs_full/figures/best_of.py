"""Draw the best robust source beside the natural one, by target, architecture and mode."""

import argparse
from typing import Any

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser
from .. import plotting as figures

SHIFT = 0.17


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--best", required=True, help="best-of table (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from matplotlib.patches import Patch

    from ....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    table = figures.read(arguments.best, "best", recipe)
    rows = plotting.those(table, selection="validation")
    tested = plotting.those(table, selection="test")
    targets, modes = figures.targets_of(recipe, rows), figures.modes_of(rows)
    models = list(figures.models_of(rows))
    natural, robust = plotting.PALETTE[0], plotting.PALETTE[1]

    figure, panels = figures.target_panels(targets, len(modes), 1.75)
    for row, mode in zip(panels, modes, strict=True):
        for target, panel in row.items():
            highest = 0.0
            for k, model in enumerate(models):
                for own in figures.records(
                    plotting.those(rows, target=target, mode=mode, model=model)
                ):
                    for side, colour, shift in (
                        ("baseline", natural, -SHIFT),
                        ("robust", robust, SHIFT),
                    ):
                        mean, low, high = (
                            float(getattr(own, f"{side}_{name}"))
                            for name in ("mean", "lowest", "highest")
                        )
                        panel.bar(k + shift, mean, 2 * SHIFT, color=colour, alpha=0.85)
                        bars = {**figures.BARS, "color": plotting.INK, "linestyle": "none"}
                        panel.errorbar(k + shift, mean, [[mean - low], [high - mean]], **bars)
                        highest = max(highest, high)
                    label = figures.strength_label(own.norm, own.epsilon)
                    panel.annotate(
                        label,
                        (k + SHIFT, 0),
                        xytext=(0, 3),
                        textcoords="offset points",
                        ha="center",
                        va="bottom",
                        rotation=90,
                        color="white",
                        fontsize=6.5,
                    )
                for own in figures.records(
                    plotting.those(tested, target=target, mode=mode, model=model)
                ):
                    for mean, shift in ((own.baseline_mean, -SHIFT), (own.robust_mean, SHIFT)):
                        panel.plot(k + shift, mean, **figures.TESTED)
            plotting.say_if_empty(panel, "not compared")
            slant: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
            labels = [plotting.model_label(model) for model in models]
            panel.set_xticks(range(len(models)), labels, **(slant if len(models) > 2 else {}))
            panel.set_xlim(-0.6, len(models) - 0.4)
            panel.set_ylim(0, highest * 1.05 or 1)
        for panel in figures.at_left(row):
            panel.set_ylabel(f"{figures.mode_label(mode)}\naccuracy")
    entries = [
        Patch(color=natural, alpha=0.85, label=plotting.training_label(recipe.baseline)),
        Patch(color=robust, alpha=0.85, label="robust, best ε (on validation)"),
        plotting.Look(plotting.INK, "x", "none").entry("chosen on test", **figures.TESTED),
    ]
    plotting.efficiency_legend(figure, entries)
    note = "bars: mean; lines: lowest to highest network"
    plotting.finish(figure, arguments.output, "The best robust source and the natural one", note)


if __name__ == "__main__":
    run(main, parser())
