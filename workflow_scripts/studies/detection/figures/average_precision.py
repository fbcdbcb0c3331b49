"""Draw average precision of the detectors by the training of their source."""

from __future__ import annotations

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import say_if_empty
from ....advtransfer.plotting.figure import finish, legend_below, new_figure
from ....advtransfer.plotting.frames import Tables
from ....advtransfer.plotting.labels import model_note
from ....advtransfer.plotting.marks import training_looks
from .. import plotting
from ..columns import AP_COLUMNS
from ..plotting import Settings

ALT = "Average precision of the detectors by training of the source"
LABEL = "average precision"
TABLES = ("table",)
SETTINGS = ("baseline", "model", "trainings", "tasks", "areas")


def draw(tables: Tables, settings: Settings) -> Figure:
    table = plotting.read(tables["table"], AP_COLUMNS, settings)
    quantities = plotting.quantities(settings, table)
    looks = training_looks(table["source_training"], settings.trainings)
    figure, axes = new_figure(
        len(quantities), 1, height=1.0 + 1.5 * len(quantities), width=6.4, sharex=True
    )
    metrics = plotting.metrics_of(table)
    for panel, quantity in zip(axes[:, 0], quantities, strict=True):
        rows = plotting.measured(table, quantity)
        plotting.draw_bars(panel, rows, looks, metrics)
        panel.set_title(plotting.quantity_label(quantity), fontweight="bold")
        panel.set_ylabel("average precision")
        say_if_empty(panel, "not measured")
    legend_below(figure, plotting.bar_entries(looks))
    note = model_note(table)
    sizes = plotting.size_note(settings)
    return finish(
        figure,
        "Average precision of detectors, by the source's training",
        "; ".join(filter(None, [note, sizes])),
    )
