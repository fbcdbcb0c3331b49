"""Draw accuracy after transfer, and its difference from natural sources, over the epsilon of the
sources' adversarial training."""

from __future__ import annotations

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import say_if_empty, zero_line
from ....advtransfer.plotting.figure import finish, legend_below
from ....advtransfer.plotting.frames import Tables, rows_where
from ....advtransfer.plotting.labels import model_label, training_label
from ....advtransfer.plotting.marks import Look
from ....advtransfer.plotting.style import INK
from .. import plotting
from ..plotting import Settings

ALT = "Accuracy over the epsilon of the sources, and robust minus natural"
LABEL = "accuracy over epsilon"
TABLES = ("summary", "best")
SETTINGS = ("baseline", "targets", "trainings")


def draw(tables: Tables, settings: Settings) -> Figure:
    chosen = {"selection": "validation"}
    rows = rows_where(plotting.read(tables["summary"], "summary", settings), **chosen)
    best = rows_where(plotting.read(tables["best"], "best", settings), **chosen)
    targets, modes = plotting.targets_of(settings, rows), plotting.modes_of(rows)
    looks, places = plotting.models_of(rows), plotting.strengths(rows)

    figure, panels = plotting.target_panels(targets, 2 * len(modes), 1.35)
    for k, mode in enumerate(modes):
        reached, gained = panels[2 * k], panels[2 * k + 1]
        for target in targets:
            here = rows_where(rows, target=target, mode=mode)
            for shift, (model, look) in plotting.spread(looks):
                own = rows_where(here, model=model)
                where = [places[name][0] + shift for name in own["training"]]
                ranges = [own["mean"] - own["lowest"], own["highest"] - own["mean"]]
                plotting.draw(reached[target], where, own["mean"], ranges, look)
                kept = own[own["difference"].notna()]
                where = [places[name][0] + shift for name in kept["training"]]
                half = kept["difference"] - kept["difference_low"]
                plotting.draw(gained[target], where, kept["difference"], [half, half], look)
                ring = rows_where(best, target=target, mode=mode, model=model)
                for row in plotting.records(own[own["training"].isin(ring["robust_training"])]):
                    reached[target].plot(
                        places[row.training][0] + shift,
                        row.mean,
                        **plotting.RING,
                        color=look.colour,
                    )
            for panel in (reached[target], gained[target]):
                say_if_empty(panel, "not measured")
                plotting.strength_axis(panel, places, labels=panel is gained[target] and k == 1)
            zero_line(gained[target])
        baseline = training_label(settings.baseline)
        for panel in plotting.at_left(reached):
            panel.set_ylabel(f"{plotting.mode_label(mode)}\naccuracy")
        for panel in plotting.at_left(gained):
            panel.set_ylabel(f"{plotting.mode_label(mode)}\nminus {baseline}")
    if len(modes) == 1:
        for panel in panels[1].values():
            plotting.strength_axis(panel, places, labels=True)
    entries = [look.entry(model_label(name)) for name, look in looks.items()]
    if len(best):
        entries.append(Look(INK, "o", "none").entry("best ε", **plotting.RING))
    legend_below(figure, entries)
    note = (
        "bars: of accuracies, lowest to highest network\nof differences, 95 % interval over seeds"
    )
    return finish(figure, "Transfer over ε of adversarial training", note)
