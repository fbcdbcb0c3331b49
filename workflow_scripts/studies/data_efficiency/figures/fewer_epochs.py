"""Draw accuracy on the target after every epoch, and robust minus natural."""

from __future__ import annotations

from dataclasses import replace

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import epoch_axis, row_label, say_if_empty, share_rows, zero_line
from ....advtransfer.plotting.draw import draw_means
from ....advtransfer.plotting.figure import finish, legend_below, panels_by_target
from ....advtransfer.plotting.frames import Tables, rows_where, targets_shown
from ....advtransfer.plotting.labels import model_note, training_label
from ....advtransfer.plotting.marks import Look, size_colours, training_looks
from .. import plotting
from ..columns import CURVE_COLUMNS
from ..plotting import Settings

ALT = "Accuracy over epochs, and robust minus natural"
LABEL = "accuracy over epochs"
TABLES = ("curves", "differences")
SETTINGS = ("baseline", "robust", "model", "grids", "trainings", "targets")


def draw(tables: Tables, settings: Settings) -> Figure:
    table = plotting.read(tables["curves"], CURVE_COLUMNS, settings)
    differences = plotting.read_differences(tables["differences"], settings)
    targets = targets_shown(settings.targets, table)
    rows = plotting.of_grid(table, settings, "epochs", blocks="fewest")
    compared = plotting.of_grid(differences, settings, "epochs", blocks="fewest")
    compared = plotting.robust_minus_baseline(compared, settings).dropna(subset=["value"])
    looks = training_looks(rows["source_training"], settings.trainings)
    pair = {name: looks[name] for name in (settings.baseline, settings.robust) if name in looks}
    if rows["epoch"].nunique() > 12:  # marks would hide the lines
        pair = {name: replace(look, marker="") for name, look in pair.items()}
    marker = "" if compared["epoch"].nunique() > 12 else "o"
    colours = size_colours({*rows["images"], *compared["images"]})
    sizes = list(colours)

    figure, axes = panels_by_target(
        targets, settings.targets, len(sizes) + 1, height=1.35, sharex=True
    )
    share_rows(axes)
    for column, target in zip(axes.T, targets, strict=True):
        for panel, size in zip(column, sizes, strict=False):
            for name, look in pair.items():
                own = rows_where(rows, target=target, images=size, source_training=name)
                draw_means(panel, own, look, "epoch", "test_accuracy")
            say_if_empty(panel, "not measured")
        for size, colour in colours.items():
            own = rows_where(compared, target=target, images=size).sort_values("epoch")
            bounded = own.dropna(subset=["ci_low", "ci_high"])
            band = bounded["epoch"], bounded["ci_low"], bounded["ci_high"]
            if len(bounded):
                column[-1].fill_between(*band, color=colour, alpha=0.2, lw=0)
            if len(own):
                style = {"color": colour, "marker": marker, "markersize": 2.5}
                column[-1].plot(own["epoch"], own["value"], linewidth=1.2, **style)
        say_if_empty(column[-1], "no differences")
        zero_line(column[-1])
        column[-1].set_xlabel("epoch")
        epoch_axis(column[-1], {*rows["epoch"], *compared["epoch"]})
    for row, size in zip(axes, sizes, strict=False):
        row[0].set_ylabel("accuracy")
        row_label(row[-1], f"{size:g} images")
    names = training_label(settings.robust), training_label(settings.baseline)
    axes[-1, 0].set_ylabel(f"{names[0]}\n− {names[1]}")
    entries = [look.entry(training_label(name)) for name, look in pair.items()]
    entries += [
        Look(colour, marker).entry(f"difference, {size:g} images", markersize=2.5)
        for size, colour in colours.items()
    ]
    legend_below(figure, entries)
    blocks = rows["blocks"].iloc[0] if len(rows) else ""
    notes = [model_note(table), f"trained: {plotting.blocks_label(blocks)}" * bool(blocks)]
    note = "; ".join(filter(None, notes))
    return finish(figure, "Transfer with fewer epochs", note)
