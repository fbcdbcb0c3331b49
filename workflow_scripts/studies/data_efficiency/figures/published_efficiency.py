"""Draw robust minus natural accuracy on the target, as published and in this study."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import image_axis, say_if_empty, zero_line
from ....advtransfer.plotting.draw import certainty_entries, draw_differences
from ....advtransfer.plotting.figure import finish, new_figure
from ....advtransfer.plotting.frames import Tables, rows_where, targets_shown
from ....advtransfer.plotting.labels import model_note, target_label, target_title, training_label
from ....advtransfer.plotting.marks import training_look
from .. import plotting, published
from ..plotting import Settings

ALT = "Published differences beside this study's"
LABEL = "published and ours"
TABLES = ("differences",)
SETTINGS = ("baseline", "robust", "model", "grids", "trainings", "targets")

# Published sources: column of the data, training whose look they have, strength.
PUBLISHED = {
    "robust_l2": ("robust_l2", "ℓ₂, ε = 3"),
    "robust_linf_4": ("robust_linf_half", "ℓ∞, ε = 4/255"),
    "robust_linf_8": ("robust_linf", "ℓ∞, ε = 8/255"),
}
ALL = 51200  # where the last row of each target is drawn; their sizes differ a little
ALIKE = {"near": "cifar10"}  # our targets that are part of a published one
PARTS = (("images", "fewest", "-", -0.07), ("blocks", "most", "--", 0.07))


def draw(tables: Tables, settings: Settings) -> Figure:
    differences = plotting.read_differences(tables["differences"], settings)
    compared = rows_where(plotting.robust_minus_baseline(differences, settings), last=1)
    targets = targets_shown(settings.targets, differences)
    ours = training_look(settings.robust, settings.trainings)

    figure, axes = new_figure(
        len(targets), 2, height=1.5 + 1.7 * len(targets), width=6.2, sharey=True, sharex="col"
    )
    figure.set_layout_engine("constrained", wspace=0.12)
    entries, shown = [], []
    for panel, target in zip(axes[:, 0], targets, strict=True):
        name = ALIKE.get(target, target)
        printed = published.ACCURACIES.get(name, ())
        sizes = [min(row.images, ALL) for row in printed]
        for column, (training, _) in PUBLISHED.items():
            gains = [getattr(row, column) - row.natural for row in printed]
            look = training_look(training, settings.trainings)
            style: dict[str, Any] = {"marker": look.marker, "markersize": 4, "linewidth": 1}
            if printed:
                panel.plot(sizes, gains, color=look.colour, **style)
        panel.set_title(target_label(name), fontweight="bold")
        say_if_empty(panel, "not published")
        panel.set_ylabel("robust − natural")
    printed_entries = [
        training_look(training, settings.trainings).entry(label)
        for training, label in PUBLISHED.values()
    ]
    figure.legend(handles=printed_entries, loc="outside lower left")
    for role, number, line, shift in PARTS:
        rows = plotting.of_grid(compared, settings, role, blocks=number)
        if rows.empty:
            continue
        shown.append(rows)
        look = replace(ours, line=line)
        blocks = " or ".join(map(plotting.blocks_label, sorted(rows["blocks"].unique())))
        label = f"{training_label(settings.robust)}, {blocks}"
        entries.append(look.entry(label))
        for panel, target in zip(axes[:, 1], targets, strict=True):
            draw_differences(panel, rows_where(rows, target=target), look, shift)
    for panel, target in zip(axes[:, 1], targets, strict=True):
        classes = settings.targets.get(target, [])
        title = target_title(target, classes if len(classes) < 6 else [], width=44)
        panel.set_title(title, fontweight="bold")
        say_if_empty(panel, "no differences")
    for panel in axes.flat:
        zero_line(panel)
    ticks = [100 * 2**doublings for doublings in range(10)]
    image_axis(axes[:, 0], ticks)
    for panel in axes[:, 0]:
        panel.set_xticks(ticks, [*map(str, ticks[:-1]), "all"])
    image_axis(axes[:, 1], {size for rows in shown for size in rows["images"]})
    for panel, heading in zip(axes[0], ("Published", "Ours"), strict=True):
        panel.set_title(f"{heading}\n\n{panel.get_title()}", fontweight="bold")
    for panel in axes[-1]:
        panel.set_xlabel("images of the target")
    entries += certainty_entries(shown)
    if entries:
        figure.legend(handles=entries, loc="outside lower right")
    note = (
        "published: ResNet-50 trained on ImageNet, 224 pixels, 3 blocks\n"
        f"ours: {model_note(differences) or 'none'}; compare shapes, not values"
    )
    return finish(figure, "Utrera et al. (2021) and this study", note)
