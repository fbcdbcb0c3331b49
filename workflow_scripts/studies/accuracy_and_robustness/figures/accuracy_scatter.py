"""Draw transfer accuracy against the source's own accuracy, one mark per epsilon."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ....advtransfer.plotting.figure import finish, legend_below, panels_by_target
from ....advtransfer.plotting.frames import Tables, rows_where, targets_shown
from ....advtransfer.plotting.labels import model_label
from ....advtransfer.statistics.regression import regression_band
from .. import plotting
from ..columns import POINT_COLUMNS
from ..plotting import Settings

ALT = "Transfer accuracy against source accuracy, one mark per epsilon"
LABEL = "transfer against source accuracy"
TABLES = ("points",)
SETTINGS = ("baseline", "trainings", "targets")


def draw(tables: Tables, settings: Settings) -> Figure:
    points = plotting.read(tables["points"], POINT_COLUMNS, settings)
    points = points.dropna(subset=["source_accuracy", "accuracy"])
    targets = targets_shown(settings.targets, points)
    modes = plotting.modes(points)
    levels = plotting.levels(points)
    looks, labels = plotting.level_looks(levels), plotting.level_labels(levels)
    letters = plotting.model_letters(points["source_model"])

    figure, axes = panels_by_target(targets, settings.targets, len(modes), 2.0, sharex=True)
    for row, mode in zip(axes, modes, strict=True):
        for panel, target in zip(row, targets, strict=True):
            for training, look in looks.items():
                own = rows_where(points, target=target, mode=mode, source_training=training)
                if own.empty:
                    continue
                x, y = own["source_accuracy"].to_numpy(), own["accuracy"].to_numpy()
                ends = np.array([x.min(), x.max()])
                line = regression_band(x, y, ends, bootstrap=0).line
                panel.plot(ends, line, color=look.colour, linewidth=1, alpha=0.6, zorder=1)
                panel.vlines(
                    x, own["accuracy_min"], own["accuracy_max"], color=look.colour, linewidth=0.7
                )
                style: dict[str, Any] = {"markersize": 4.5, "linestyle": "none", "zorder": 3}
                panel.plot(x, y, marker=look.marker, color=look.colour, **style)
                for model, *place in zip(own["source_model"], x, y, strict=True):
                    panel.annotate(
                        letters[model],
                        place,
                        (3.2, 1.6),
                        textcoords="offset points",
                        size=6,
                        color=look.colour,
                    )
            panel.margins(0.09)
        row[0].set_ylabel(f"accuracy,\n{plotting.mode_label(mode)}")
    plotting.label_columns(axes, "accuracy of the source")
    legend_below(figure, [look.entry(labels[name]) for name, look in looks.items()])
    names = [f"{letter} {model_label(model)}" for model, letter in letters.items()]
    note = ", ".join(names)
    heading = "Transfer accuracy against source accuracy at every epsilon"
    return finish(figure, heading, note)
