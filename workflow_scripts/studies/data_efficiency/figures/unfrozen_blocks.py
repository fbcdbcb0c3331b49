"""Draw accuracy on the target by the number of unfrozen blocks, and the gain over a head alone."""

from __future__ import annotations

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import image_axis, row_label, say_if_empty, share_rows, zero_line
from ....advtransfer.plotting.draw import certainty_entries, draw_differences, draw_means
from ....advtransfer.plotting.figure import finish, legend_below, panels_by_target
from ....advtransfer.plotting.frames import Tables, rows_where, targets_shown
from ....advtransfer.plotting.labels import model_note, training_label
from .. import plotting
from ..columns import TRANSFER_COLUMNS
from ..plotting import Settings

ALT = "Accuracy by number of unfrozen blocks"
LABEL = "how many blocks to unfreeze"
TABLES = ("table", "differences")
SETTINGS = ("baseline", "robust", "model", "grids", "trainings", "targets")


def draw(tables: Tables, settings: Settings) -> Figure:
    table = plotting.read(tables["table"], TRANSFER_COLUMNS, settings)
    differences = plotting.read_differences(tables["differences"], settings)
    targets = targets_shown(settings.targets, table)
    rows = plotting.with_heads(table, settings)
    compared = rows_where(
        plotting.of_grid(differences, settings, "blocks"),
        comparison="blocks",
        baseline_blocks="0",
        quantity="accuracy",
        last=1,
    )
    looks = plotting.block_looks(rows["blocks"])
    trainings = [settings.robust, settings.baseline]

    figure, axes = panels_by_target(
        targets, settings.targets, 2 * len(trainings), height=1.5, sharex=True
    )
    share_rows(axes)
    for column, target in zip(axes.T, targets, strict=True):
        for training, top, bottom in zip(trainings, column[:2], column[2:], strict=True):
            own = rows_where(rows, target=target, source_training=training)
            paired = rows_where(compared, target=target, training=training)
            for k, (blocks, look) in enumerate(looks.items()):
                shift = 0.16 * (k - len(looks) / 2)
                draw_means(top, rows_where(own, blocks=blocks), look)
                gain = rows_where(paired, blocks=blocks)
                draw_differences(bottom, gain, look, shift)
            say_if_empty(top, "not measured")
            say_if_empty(bottom, "no differences")
            zero_line(bottom)
        column[-1].set_xlabel("images of the target")
    image_axis(axes.flat, rows["images"])
    for row, what in zip(axes, ["accuracy"] * 2 + ["minus head only"] * 2, strict=True):
        row[0].set_ylabel(what)
    for row, training in zip(axes, trainings * 2, strict=True):
        row_label(row[-1], training_label(training))
    entries = [look.entry(plotting.blocks_label(blocks)) for blocks, look in looks.items()]
    shown = rows_where(compared, training=trainings)
    entries += certainty_entries([shown])
    legend_below(figure, entries)
    heading = "How many blocks to train on the target"
    return finish(figure, heading, model_note(table))
