"""Draw fixed-feature against full-network accuracy, one mark per source."""

import argparse

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser
from .. import plotting as figures
from ..columns import ALL


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--summary", required=True, help="all-of table (CSV)")
    parser.add_argument("--correlations", required=True, help="of both modes' accuracies (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    chosen = {"selection": "validation"}
    rows = plotting.those(figures.read(arguments.summary, "summary", recipe), **chosen)
    correlations = plotting.those(
        figures.read(arguments.correlations, "correlations", recipe),
        sources=ALL,
    )
    targets, models = figures.targets_of(recipe, rows), figures.models_of(rows)
    places = figures.strengths(rows)
    looks = plotting.training_looks(recipe, rows["training"])

    figure, (panels,) = figures.target_panels(targets, 1, 2.1)
    for target, panel in panels.items():
        for model, mark in models.items():
            for training, look in looks.items():
                own = plotting.those(rows, target=target, model=model, training=training)
                x, y = (plotting.those(own, mode=mode) for mode in figures.MODES)
                if x.empty or y.empty:
                    continue
                x_mean, x_low, x_high = x[["mean", "lowest", "highest"]].iloc[0]
                y_mean, y_low, y_high = y[["mean", "lowest", "highest"]].iloc[0]
                panel.errorbar(
                    x_mean,
                    y_mean,
                    xerr=[[x_mean - x_low], [x_high - x_mean]],
                    yerr=[[y_mean - y_low], [y_high - y_mean]],
                    color=look.colour,
                    marker=mark.marker,
                    markersize=5,
                    elinewidth=0.7,
                )
        lines = [figures.target_label(target)]
        for _, row in plotting.those(correlations, target=target).iterrows():
            name = plotting.STATISTIC_LABELS[row["statistic"]].split()[-1]
            lines.append(f"{name} = {plotting.interval(row)}, n = {row['n_sources']:.0f}")
        panel.set_title(lines[0], fontweight="bold", pad=4 + 10 * (len(lines) - 1))
        panel.annotate(
            "\n".join(lines[1:]),
            (0.5, 1.02),
            xycoords="axes fraction",
            ha="center",
            va="bottom",
            fontsize=6.8,
        )
        plotting.say_if_empty(panel, "not measured\nin both modes")
        panel.margins(0.1)
        panel.set_xlabel("fixed-feature accuracy")
    for panel in figures.at_left(panels):
        panel.set_ylabel("full-network accuracy")
    entries = [
        look.entry(places[name][1], marker="o", linestyle="none") for name, look in looks.items()
    ]
    if len(models) > 1:
        entries += [
            plotting.Look(plotting.INK, look.marker, "none").entry(plotting.model_label(name))
            for name, look in models.items()
        ]
    plotting.efficiency_legend(figure, entries)
    note = "one mark a source (mean over seeds)\nbars: lowest to highest network"
    plotting.finish(figure, arguments.output, "Fixed-feature and full-network transfer", note)


if __name__ == "__main__":
    run(main, parser())
