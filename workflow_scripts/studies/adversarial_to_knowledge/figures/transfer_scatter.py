"""Draw transferability metrics against knowledge transfer, one mark per source model."""

from __future__ import annotations

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import row_label
from ....advtransfer.plotting.figure import finish, new_figure
from ....advtransfer.plotting.frames import Tables, read_table, select
from ....advtransfer.plotting.labels import metric_label
from ...kinds.pairs.columns import CORRELATION_COLUMNS, METRIC_COLUMNS
from ...kinds.pairs.marks import source_legend, source_marks
from ...kinds.pairs.plotting import (
    DIRECTIONS,
    Settings,
    direction_label,
    settings_line,
    transfer_label,
)
from ...kinds.pairs.scatter import correlation_title, draw_scatter, per_source

ALT = "Scatter of transferability metrics against transfer accuracy"
LABEL = "metrics against transfer accuracy"
TABLES = ("table", "correlations")
SETTINGS = ("target", "reference", "attack", "norm", "epsilon", "transfer")


def draw(tables: Tables, settings: Settings) -> Figure:
    table = read_table(tables["table"], METRIC_COLUMNS)
    correlations = read_table(tables["correlations"], CORRELATION_COLUMNS)
    chosen = {"target": settings.target, "reference": settings.reference, **settings.attacked()}
    table = select(table, study=settings.study, **chosen)
    marks = source_marks(table)
    robust = any(mark.robust for mark in marks.values())

    size = (len(DIRECTIONS), len(settings.metrics))
    figure, axes = new_figure(*size, height=5.7, sharey=True)
    for row, direction in enumerate(DIRECTIONS):
        for column, metric in enumerate(settings.metrics):
            panel = axes[row, column]
            rows = select(table, direction=direction, metric=metric)
            points = per_source(rows, settings.transfer)
            draw_scatter(panel, points, marks, settings.bootstrap)
            title = correlation_title(
                correlations,
                robust,
                study=settings.study,
                metric=metric,
                direction=direction,
                transfer=settings.transfer,
                **chosen,
            )
            panel.set_title(title, fontsize=6.6)
            panel.set_xlabel(metric_label(metric))
        axes[row, 0].set_ylabel(transfer_label(settings.transfer))
        row_label(axes[row, -1], direction_label(direction))
    source_legend(figure, marks.values())
    heading = "Adversarial transferability and knowledge transferability"
    return finish(figure, heading, settings_line(settings))
