"""Draw what choosing the learning rate and epsilon on test images would have added."""

from __future__ import annotations

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import say_if_empty
from ....advtransfer.plotting.figure import finish, legend_below, new_figure
from ....advtransfer.plotting.frames import Tables, rows_where
from ....advtransfer.plotting.marks import Look
from ....advtransfer.plotting.style import FAINT, PALETTE, WIDTH
from .. import plotting
from ..plotting import Settings

ALT = "Accuracy that choosing on test images would have added"
LABEL = "chosen on test images"
TABLES = ("selection",)
SETTINGS = ("baseline", "targets", "trainings")

MARKS = {
    "learning_rate": Look(PALETTE[2], "o"),
    "epsilon": Look(PALETTE[3], "D"),
    "learning_rate_and_epsilon": Look(PALETTE[6], "s"),
}


def draw(tables: Tables, settings: Settings) -> Figure:
    table = plotting.read(tables["selection"], "selection", settings)
    targets, modes = plotting.targets_of(settings, table), plotting.modes_of(table)

    figure, axes = new_figure(
        1, len(modes), 1.5 + 0.42 * len(targets), width=WIDTH, sharey=True, sharex=True
    )
    for panel, mode in zip(axes[0], modes, strict=True):
        for k, (chosen, look) in enumerate(MARKS.items()):
            rows = rows_where(table, mode=mode, chosen=chosen)
            if rows.empty:
                continue
            where = [targets.index(t) + 0.2 * (k - 1) for t in rows["target"]]
            style = {"marker": look.marker, "color": look.colour, "linestyle": "none"}
            panel.plot(100 * rows["difference"], where, markersize=4.5, **style)
        say_if_empty(panel, "nothing was chosen")
        panel.axvline(0, color=FAINT, linewidth=0.7, zorder=0)
        panel.set_title(plotting.mode_label(mode), fontweight="bold")
        panel.set_xlabel("chosen on test − on validation\n(percentage points of accuracy)")
    axes[0, 0].set_yticks(range(len(targets)), map(plotting.target_label, targets))
    axes[0, 0].set_ylim(len(targets) - 0.5, -0.5)
    legend_below(
        figure,
        [
            look.entry(f"{plotting.CHOICE_LABELS[name]}", linestyle="none")
            for name, look in MARKS.items()
        ],
    )
    heading = "What choosing on test images would have added"
    return finish(figure, heading, "accuracy on the same test images, means")
