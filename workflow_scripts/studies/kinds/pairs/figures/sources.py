"""Draw clean and robust accuracy of every source of a study, grouped by training."""

from __future__ import annotations

import itertools

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .....advtransfer.plotting.figure import finish, new_figure
from .....advtransfer.plotting.frames import Tables, mean_and_range, read_table, select
from .....advtransfer.plotting.labels import attack_label, training_label
from .....advtransfer.plotting.style import INK, MARKERS
from ....columns import ATTACK_COLUMNS
from ..columns import EVALUATION_COLUMNS
from ..marks import source_marks
from ..plotting import Settings

ALT = "Clean and robust accuracy of the sources"
LABEL = "accuracy of the sources"
TABLES = ("sources",)
SETTINGS = ()


def draw(tables: Tables, settings: Settings) -> Figure:
    table = select(read_table(tables["sources"], EVALUATION_COLUMNS), study=settings.study)
    marks = source_marks(table)
    means = mean_and_range(table, ["source", "source_training", *ATTACK_COLUMNS], "accuracy")
    tests = means[list(ATTACK_COLUMNS)].drop_duplicates()
    clean = tests["attack"] == "none"
    tests = tests.assign(order=~clean).sort_values(["order", "attack", "norm", "epsilon"])
    colours = [INK, *sns.color_palette("colorblind", len(tests))]
    styles = [
        {"linestyle": "none", "color": colour, "marker": marker, "markersize": 5.5}
        for colour, marker in zip(colours, itertools.cycle(MARKERS), strict=False)
    ]
    # Accuracies under attack often coincide; marks set a little apart can all be seen.
    shifts = [0.0, *np.linspace(-0.2, 0.2, max(2, len(tests) - 1))]

    trainings = list(dict.fromkeys(mark.training for mark in marks.values()))
    sizes = [sum(mark.training == name for mark in marks.values()) for name in trainings]
    figure, axes = new_figure(
        len(trainings),
        1,
        height=1.5 + 0.26 * sum(sizes) + 0.3 * len(sizes),
        width=6.0,
        sharex=True,
        height_ratios=[size + 0.6 for size in sizes],
    )
    for panel, training in zip(axes[:, 0], trainings, strict=True):
        names = [name for name, mark in marks.items() if mark.training == training]
        for index, test in enumerate(tests.itertuples()):
            same = (means["attack"] == test.attack) & (means["source"].isin(names))
            if test.attack != "none":
                same &= (means["norm"] == test.norm) & (means["epsilon"] == test.epsilon)
            rows = means[same]
            panel.errorbar(
                rows["mean"],
                [names.index(source) + shifts[index] for source in rows["source"]],
                xerr=[rows["mean"] - rows["low"], rows["high"] - rows["mean"]],
                elinewidth=0.8,
                **styles[index],
            )
        labels = [marks[name].label.split(", robust")[0] for name in names]
        panel.set_yticks(range(len(names)), labels)
        panel.set_ylim(len(names) - 0.4, -0.6)
        panel.set_xlim(-0.02, 1.0)
        panel.grid(axis="x", color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.set_title(f"{training_label(training)} training", loc="left", pad=3)
    axes[-1, 0].set_xlabel("accuracy on test images of the source's own classes")
    handles = [
        Line2D([], [], label=attack_label(*test), **style)
        for test, style in zip(tests[list(ATTACK_COLUMNS)].values, styles, strict=False)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return finish(figure, "Accuracy of the sources, clean and attacked")
