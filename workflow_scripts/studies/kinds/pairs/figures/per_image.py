"""Draw, image by image, alpha_1 against the loss of the transferred source."""

import argparse
from typing import TYPE_CHECKING

from .....advtransfer import plotting
from .....advtransfer.cli import run, step_parser
from .....advtransfer.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLUMNS = (
    *plotting.SOURCE_COLUMNS,
    "target",
    "reference",
    "direction",
    "image",
    "alpha_1",
    "transfer_loss",
)
PANELS_PER_ROW = (3, 4)  # whichever leaves fewer places empty
BINS = 6  # of equally many images
SHOWN = 0.99  # of the images: a few extreme ratios would squeeze all the others


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--per-image", required=True, help="per-image table of the study (CSV)")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def draw(
    panel: "Axes", images: "pd.DataFrame", extent: tuple[float, float, float, float], colour: str
) -> None:
    """Counts of images in grey, medians of the loss over bins of alpha_1 in the source's colour."""
    import pandas as pd

    panel.hexbin(
        images["alpha_1"],
        images["transfer_loss"],
        gridsize=(22, 14),
        extent=extent,
        bins="log",
        mincnt=1,
        cmap="Greys",
        vmin=0.5,
        linewidths=0,
        alpha=0.7,
    )
    bins = pd.qcut(images["alpha_1"], BINS, duplicates="drop")
    middles = images.groupby(bins, observed=True)
    first, median, third = (middles["transfer_loss"].quantile(q) for q in (0.25, 0.5, 0.75))
    panel.errorbar(
        middles["alpha_1"].median(),
        median,
        yerr=[median - first, third - median],
        color=colour,
        marker="o",
        markersize=4,
        markeredgecolor="white",
        markeredgewidth=0.6,
        linewidth=1.2,
        elinewidth=0.8,
    )


def main(arguments: argparse.Namespace) -> None:
    from .....advtransfer.recipes import from_json

    recipe = from_json(plotting.FigureRecipe, arguments.recipe)
    table = plotting.read_table(arguments.per_image, COLUMNS)
    table = plotting.select(
        table,
        study=recipe.study,
        target=recipe.target,
        reference=recipe.reference,
        direction=recipe.direction,
    ).dropna(subset=["alpha_1", "transfer_loss"])
    if table.empty:
        path = arguments.per_image
        raise UserError(f"{path}: column 'alpha_1' or 'transfer_loss' is empty.")
    marks = plotting.source_marks(table)

    columns = min(
        len(marks), min(PANELS_PER_ROW, key=lambda number: (-len(marks) % number, -number))
    )
    rows = -(-len(marks) // columns)
    figure, axes = plotting.new_figure(
        rows, columns, height=1.1 + 1.75 * rows, sharex=True, sharey=True
    )
    right, top = (float(table[name].quantile(SHOWN)) for name in ("alpha_1", "transfer_loss"))
    for panel, (source, mark) in zip(axes.flat, marks.items(), strict=False):
        images = table[table["source"] == source]
        draw(panel, images, (0.0, right, 0.0, top), plotting.PALETTE[0])
        rho = images["alpha_1"].corr(images["transfer_loss"], method="spearman")
        size = f"ρ = {plotting.number(rho)}, n = {len(images)}"
        panel.set_title(f"{mark.label}\n{size}", fontsize=7.5)
        panel.set_xlim(0, right)
        panel.set_ylim(0, top)
        panel.locator_params(axis="x", nbins=4)
    for place, panel in enumerate(axes.flat):
        panel.set_visible(place < len(marks))
        # The lowest panel of a column has the tick labels, also where the last row is not full.
        panel.tick_params(labelbottom=place + columns >= len(marks))
    figure.supxlabel(f"{plotting.metric_label('alpha_1_mean')} of the image", fontsize=8)
    figure.supylabel("loss of the transferred source", fontsize=8)
    note = plotting.settings_line(recipe)
    if recipe.direction:
        note = f"{note}; {plotting.direction_label(recipe.direction)}"
    plotting.finish(figure, arguments.output, "Image by image", note)


if __name__ == "__main__":
    run(main, parser())
