"""Draw transferability metrics against knowledge transfer, one mark per mixture of classes."""

from __future__ import annotations

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import row_label
from ....advtransfer.plotting.figure import finish, new_figure
from ....advtransfer.plotting.frames import Tables, read_table, select
from ....advtransfer.plotting.labels import metric_label, target_label
from ...kinds.pairs.columns import CORRELATION_COLUMNS, METRIC_COLUMNS
from ...kinds.pairs.marks import source_legend, source_marks
from ...kinds.pairs.plotting import (
    Settings,
    direction_label,
    settings_line,
    targets_of,
    transfer_label,
)
from ...kinds.pairs.scatter import correlation_title, draw_scatter, per_source

ALT = "Scatter of transferability against transfer accuracy, by mixture"
LABEL = "metrics against transfer accuracy"
TABLES = ("table", "correlations")
SETTINGS = ("reference", "attack", "norm", "epsilon", "direction", "transfer", "targets")


def draw(tables: Tables, settings: Settings) -> Figure:
    table = read_table(tables["table"], METRIC_COLUMNS)
    correlations = read_table(tables["correlations"], CORRELATION_COLUMNS)
    chosen = {
        "reference": settings.reference,
        **settings.attacked(),
        "direction": settings.direction,
    }
    table = select(table, study=settings.study, **chosen)
    marks = source_marks(table)
    robust = any(mark.robust for mark in marks.values())
    targets = targets_of(settings, table)

    size = (len(targets), len(settings.metrics))
    figure, axes = new_figure(*size, height=1.1 + 2.3 * len(targets), sharey="row")
    for row, target in enumerate(targets):
        for column, metric in enumerate(settings.metrics):
            panel = axes[row, column]
            rows = select(table, target=target, metric=metric)
            points = per_source(rows, settings.transfer)
            draw_scatter(panel, points, marks, settings.bootstrap)
            title = correlation_title(
                correlations,
                robust,
                study=settings.study,
                target=target,
                metric=metric,
                transfer=settings.transfer,
                **chosen,
            )
            panel.set_title(title, fontsize=6.6)
            panel.set_xlabel(metric_label(metric))
        axes[row, 0].set_ylabel(transfer_label(settings.transfer))
        row_label(axes[row, -1], f"target {target_label(target)}")
    source_legend(figure, marks.values(), columns=5)
    note = settings_line(settings, target=False)
    if settings.direction:
        note = f"{note}; {direction_label(settings.direction)}"
    return finish(figure, "Mixtures of animals and vehicles", note)
