"""Draw which transfer is best for a target against how far the target is from the source."""

import argparse
from typing import TYPE_CHECKING, Any

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MEASURES = {"frechet": "Fréchet distance from the source", "mmd": "maximum mean discrepancy"}


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--table", required=True, help="table of the study (CSV)")
    parser.add_argument("--similarity", required=True, help="table of distances to targets (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def best(rows: "pd.DataFrame", column: str) -> "pd.DataFrame":
    """Per target and number of images the ``column`` with the highest mean accuracy.

    Only where there was a choice, and over the source seeds and subsets that all choices have.
    """
    import pandas as pd

    found = []
    for (target, images), cell in rows.groupby(["target", "images"], sort=False):
        runs = cell.pivot_table(
            index=["source_seed", "subset_seed"], columns=column, values="accuracy"
        ).dropna()
        if runs.shape[1] > 1 and len(runs):
            found.append({"target": target, "images": images, column: runs.mean().idxmax()})
    return pd.DataFrame(found, columns=["target", "images", column])


def draw(
    panel: "Axes",
    distances: "pd.DataFrame",
    winners: "pd.DataFrame",
    column: str,
    order: list[str],
    colours: dict[int, str],
) -> None:
    """A column of marks for every target, numbers of images side by side within a category."""
    import numpy as np

    offsets = np.linspace(-0.3, 0.3, max(2, len(colours)))
    place: Any
    for place in distances.itertuples():
        own = plotting.those(winners, target=place.target)
        if own.empty:
            continue
        panel.axvspan(place.low, place.high, color=plotting.FAINT, alpha=0.2, lw=0, zorder=0)
        panel.axvline(place.mean, color=plotting.FAINT, linewidth=0.5, zorder=0)
        for k, (size, colour) in enumerate(colours.items()):
            for name in plotting.those(own, images=size)[column]:
                height = order.index(name) + offsets[k]
                panel.plot(place.mean, height, "o", color=colour, markersize=3.5)


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    table = plotting.read_efficiency(arguments.table, plotting.TRANSFER_COLUMNS, recipe)
    similarity = plotting.read_efficiency(arguments.similarity, plotting.SIMILARITY_COLUMNS, recipe)
    targets = plotting.efficiency_targets(recipe, table, similarity)
    similarity = plotting.those(similarity, source_training=recipe.baseline, target=targets)
    blocks = plotting.those(plotting.with_heads(table, recipe), source_training=recipe.robust)
    trainings = plotting.of_grid(table, recipe, "images", blocks="fewest")
    names = list(plotting.training_looks(recipe, trainings["source_training"]))
    trainings = plotting.those(trainings, source_training=names)
    # column of the table, its values in order, their labels, the best ones
    choices = [
        ("blocks", list(plotting.block_looks(blocks["blocks"])), plotting.blocks_label),
        ("source_training", names, plotting.training_label),
    ]
    winners = [best(blocks, "blocks"), best(trainings, "source_training")]
    colours = plotting.size_colours({size for found in winners for size in found["images"]})

    heights = [max(1.6, 0.36 * len(order) + 0.5) for _, order, _ in choices]
    figure, axes = plotting.new_figure(
        2, len(MEASURES), height=sum(heights) + 1.8, height_ratios=heights, sharex="col"
    )
    for column, (measure, label) in zip(axes.T, MEASURES.items(), strict=True):
        rows = plotting.those(similarity, measure=measure)
        distances = plotting.mean_and_range(rows, ["target"], "value")
        for panel, (choice, order, _), found in zip(column, choices, winners, strict=True):
            draw(panel, distances, found, choice, order, colours)
            plotting.say_if_empty(panel, "no distances" if rows.empty else "no choice measured")
        column[-1].set_xlabel(label)
        top = column[0].secondary_xaxis("top")
        labels = [plotting.target_label(target) for target in distances["target"]]
        top.set_xticks(distances["mean"].tolist(), labels, rotation=35, ha="left")
        top.tick_params(length=2, pad=1)
        top.spines["top"].set_visible(False)
    for row, (_, order, name_of) in zip(axes, choices, strict=True):
        for k, panel in enumerate(row):
            panel.set_yticks(range(len(order)), [name_of(x) for x in order] if k == 0 else [])
            panel.set_ylim(-0.5, max(1, len(order)) - 0.5)
            for edge in range(1, len(order)):
                panel.axhline(edge - 0.5, color="#dddddd", linewidth=0.6, zorder=0)
    axes[0, 0].set_ylabel(f"best number of blocks\n({plotting.training_label(recipe.robust)})")
    axes[1, 0].set_ylabel("best training of the source")
    entries = [
        plotting.Look(colour, "o", "none").entry(f"{size:g} images")
        for size, colour in colours.items()
    ]
    plotting.efficiency_legend(figure, entries)
    count = similarity["target"].nunique()
    heading = "What is best for a target, by its distance from the source"
    note = f"{count} target{'s' * (count != 1)}"
    note += ": too few for a correlation, none is drawn" if count < 5 else ""
    plotting.finish(figure, arguments.output, heading, note)


if __name__ == "__main__":
    run(main, parser())
