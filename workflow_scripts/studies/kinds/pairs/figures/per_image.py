"""Draw alpha_1 of every image against the loss of the transferred source."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .....advtransfer.errors import UserError
from .....advtransfer.plotting.figure import finish, new_figure
from .....advtransfer.plotting.frames import Tables, read_table, select
from .....advtransfer.plotting.labels import metric_label, number
from .....advtransfer.plotting.style import PALETTE
from ..columns import PER_IMAGE_COLUMNS
from ..marks import source_marks
from ..plotting import Settings, direction_label, settings_line

ALT = "Per-image alpha_1 against the loss of the transferred source"
LABEL = "per image"
TABLES = ("per_image",)
SETTINGS = ("target", "reference", "direction", "attack", "norm", "epsilon")

PANELS_PER_ROW = (3, 4)  # the one that leaves fewer places empty
BINS = 6  # of equally many images
SHOWN = 0.99  # of the images; a few extreme ratios would squeeze the rest


def draw_panel(
    panel: Axes, images: pd.DataFrame, extent: tuple[float, float, float, float], colour: str
) -> None:
    """Draw counts of images in grey and the median loss in bins of alpha_1 in ``colour``."""
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


def draw(tables: Tables, settings: Settings) -> Figure:
    table = read_table(tables["per_image"], PER_IMAGE_COLUMNS)
    table = select(
        table,
        study=settings.study,
        target=settings.target,
        reference=settings.reference,
        direction=settings.direction,
    ).dropna(subset=["alpha_1", "transfer_loss"])
    if table.empty:
        path = tables["per_image"]
        raise UserError(f"{path}: column 'alpha_1' or 'transfer_loss' is empty.")
    marks = source_marks(table)

    columns = min(
        len(marks), min(PANELS_PER_ROW, key=lambda across: (-len(marks) % across, -across))
    )
    rows = -(-len(marks) // columns)
    figure, axes = new_figure(rows, columns, height=1.1 + 1.75 * rows, sharex=True, sharey=True)
    right, top = (float(table[name].quantile(SHOWN)) for name in ("alpha_1", "transfer_loss"))
    for panel, (source, mark) in zip(axes.flat, marks.items(), strict=False):
        images = table[table["source"] == source]
        draw_panel(panel, images, (0.0, right, 0.0, top), PALETTE[0])
        rho = images["alpha_1"].corr(images["transfer_loss"], method="spearman")
        size = f"ρ = {number(rho)}, n = {len(images)}"
        panel.set_title(f"{mark.label}\n{size}", fontsize=7.5)
        panel.set_xlim(0, right)
        panel.set_ylim(0, top)
        panel.locator_params(axis="x", nbins=4)
    for place, panel in enumerate(axes.flat):
        panel.set_visible(place < len(marks))
        # The lowest panel of each column has tick labels, even where the last row is not full.
        panel.tick_params(labelbottom=place + columns >= len(marks))
    figure.supxlabel(f"{metric_label('alpha_1_mean')} of the image", fontsize=8)
    figure.supylabel("loss of the transferred source", fontsize=8)
    note = settings_line(settings)
    if settings.direction:
        note = f"{note}; {direction_label(settings.direction)}"
    return finish(figure, "Image by image", note)
