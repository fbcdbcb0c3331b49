"""Draw clean and robust accuracy of every source of a study, grouped by training."""

import argparse
import itertools

from .....advtransfer import plotting
from .....advtransfer.cli import run, step_parser

COLUMNS = (*plotting.SOURCE_COLUMNS, *plotting.ATTACK_COLUMNS, "source_seed", "accuracy")


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--sources", required=True, help="table of the study's sources (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import numpy as np
    import seaborn as sns
    from matplotlib.lines import Line2D

    from .....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    table = plotting.select(plotting.read_table(arguments.sources, COLUMNS), study=recipe.study)
    marks = plotting.source_marks(table)
    means = plotting.mean_and_range(
        table, ["source", "source_training", *plotting.ATTACK_COLUMNS], "accuracy"
    )
    tests = means[list(plotting.ATTACK_COLUMNS)].drop_duplicates()
    clean = tests["attack"] == "none"
    tests = tests.assign(order=~clean).sort_values(["order", "attack", "norm", "epsilon"])
    colours = [plotting.INK, *sns.color_palette("colorblind", len(tests))]
    styles = [
        {"linestyle": "none", "color": colour, "marker": marker, "markersize": 5.5}
        for colour, marker in zip(colours, itertools.cycle(plotting.MARKERS), strict=False)
    ]
    # Attacked accuracies often fall together: a little apart, all of them can be seen.
    shifts = [0.0, *np.linspace(-0.2, 0.2, max(2, len(tests) - 1))]

    trainings = list(dict.fromkeys(mark.training for mark in marks.values()))
    sizes = [sum(mark.training == name for mark in marks.values()) for name in trainings]
    figure, axes = plotting.new_figure(
        len(trainings),
        1,
        height=1.5 + 0.26 * sum(sizes) + 0.3 * len(sizes),
        width=6.0,
        sharex=True,
        height_ratios=[size + 0.6 for size in sizes],
    )
    for panel, training in zip(axes[:, 0], trainings, strict=True):
        names = [name for name, mark in marks.items() if mark.training == training]
        for index, test in enumerate(tests.itertuples()):
            same = (means["attack"] == test.attack) & (means["source"].isin(names))
            if test.attack != "none":
                same &= (means["norm"] == test.norm) & (means["epsilon"] == test.epsilon)
            rows = means[same]
            panel.errorbar(
                rows["mean"],
                [names.index(source) + shifts[index] for source in rows["source"]],
                xerr=[rows["mean"] - rows["low"], rows["high"] - rows["mean"]],
                elinewidth=0.8,
                **styles[index],
            )
        labels = [marks[name].label.split(", robust")[0] for name in names]
        panel.set_yticks(range(len(names)), labels)
        panel.set_ylim(len(names) - 0.4, -0.6)
        panel.set_xlim(-0.02, 1.0)
        panel.grid(axis="x", color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.set_title(f"{plotting.training_label(training)} training", loc="left", pad=3)
    axes[-1, 0].set_xlabel("accuracy on test images of the source's own classes")
    handles = [
        Line2D([], [], label=plotting.attack_label(*test), **style)
        for test, style in zip(tests[list(plotting.ATTACK_COLUMNS)].values, styles, strict=False)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    plotting.finish(figure, arguments.output, "Accuracy of the sources, clean and attacked")


if __name__ == "__main__":
    run(main, parser())
