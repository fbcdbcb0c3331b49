"""Draw transfer accuracy over the width of the source, for every epsilon of its training."""

from __future__ import annotations

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import image_axis
from ....advtransfer.plotting.figure import finish, legend_below, panels_by_target
from ....advtransfer.plotting.frames import Tables, rows_where, targets_shown
from .. import plotting
from ..columns import WIDTH_COLUMNS
from ..plotting import Settings

ALT = "Accuracy after transfer over the width of the source"
LABEL = "width of the source"
TABLES = ("width",)
SETTINGS = ("baseline", "trainings", "targets")

BOUNDS = ("value", "ci_low", "ci_high")


def draw(tables: Tables, settings: Settings) -> Figure:
    table = plotting.read(tables["width"], WIDTH_COLUMNS, settings)
    rows = rows_where(table, quantity="accuracy")
    targets = targets_shown(settings.targets, rows)
    modes, levels = plotting.modes(rows), plotting.levels(rows)
    looks, labels = plotting.level_looks(levels), plotting.level_labels(levels)

    figure, axes = panels_by_target(targets, settings.targets, len(modes), 1.75, sharex=True)
    for line, mode in zip(axes, modes, strict=True):
        for panel, target in zip(line, targets, strict=True):
            for k, (training, look) in enumerate(looks.items()):
                own = rows_where(rows, target=target, mode=mode, source_training=training)
                own = own.sort_values("width")
                if own.empty:
                    continue
                where = own["width"].astype(float) * 2.0 ** (0.06 * (k - (len(looks) - 1) / 2))
                panel.plot(where, own["value"], color=look.colour, linewidth=1.1)
                for place, row in zip(where, own.itertuples(), strict=True):
                    plotting.draw_interval(panel, place, plotting.triple(row, BOUNDS), look)
        line[0].set_ylabel(f"accuracy,\n{plotting.mode_label(mode)}")
    image_axis(axes.flat, rows["width"])
    plotting.label_columns(axes, "width of the source")
    legend_below(figure, [look.entry(labels[name]) for name, look in looks.items()])
    seeds = rows["n_seeds"].max() if len(rows) else 0
    note = f"up to {seeds:.0f} source seeds; 95 % t intervals" if seeds > 1 else "one source seed"
    heading = "Transfer accuracy over the width of the source"
    return finish(figure, heading, note)
