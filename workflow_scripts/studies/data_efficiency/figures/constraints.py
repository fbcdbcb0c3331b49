"""Draw how much every training of the source gains over natural training, by its constraint."""

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

ALT = "Every training of the source minus the natural one"
LABEL = "which constraint"
TABLES = ("differences",)
SETTINGS = ("baseline", "model", "grids", "trainings", "targets")

OTHER = "other trainings"


def kind(training: str) -> str:
    """Return the row of panels that a training belongs to, by its name."""
    if training.startswith(("fast", "free", "natural")):
        return OTHER
    return "ℓ₂" if "l2" in training else "ℓ∞" if "linf" in training else OTHER


def draw(tables: Tables, settings: Settings) -> Figure:
    differences = plotting.read_differences(tables["differences"], settings)
    targets = targets_shown(settings.targets, differences)
    rows = rows_where(
        plotting.of_grid(differences, settings, "images", blocks="fewest"),
        comparison="training",
        baseline_training=settings.baseline,
        quantity="accuracy",
        last=1,
    )
    rows = rows[rows["training"] != plotting.UNTRAINED]
    looks = training_looks(rows["training"], settings.trainings)
    kinds = [name for name in ("ℓ₂", "ℓ∞", OTHER) if name in map(kind, looks)] or [""]

    figure, axes = panels_by_target(targets, settings.targets, len(kinds), sharex=True, sharey=True)
    for row, name in zip(axes, kinds, strict=True):
        own = [training for training in looks if kind(training) == name]
        for panel, target in zip(row, targets, strict=True):
            for k, training in enumerate(own):
                paired = rows_where(rows, target=target, training=training)
                shift = 0.14 * (k - (len(own) - 1) / 2)
                draw_differences(panel, paired, looks[training], shift)
            say_if_empty(panel, "no differences")
            zero_line(panel)
        row_label(row[-1], name)
    image_axis(axes.flat, rows["images"])
    for panel in axes[-1]:
        panel.set_xlabel("images of the target")
    for panel in axes[:, 0]:
        panel.set_ylabel(f"accuracy − {training_label(settings.baseline)}")
    entries = [look.entry(training_label(name)) for name, look in looks.items()]
    entries += certainty_entries([rows])
    legend_below(figure, entries)
    heading = "Which constraint in adversarial training"
    note = model_note(rows)
    return finish(figure, heading, note)
