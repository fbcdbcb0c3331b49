"""Draw accuracy with moving minus frozen batch norm statistics in the frozen part."""

from __future__ import annotations

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import image_axis, row_label, say_if_empty, zero_line
from ....advtransfer.plotting.draw import certainty_entries, draw_differences
from ....advtransfer.plotting.figure import finish, legend_below, panels_by_target
from ....advtransfer.plotting.frames import Tables, rows_where, targets_shown
from ....advtransfer.plotting.labels import model_note, training_label
from ....advtransfer.plotting.marks import training_looks
from .. import plotting
from ..plotting import Settings

ALT = "Moving minus frozen batch norm statistics"
LABEL = "moving batch norm statistics"
TABLES = ("differences",)
SETTINGS = ("model", "grids", "trainings", "targets")


def draw(tables: Tables, settings: Settings) -> Figure:
    differences = plotting.read_differences(tables["differences"], settings)
    targets = targets_shown(settings.targets, differences)
    rows = rows_where(
        plotting.of_grid(differences, settings, "statistics"),
        comparison="statistics",
        quantity="accuracy",
        last=1,
    )
    looks = training_looks(rows["training"], settings.trainings)
    numbers = list(plotting.block_looks(rows["blocks"])) or [""]

    figure, axes = panels_by_target(targets, settings.targets, len(numbers), height=2, sharey=True)
    for row, blocks in zip(axes, numbers, strict=True):
        for panel, target in zip(row, targets, strict=True):
            for k, (training, look) in enumerate(looks.items()):
                own = rows_where(rows, target=target, blocks=blocks, training=training)
                shift = 0.14 * (k - (len(looks) - 1) / 2)
                draw_differences(panel, own, look, shift)
            say_if_empty(panel, "not measured")
            zero_line(panel)
        row[0].set_ylabel("moving − frozen statistics\n(accuracy)")
        if blocks:
            row_label(row[-1], plotting.blocks_label(blocks))
    for panel in axes[-1]:
        panel.set_xlabel("images of the target")
    image_axis(axes.flat, rows["images"])
    entries = [look.entry(training_label(name)) for name, look in looks.items()]
    entries += certainty_entries([rows])
    legend_below(figure, entries)
    heading = "Batch norm statistics of the frozen part"
    note = model_note(differences)
    return finish(figure, heading, note)
