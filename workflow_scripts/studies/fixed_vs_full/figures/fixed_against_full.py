"""Draw fixed-feature against full-network accuracy, one mark per source."""

from __future__ import annotations

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import say_if_empty
from ....advtransfer.plotting.figure import finish, legend_below
from ....advtransfer.plotting.frames import Tables, rows_where
from ....advtransfer.plotting.labels import STATISTIC_LABELS, interval, model_label
from ....advtransfer.plotting.marks import Look, training_looks
from ....advtransfer.plotting.style import INK
from .. import plotting
from ..columns import ALL
from ..plotting import Settings

ALT = "Fixed-feature against full-network accuracy of every source"
LABEL = "fixed-feature against full-network"
TABLES = ("summary", "correlations")
SETTINGS = ("baseline", "targets", "trainings")


def draw(tables: Tables, settings: Settings) -> Figure:
    chosen = {"selection": "validation"}
    rows = rows_where(plotting.read(tables["summary"], "summary", settings), **chosen)
    correlations = rows_where(
        plotting.read(tables["correlations"], "correlations", settings),
        sources=ALL,
    )
    targets, models = plotting.targets_of(settings, rows), plotting.models_of(rows)
    places = plotting.strengths(rows)
    looks = training_looks(rows["training"], settings.trainings)

    figure, (panels,) = plotting.target_panels(targets, 1, 2.1)
    for target, panel in panels.items():
        for model, mark in models.items():
            for training, look in looks.items():
                own = rows_where(rows, target=target, model=model, training=training)
                x, y = (rows_where(own, mode=mode) for mode in plotting.MODES)
                if x.empty or y.empty:
                    continue
                x_mean, x_low, x_high = x[["mean", "lowest", "highest"]].iloc[0]
                y_mean, y_low, y_high = y[["mean", "lowest", "highest"]].iloc[0]
                panel.errorbar(
                    x_mean,
                    y_mean,
                    xerr=[[x_mean - x_low], [x_high - x_mean]],
                    yerr=[[y_mean - y_low], [y_high - y_mean]],
                    color=look.colour,
                    marker=mark.marker,
                    markersize=5,
                    elinewidth=0.7,
                )
        lines = [plotting.target_label(target)]
        for _, row in rows_where(correlations, target=target).iterrows():
            name = STATISTIC_LABELS[row["statistic"]].split()[-1]
            lines.append(f"{name} = {interval(row)}, n = {row['n_sources']:.0f}")
        panel.set_title(lines[0], fontweight="bold", pad=4 + 10 * (len(lines) - 1))
        panel.annotate(
            "\n".join(lines[1:]),
            (0.5, 1.02),
            xycoords="axes fraction",
            ha="center",
            va="bottom",
            fontsize=6.8,
        )
        say_if_empty(panel, "not measured\nin both modes")
        panel.margins(0.1)
        panel.set_xlabel("fixed-feature accuracy")
    for panel in plotting.at_left(panels):
        panel.set_ylabel("full-network accuracy")
    entries = [
        look.entry(places[name][1], marker="o", linestyle="none") for name, look in looks.items()
    ]
    if len(models) > 1:
        entries += [
            Look(INK, look.marker, "none").entry(model_label(name)) for name, look in models.items()
        ]
    legend_below(figure, entries)
    note = "one mark a source (mean over seeds)\nbars: lowest to highest network"
    return finish(figure, "Fixed-feature and full-network transfer", note)
