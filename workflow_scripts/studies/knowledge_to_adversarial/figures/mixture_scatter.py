"""Draw transferability metrics against knowledge transfer, one mark per mixture of classes."""

from __future__ import annotations

from matplotlib.figure import Figure

from ....advtransfer.plotting.figure import finish, new_figure
from ....advtransfer.plotting.frames import Tables, read_table, select
from ....advtransfer.plotting.labels import target_label
from ...kinds.pairs.columns import CORRELATION_COLUMNS, METRIC_COLUMNS
from ...kinds.pairs.marks import source_legend, source_marks
from ...kinds.pairs.plotting import (
    Settings,
    direction_label,
    settings_line,
    targets_of,
)
from ...kinds.pairs.scatter import scatter_of_metrics

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
    targets = targets_of(settings, table)

    size = (len(targets), len(settings.metrics))
    figure, axes = new_figure(*size, height=1.1 + 2.3 * len(targets), sharey="row")
    rows = [(f"target {target_label(target)}", {"target": target}) for target in targets]
    scatter_of_metrics(axes, (table, correlations), settings, rows, chosen, marks)
    source_legend(figure, marks.values(), columns=5)
    note = settings_line(settings, target=False)
    if settings.direction:
        note = f"{note}; {direction_label(settings.direction)}"
    return finish(figure, "Mixtures of animals and vehicles", note)
