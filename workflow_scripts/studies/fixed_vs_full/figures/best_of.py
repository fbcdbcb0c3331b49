"""Draw the best robust source beside the natural one, by target, architecture and mode."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ....advtransfer.plotting.axes import say_if_empty
from ....advtransfer.plotting.figure import finish, legend_below
from ....advtransfer.plotting.frames import Tables, rows_where
from ....advtransfer.plotting.labels import model_label, training_label
from ....advtransfer.plotting.marks import Look
from ....advtransfer.plotting.style import INK, PALETTE
from .. import plotting
from ..plotting import Settings

ALT = "The best robust source beside the natural one"
LABEL = "best robust and natural"
TABLES = ("best",)
SETTINGS = ("baseline", "targets", "trainings")

SHIFT = 0.17


def draw(tables: Tables, settings: Settings) -> Figure:
    table = plotting.read(tables["best"], "best", settings)
    rows = rows_where(table, selection="validation")
    tested = rows_where(table, selection="test")
    targets, modes = plotting.targets_of(settings, rows), plotting.modes_of(rows)
    models = list(plotting.models_of(rows))
    natural, robust = PALETTE[0], PALETTE[1]

    figure, panels = plotting.target_panels(targets, len(modes), 1.75)
    for row, mode in zip(panels, modes, strict=True):
        for target, panel in row.items():
            highest = 0.0
            for k, model in enumerate(models):
                for own in plotting.records(
                    rows_where(rows, target=target, mode=mode, model=model)
                ):
                    for side, colour, shift in (
                        ("baseline", natural, -SHIFT),
                        ("robust", robust, SHIFT),
                    ):
                        mean, low, high = (
                            float(getattr(own, f"{side}_{name}"))
                            for name in ("mean", "lowest", "highest")
                        )
                        panel.bar(k + shift, mean, 2 * SHIFT, color=colour, alpha=0.85)
                        bars = {**plotting.BARS, "color": INK, "linestyle": "none"}
                        panel.errorbar(k + shift, mean, [[mean - low], [high - mean]], **bars)
                        highest = max(highest, high)
                    label = plotting.strength_label(own.norm, own.epsilon)
                    panel.annotate(
                        label,
                        (k + SHIFT, 0),
                        xytext=(0, 3),
                        textcoords="offset points",
                        ha="center",
                        va="bottom",
                        rotation=90,
                        color="white",
                        fontsize=6.5,
                    )
                for own in plotting.records(
                    rows_where(tested, target=target, mode=mode, model=model)
                ):
                    for mean, shift in ((own.baseline_mean, -SHIFT), (own.robust_mean, SHIFT)):
                        panel.plot(k + shift, mean, **plotting.TESTED)
            say_if_empty(panel, "not compared")
            slant: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
            labels = [model_label(model) for model in models]
            panel.set_xticks(range(len(models)), labels, **(slant if len(models) > 2 else {}))
            panel.set_xlim(-0.6, len(models) - 0.4)
            panel.set_ylim(0, highest * 1.05 or 1)
        for panel in plotting.at_left(row):
            panel.set_ylabel(f"{plotting.mode_label(mode)}\naccuracy")
    entries = [
        Patch(color=natural, alpha=0.85, label=training_label(settings.baseline)),
        Patch(color=robust, alpha=0.85, label="robust, best ε (on validation)"),
        Look(INK, "x", "none").entry("chosen on test", **plotting.TESTED),
    ]
    legend_below(figure, entries)
    note = "bars: mean; lines: lowest to highest network"
    return finish(figure, "The best robust source and the natural one", note)
