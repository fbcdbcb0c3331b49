"""Draw robust accuracy of transferred networks on the target, by the training of their source."""

from __future__ import annotations

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import image_axis, row_label, say_if_empty
from ....advtransfer.plotting.draw import draw_means
from ....advtransfer.plotting.figure import finish, legend_below, panels_by_target
from ....advtransfer.plotting.frames import Tables, mean_and_range, rows_where, targets_shown
from ....advtransfer.plotting.labels import attack_label, model_note, training_label
from ....advtransfer.plotting.marks import Look, training_looks
from ....advtransfer.plotting.style import FAINT
from ...columns import ATTACK_COLUMNS
from .. import plotting
from ..columns import ROBUSTNESS_COLUMNS
from ..plotting import Settings

ALT = "Robust accuracy of the transferred networks"
LABEL = "robustness of the transferred networks"
TABLES = ("robustness",)
SETTINGS = ("model", "grids", "trainings", "targets")


def draw(tables: Tables, settings: Settings) -> Figure:
    table = plotting.read(tables["robustness"], ROBUSTNESS_COLUMNS, settings)
    targets = targets_shown(settings.targets, table)
    rows = plotting.of_grid(table, settings, "robustness")
    looks = training_looks(rows["source_training"], settings.trainings)
    clean = rows_where(rows, attack="none")
    attacked = rows[rows["attack"] != "none"]
    place = ["blocks", *ATTACK_COLUMNS]
    kinds = attacked[place].drop_duplicates().sort_values(place)
    several = kinds["blocks"].nunique() > 1

    figure, axes = panels_by_target(
        targets, settings.targets, max(1, len(kinds)), sharex=True, sharey=True
    )
    for row, (blocks, attack, norm, epsilon) in zip(axes, kinds.to_numpy(), strict=False):
        own = rows_where(attacked, blocks=blocks, attack=attack, norm=norm, epsilon=epsilon)
        for panel, target in zip(row, targets, strict=True):
            for training, look in looks.items():
                chosen = {"target": target, "source_training": training}
                plain = rows_where(clean, blocks=blocks, **chosen)
                plain = mean_and_range(plain, ["images"], "accuracy")
                plain = plain.sort_values("images")
                if len(plain):
                    line = panel.plot(plain["images"], plain["mean"], color=look.colour)[0]
                    line.set(linewidth=0.7, alpha=0.45)
                draw_means(panel, rows_where(own, **chosen), look)
        label = attack_label(attack, norm, epsilon).replace(", ", "\n")
        row_label(row[-1], f"{label}\n{plotting.blocks_label(blocks)}" if several else label)
        row[0].set_ylim(-0.02, 1.02)
    for row in axes:
        row[0].set_ylabel("robust accuracy")
        for panel in row:
            say_if_empty(panel, "no attacks on\ntransferred networks")
    for panel in axes[-1]:
        panel.set_xlabel("images of the target")
    image_axis(axes.flat, rows["images"])
    entries = [look.entry(training_label(name)) for name, look in looks.items()]
    if len(clean):
        faint = Look(FAINT, "")
        entries.append(faint.entry("thin: clean images", linewidth=0.7))
    legend_below(figure, entries)
    counts = attacked["n_images"].dropna().unique()
    notes = [model_note(table)]
    if not several and len(kinds):
        notes.append(plotting.blocks_label(kinds["blocks"].iloc[0]))
    notes += [f"{count:g} attacked images" for count in counts[:1] if len(counts) == 1]
    heading = "Robustness on the target"
    return finish(figure, heading, "; ".join(filter(None, notes)))
