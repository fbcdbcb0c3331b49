"""Draw average precision on natural and robust backbones as published, beside ours."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import say_if_empty
from ....advtransfer.plotting.figure import finish, legend_below, new_figure
from ....advtransfer.plotting.frames import Tables, rows_where
from ....advtransfer.plotting.labels import model_note, number
from ....advtransfer.plotting.marks import training_look
from ....advtransfer.plotting.style import WIDTH
from .. import plotting
from ..columns import AP_COLUMNS
from ..plotting import Settings
from ..published import PRECISIONS

ALT = "Published average precision beside this study's"
LABEL = "published and ours"
TABLES = ("table",)
SETTINGS = ("baseline", "robust", "model", "trainings", "tasks")


def draw(tables: Tables, settings: Settings) -> Figure:
    table = plotting.read(tables["table"], AP_COLUMNS, settings)
    both = {
        name: training_look(name, settings.trainings)
        for name in (settings.baseline, settings.robust)
    }
    published = pd.DataFrame(
        [
            {
                "metric": _name(row.task, row.of),
                "source_training": training,
                "value": value,
            }
            for row in PRECISIONS
            for training, value in ((settings.baseline, row.natural), (settings.robust, row.robust))
        ]
    )
    ours = rows_where(table, metric="AP")
    quantities = plotting.quantities(settings, ours)
    ours = ours.assign(
        metric=[
            _name(plotting.task_label(task), of)
            for task, of in zip(ours["task"], ours["of"], strict=True)
        ]
    )
    figure, axes = new_figure(
        1,
        2,
        height=3.3,
        width=WIDTH,
        width_ratios=[len(PRECISIONS), max(len(quantities), 2)],
    )
    names = list(dict.fromkeys(published["metric"]))
    plotting.draw_bars(axes[0, 0], published, both, names)
    plotting.draw_bars(
        axes[0, 1], ours, both, [_name(plotting.task_label(q.task), q.of) for q in quantities]
    )
    for bar in axes[0, 0].patches:
        where = bar.get_x() + bar.get_width() / 2, bar.get_height()
        axes[0, 0].text(*where, number(where[1], 3), fontsize=6, ha="center", va="bottom")
    say_if_empty(axes[0, 1], "not measured")
    for panel, title in zip(axes[0], ("Published: COCO, VOC", "Ours"), strict=True):
        panel.set_title(title, fontweight="bold")
        panel.set_ylabel("AP")
        panel.tick_params(axis="x", labelsize=6.5)
    legend_below(figure, plotting.bar_entries(both))
    note = (
        "published: ImageNet backbones, robust at the best of the epsilons tried, no intervals\n"
        f"ours: {model_note(table)}, {'; '.join(dict.fromkeys(table['data']))}; "
        "compare signs, not values"
    )
    return finish(figure, "Salman et al. (2020) and this study", note)


def _name(task: str, of: str) -> str:
    """A line for every word, so that names stand beside one another."""
    return f"{task} {plotting.OF_LABELS[of]}".replace(" ", "\n")
