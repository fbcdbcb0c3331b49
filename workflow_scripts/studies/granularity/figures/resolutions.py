"""Draw accuracy over epsilon at every resolution of a target, and the published figure apart."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import say_if_empty
from ....advtransfer.plotting.draw import draw_means
from ....advtransfer.plotting.figure import finish, new_figure
from ....advtransfer.plotting.frames import Tables, rows_where
from ....advtransfer.plotting.labels import NORM_LABELS, model_note
from ....advtransfer.plotting.marks import Look, size_colours
from ....advtransfer.plotting.style import FAINT, WIDTH
from .. import plotting, published
from ..best_epsilon import coordinate
from ..plotting import Settings

ALT = "Accuracy over epsilon at every resolution, and the published figure"
LABEL = "accuracy over epsilon, by resolution"
TABLES = ("table", "measures")
SETTINGS = ("model", "series", "scores")


def draw(tables: Tables, settings: Settings) -> Figure:
    table = plotting.accuracies(tables["table"], settings)
    sides = plotting.resolutions(plotting.measured(tables["measures"], settings))
    grid = sorted(table["source_epsilon"].unique())
    table = table.assign(x=coordinate(table["source_epsilon"].to_numpy(float), grid))
    series = settings.series or {name: [name] for name in table["target"].unique()}
    colours = size_colours(
        {sides[name] for names in series.values() for name in names if name in sides}
    )

    columns = len(series)
    figure, axes = new_figure(
        2, columns, height=6.2, width=max(WIDTH, 2.1 * columns), height_ratios=[1, 1.25]
    )
    for panel, (name, targets) in zip(axes[0], series.items(), strict=True):
        for target in targets:
            rows = rows_where(table, target=target)
            if target in sides:
                look = Look(colours[sides[target]], "o")
                draw_means(panel, rows, look, x="x")
        say_if_empty(panel, "not measured")
        plotting.epsilon_axis(panel, grid)
        panel.tick_params(axis="x", rotation=60)
        panel.set_title(plotting.target_label(name), fontweight="bold")
        panel.set_xlabel(f"ε of the source's training, {norm_of(table)}")
    axes[0, 0].set_ylabel("accuracy, fixed features")
    entries = [Look(colour, "o").entry(f"{size} pixels") for size, colour in colours.items()]
    axes[0, -1].legend(
        handles=entries[::-1],
        loc="upper left",
        bbox_to_anchor=(1, 1),
        title="ours, reduced to",
        title_fontsize=7.5,
    )

    # Below, apart: what the paper's figure shows.
    for panel in axes[1]:
        panel.remove()
    panel = figure.add_subplot(axes[0, 0].get_gridspec()[1, :])
    printed = sorted(published.TARGETS, key=lambda one: one.natural)
    for k, one in enumerate(printed):
        panel.plot([one.natural, one.robust], [k, k], color=FAINT, linewidth=1, zorder=1)
        panel.annotate(
            f"{one.best_full:g}",
            (1.02, k),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=7.5,
        )
    marks: tuple[tuple[str, str, str, list[float]], ...] = (
        ("ε = 0", "o", "#0072B2", [one.natural for one in printed]),
        (f"ε = {published.EPSILON:g}", "s", "#D55E00", [one.robust for one in printed]),
    )
    heights = list(range(len(printed)))
    for label, marker, colour, where in marks:
        panel.plot(where, heights, marker, color=colour, label=label, markersize=5)
    panel.set_yticks(heights, [one.name for one in printed])
    panel.set_ylim(-0.7, len(printed) - 0.3)
    panel.set_xlim(0, 1)
    panel.set_xlabel("accuracy, fixed features")
    panel.grid(axis="x", color="#dddddd", linewidth=0.6)
    panel.legend(loc="lower right", title="ℓ₂", title_fontsize=7.5)
    panel.annotate(
        f"best ε at\n{published.FULL} pixels",
        (1.02, 1.0),
        xycoords="axes fraction",
        va="bottom",
        fontsize=7.5,
    )
    panel.set_title(
        "Published, read off figure 7 (±0.01): ResNet-50, ImageNet;\n"
        f"all targets reduced from {published.FULL} to {published.REDUCED} pixels",
        fontweight="bold",
    )
    heading = "Accuracy over epsilon, by how far the target's images are reduced"
    return finish(figure, heading, model_note(table))


def norm_of(table: pd.DataFrame) -> str:
    """The norm of the robust sources."""
    norms = [name for name in table["source_norm"].unique() if name]
    return NORM_LABELS.get(norms[0], norms[0]) if norms else ""
