"""Draw transferability metrics against knowledge transfer, one mark per source model."""

from __future__ import annotations

from matplotlib.figure import Figure

from ....advtransfer.plotting.figure import finish, new_figure
from ....advtransfer.plotting.frames import Tables, read_table, select
from ...kinds.pairs.columns import CORRELATION_COLUMNS, METRIC_COLUMNS
from ...kinds.pairs.marks import source_legend, source_marks
from ...kinds.pairs.plotting import (
    DIRECTIONS,
    Settings,
    direction_label,
    settings_line,
)
from ...kinds.pairs.scatter import scatter_of_metrics

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

    size = (len(DIRECTIONS), len(settings.metrics))
    figure, axes = new_figure(*size, height=5.7, sharey=True)
    rows = [(direction_label(direction), {"direction": direction}) for direction in DIRECTIONS]
    scatter_of_metrics(axes, (table, correlations), settings, rows, chosen, marks)
    source_legend(figure, marks.values())
    heading = "Adversarial transferability and knowledge transferability"
    return finish(figure, heading, settings_line(settings))
