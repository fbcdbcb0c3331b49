"""Draw what choosing the learning rate and epsilon on test images would have added."""

import argparse

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser
from .. import plotting as figures

MARKS = {
    "learning_rate": plotting.Look(plotting.PALETTE[2], "o"),
    "epsilon": plotting.Look(plotting.PALETTE[3], "D"),
    "learning_rate_and_epsilon": plotting.Look(plotting.PALETTE[6], "s"),
}


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--selection", required=True, help="choices on test images (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    table = figures.read(arguments.selection, "selection", recipe)
    targets, modes = figures.targets_of(recipe, table), figures.modes_of(table)

    figure, axes = plotting.new_figure(
        1, len(modes), 1.5 + 0.42 * len(targets), width=plotting.WIDTH, sharey=True, sharex=True
    )
    for panel, mode in zip(axes[0], modes, strict=True):
        for k, (chosen, look) in enumerate(MARKS.items()):
            rows = plotting.those(table, mode=mode, chosen=chosen)
            if rows.empty:
                continue
            where = [targets.index(t) + 0.2 * (k - 1) for t in rows["target"]]
            style = {"marker": look.marker, "color": look.colour, "linestyle": "none"}
            panel.plot(100 * rows["difference"], where, markersize=4.5, **style)
        plotting.say_if_empty(panel, "nothing was chosen")
        panel.axvline(0, color=plotting.FAINT, linewidth=0.7, zorder=0)
        panel.set_title(figures.mode_label(mode), fontweight="bold")
        panel.set_xlabel("chosen on test − on validation\n(percentage points of accuracy)")
    axes[0, 0].set_yticks(range(len(targets)), map(figures.target_label, targets))
    axes[0, 0].set_ylim(len(targets) - 0.5, -0.5)
    plotting.efficiency_legend(
        figure,
        [
            look.entry(f"{figures.CHOICE_LABELS[name]}", linestyle="none")
            for name, look in MARKS.items()
        ],
    )
    heading = "What choosing on test images would have added"
    plotting.finish(figure, arguments.output, heading, "accuracy on the same test images, means")


if __name__ == "__main__":
    run(main, parser())
