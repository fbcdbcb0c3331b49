"""Draw accuracy on the target over the number of its images, and robust minus natural."""

from __future__ import annotations

from dataclasses import replace

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import image_axis, say_if_empty, share_rows, zero_line
from ....advtransfer.plotting.draw import certainty_entries, draw_differences, draw_means
from ....advtransfer.plotting.figure import finish, legend_below, panels_by_target
from ....advtransfer.plotting.frames import Tables, rows_where, targets_shown
from ....advtransfer.plotting.labels import model_note, training_label
from ....advtransfer.plotting.marks import Look, training_look, training_looks
from ....advtransfer.plotting.style import INK
from .. import plotting
from ..columns import TRANSFER_COLUMNS
from ..plotting import Settings

ALT = "Accuracy over the number of target images, and robust minus natural"
LABEL = "accuracy over images of the target"
TABLES = ("table", "differences")
SETTINGS = ("baseline", "robust", "model", "grids", "trainings", "targets")

# What is drawn of the grid: role, which number of blocks, style of the line, shift of the bars.
PARTS = (("images", "fewest", "-", -0.07), ("blocks", "most", "--", 0.07))


def draw(tables: Tables, settings: Settings) -> Figure:
    table = plotting.read(tables["table"], TRANSFER_COLUMNS, settings)
    differences = plotting.read_differences(tables["differences"], settings)
    compared = rows_where(plotting.robust_minus_baseline(differences, settings), last=1)
    looks = training_looks(table["source_training"], settings.trainings)
    pair = {name: looks[name] for name in (settings.baseline, settings.robust) if name in looks}
    scratch = rows_where(
        plotting.of_grid(table, settings, "scratch"), source_training=plotting.UNTRAINED
    )
    from_scratch = replace(training_look(plotting.UNTRAINED, settings.trainings), line=":")
    targets = targets_shown(settings.targets, table)

    figure, axes = panels_by_target(targets, settings.targets, 2, sharex=True)
    share_rows(axes[1:])
    lines, shown, sizes = [], [], set(scratch["images"])
    for role, number, line, shift in PARTS:
        rows = plotting.of_grid(table, settings, role, blocks=number)
        paired = plotting.of_grid(compared, settings, role, blocks=number)
        if rows.empty:
            continue
        label = " or ".join(map(plotting.blocks_label, sorted(rows["blocks"].unique())))
        lines.append(Look(INK, "", line).entry(label))
        shown.append(paired)
        sizes |= set(rows["images"])
        for (top, bottom), target in zip(axes.T, targets, strict=True):
            for name, look in pair.items():
                own = rows_where(rows, target=target, source_training=name)
                draw_means(top, own, replace(look, line=line))
            look = replace(training_look(settings.robust, settings.trainings), line=line)
            draw_differences(bottom, rows_where(paired, target=target), look, shift)
    for (top, bottom), target in zip(axes.T, targets, strict=True):
        draw_means(top, rows_where(scratch, target=target), from_scratch)
        say_if_empty(top, "not measured")
        say_if_empty(bottom, "no differences")
        zero_line(bottom)
        bottom.set_xlabel("images of the target")
    image_axis(axes.flat, sizes)
    names = training_label(settings.robust), training_label(settings.baseline)
    axes[0, 0].set_ylabel("accuracy on the target")
    axes[1, 0].set_ylabel(f"{names[0]} − {names[1]}")
    entries = [look.entry(training_label(name)) for name, look in pair.items()]
    if len(scratch):
        entries.append(from_scratch.entry("from scratch"))
    entries += [*lines, *certainty_entries(shown)]
    legend_below(figure, entries)
    note = model_note(table)
    return finish(figure, "Transfer with fewer images", note)
