"""Draw average precision of detectors on each source minus that on the baseline's."""

import argparse

from ....advtransfer import plotting
from ....advtransfer.cli import run, step_parser
from .. import plotting as detection


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__ or "")
    parser.add_argument("--differences", required=True, help="table of paired differences (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from ....advtransfer.recipes import from_json

    recipe = from_json(detection.DetectionFigureRecipe, arguments.recipe)
    differences = detection.read(arguments.differences, detection.DIFFERENCE_COLUMNS, recipe)
    quantities = detection.quantities(recipe, differences)
    looks = plotting.training_looks(recipe, differences["training"])
    figure, axes = plotting.new_figure(
        1, len(quantities), height=3.4, width=plotting.WIDTH, sharey=True, sharex=True
    )
    metrics = detection.metrics_of(differences)
    for panel, quantity in zip(axes[0], quantities, strict=True):
        rows = detection.measured(differences, quantity)
        for k, (training, look) in enumerate(looks.items()):
            own = plotting.those(rows, training=training).dropna(subset=["value"])
            if own.empty:
                continue
            shift = 0.22 * (k - (len(looks) - 1) / 2)
            where = own["metric"].map(metrics.index) + shift
            kinds = plotting.certainty(own)
            bounded = own["ci_low"].notna()
            panel.hlines(
                where[bounded],
                own["ci_low"][bounded],
                own["ci_high"][bounded],
                color=look.colour,
                linewidth=0.9,
            )
            for kind, face in plotting.CERTAINTIES.items():
                chosen = kinds == kind
                mark = {"marker": look.marker, "markeredgewidth": 0.9, "color": look.colour, **face}
                panel.plot(own["value"][chosen], where[chosen], linestyle="none", zorder=3, **mark)
        panel.axvline(0, color=plotting.FAINT, linewidth=0.7, zorder=0)
        panel.set_title(detection.quantity_label(quantity).replace(", ", "\n"), fontweight="bold")
        panel.set_xlabel(f"AP − {plotting.training_label(recipe.baseline)}")
        plotting.say_if_empty(panel, "no differences")
    labels = [detection.METRIC_LABELS[name] for name in metrics]
    axes[0, 0].set_yticks(range(len(metrics)), labels)
    axes[0, 0].set_ylim(len(metrics) - 0.5, -0.5)
    entries = [
        look.entry(plotting.training_label(name), linestyle="none") for name, look in looks.items()
    ]
    entries += plotting.certainty_entries([differences])
    plotting.efficiency_legend(figure, entries)
    plotting.finish(
        figure,
        arguments.output,
        "What another training of the source changes in average precision",
        "; ".join(filter(None, [plotting.model_note(differences), detection.size_note(recipe)])),
    )


if __name__ == "__main__":
    run(main, parser())
