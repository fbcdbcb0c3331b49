"""Draw what every training of a source costs and reaches, and transfer at equal cost."""

import argparse
import itertools
from typing import TYPE_CHECKING, Any

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COSTS = {"passes": "passes per image", "seconds": "seconds of training"}


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--sources", required=True, help="table of the study's sources (CSV)")
    parser.add_argument("--table", required=True, help="table of the study (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def draw(
    panel: "Axes",
    rows: "pd.DataFrame",
    column: str,
    looks: dict[str, plotting.Look],
    marker: str = "o",
    face: str | None = None,
    shift: float = 0.0,
) -> None:
    """Mean and range over seeds of every training, one below the other."""
    means = plotting.mean_and_range(rows, ["source_training"], column)
    for place, (training, look) in enumerate(looks.items()):
        row: Any
        for row in plotting.those(means, source_training=training).itertuples():
            style: dict[str, Any] = {"markersize": 5, "markerfacecolor": face or look.colour}
            ends = [row.low, row.high]
            panel.plot(ends, [place + shift] * 2, color=look.colour, linewidth=0.9)
            panel.plot(row.mean, place + shift, marker, color=look.colour, **style)


def draw_cost(
    panel: "Axes", rows: "pd.DataFrame", column: str, looks: dict[str, plotting.Look], robust: str
) -> None:
    """A cost on a log axis with its mean in figures; none at all is written at the left edge."""
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    spent = rows[rows[column] > 0]
    if spent.empty:
        return
    panel.set_xscale("log")
    panel.margins(x=0.2)
    draw(panel, spent, column, looks)
    means = rows.groupby("source_training")[column].mean().dropna()
    for place, training in enumerate(looks):
        mean = means.get(training)
        if mean:
            text, where = f"{mean:.3g}", (mean, place)
            panel.annotate(text, where, (5, 0), textcoords="offset points", va="center", size=7)
        elif mean == 0:
            panel.text(0.03, place, "0", transform=panel.get_yaxis_transform(), va="center", size=7)
    if means.get(robust):
        panel.axvline(means[robust], color=plotting.FAINT, linewidth=0.7, linestyle=":", zorder=0)
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.minorticks_off()


def main(arguments: argparse.Namespace) -> None:
    import numpy as np

    from ....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    sources = plotting.read_efficiency(arguments.sources, plotting.COST_COLUMNS, recipe)
    table = plotting.read_efficiency(arguments.table, plotting.TRANSFER_COLUMNS, recipe)
    targets = plotting.efficiency_targets(recipe, table)
    looks = plotting.training_looks(recipe, sources["source_training"])
    tests = sources[list(plotting.ATTACK_COLUMNS)].drop_duplicates()
    tests = tests.assign(order=tests["attack"] != "none").sort_values(["order", "norm", "epsilon"])

    size = (2, max(3, len(targets)))
    figure, axes = plotting.new_figure(
        *size,
        height=3.4 + 0.2 * len(looks),
        width=max(plotting.WIDTH, 2.4 * size[1]),
        height_ratios=[0.6 + 0.2 * len(looks), 1.9],
    )
    for panel in axes[0, 1:]:
        panel.sharey(axes[0, 0])
        panel.tick_params(labelleft=False)
    for panel in [*axes[0, 3:], *axes[1, len(targets) :]]:
        panel.set_visible(False)
    entries = []
    shifts = [0.0, *np.linspace(-0.2, 0.2, max(2, len(tests) - 1))]
    kinds = zip(tests.itertuples(), itertools.cycle("o^sDv"), shifts, strict=False)
    test: Any
    for test, marker, shift in kinds:
        label = plotting.attack_label(test.attack, test.norm, test.epsilon)
        chosen = {"attack": test.attack}
        if test.attack != "none":
            chosen |= {"norm": test.norm, "epsilon": test.epsilon}
        face = None if test.attack == "none" else "white"
        rows = plotting.those(sources, **chosen)
        draw(axes[0, 0], rows, "accuracy", looks, marker, face, shift)
        style = {"markerfacecolor": face or plotting.INK}
        entries.append(plotting.Look(plotting.INK, marker, "none").entry(label, **style))
    once = sources.drop_duplicates(["source_training", "source_seed"])
    for panel, (column, label) in zip(axes[0, 1:], COSTS.items(), strict=False):
        draw_cost(panel, once, column, looks, recipe.robust)
        panel.set_title(label)
    axes[0, 0].set_title("accuracy of the source")
    axes[0, 0].set_xlim(-0.03, 1.03)
    for panel in axes[0, :3]:
        panel.set_yticks(range(len(looks)), [plotting.training_label(name) for name in looks])
        panel.set_ylim(max(1, len(looks)) - 0.4, -0.6)
        panel.grid(axis="x", color="#dddddd", linewidth=0.6)
        plotting.say_if_empty(panel, "not known")

    # Below: the natural trainings, one of them as long as adversarial training takes.
    rows = plotting.of_grid(table, recipe, "images", blocks="fewest")
    compared = {
        name: look
        for name, look in plotting.training_looks(recipe, rows["source_training"]).items()
        if name == recipe.robust or name.startswith(recipe.baseline)
    }
    for panel, target in zip(axes[1], targets, strict=False):
        for training, look in compared.items():
            own = plotting.those(rows, target=target, source_training=training)
            plotting.draw_means(panel, own, look)
        plotting.say_if_empty(panel, "not measured")
        panel.set_title(plotting.target_title(target, []), fontweight="bold")
        panel.set_xlabel("images of the target")
    plotting.image_axis(axes[1, : len(targets)], rows["images"])
    axes[1, 0].set_ylabel("accuracy after transfer")
    entries += [look.entry(plotting.training_label(name)) for name, look in compared.items()]
    plotting.efficiency_legend(figure, entries)
    heading = "Cost and accuracy of the sources, and transfer at equal cost"
    plotting.finish(figure, arguments.output, heading, plotting.model_note(sources, table))


if __name__ == "__main__":
    run(main, parser())
