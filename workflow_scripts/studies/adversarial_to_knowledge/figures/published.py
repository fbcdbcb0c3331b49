"""Draw the published image experiment beside this study."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from ....advtransfer.plotting.figure import finish, new_figure
from ....advtransfer.plotting.frames import Tables, read_table, select
from ....advtransfer.plotting.labels import metric_label, number, target_label
from ...kinds.pairs import published
from ...kinds.pairs.columns import CORRELATION_COLUMNS, METRIC_COLUMNS
from ...kinds.pairs.marks import published_marks, source_legend, source_marks
from ...kinds.pairs.plotting import Settings, settings_line, transfer_label
from ...kinds.pairs.scatter import correlation_title, draw_scatter, per_source

ALT = "Published points beside this study's"
LABEL = "published and ours"
TABLES = ("table", "correlations")
SETTINGS = ("target", "reference", "attack", "norm", "epsilon")

# The published columns alpha_2 and alpha_1 * alpha_2 are squared norms, so ours are too.
METRICS = {
    "alpha_1_mean": "alpha_1",
    "alpha_2_squared": "alpha_2_squared",
    "combined_squared": "combined_squared",
}
TRANSFER = "last_layer_accuracy"
DIRECTION = "reference_to_source"
PUBLISHED_SETTINGS = "CIFAR-10 → STL-10, FGSM ℓ∞, ε = 0.1"


def draw(tables: Tables, settings: Settings) -> Figure:
    table = read_table(tables["table"], METRIC_COLUMNS)
    correlations = read_table(tables["correlations"], CORRELATION_COLUMNS)
    chosen = {
        "study": settings.study,
        "target": settings.target,
        "reference": settings.reference,
        **settings.attacked(),
        "direction": DIRECTION,
    }
    table = select(table, **chosen, robust=0)
    ours = source_marks(table)
    theirs = published_marks(table, [row.model for row in published.ARCHITECTURES])

    figure, axes = new_figure(len(METRICS), 2, height=7.6, width=6.0, sharey=True)
    for (left, right), (metric, attribute) in zip(axes, METRICS.items(), strict=True):
        printed = pd.DataFrame(
            {
                "source": row.model,
                "robust": 0,
                **dict.fromkeys(("x", "x_low", "x_high"), getattr(row, attribute)),
                **dict.fromkeys(("y", "y_low", "y_high"), getattr(row, TRANSFER)),
            }
            for row in published.ARCHITECTURES
        )
        measured = per_source(select(table, metric=metric), TRANSFER)
        # Lines without bands: five points published without seeds bear none.
        draw_scatter(left, printed, theirs, bootstrap=0)
        draw_scatter(right, measured, ours, bootstrap=0)
        pearson = published.ARCHITECTURE_CORRELATIONS[attribute]["pearson"]
        left.set_title(f"r = {number(pearson)}, n = {len(printed)}", fontsize=7.5)
        title = correlation_title(correlations, False, **chosen, metric=metric, transfer=TRANSFER)
        right.set_title(title, fontsize=7.5)
        for panel in (left, right):
            panel.set_xlabel(metric_label(metric))
            panel.set_ylim(0, 1)
        left.set_ylabel(transfer_label(TRANSFER))
    strength = settings_line(settings, target=False)
    target = target_label(settings.target or "")
    for panel, heading in (
        (axes[0, 0], f"Published\n{PUBLISHED_SETTINGS}"),
        (axes[0, 1], f"Ours: target {target}\n{strength}"),
    ):
        panel.set_title(f"{heading}\n\n{panel.get_title()}", fontsize=7.5)
    marks = {mark.label: mark for mark in [*theirs.values(), *ours.values()]}
    source_legend(figure, marks.values())
    note = "data, models and attacks differ: compare shapes, not values; reference → source"
    return finish(figure, "Liang et al. (2021) and this study", note)
