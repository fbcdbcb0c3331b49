"""What the figures and the page of detection share: settings, tables, names, bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ...advtransfer.plotting.frames import rows_of_study, rows_where
from ...advtransfer.plotting.labels import training_label
from ...advtransfer.plotting.marks import Look
from ...advtransfer.plotting.style import DOT, INK

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

METRIC_LABELS = {
    "AP": "AP",
    "AP50": "AP₅₀",
    "AP75": "AP₇₅",
    "AP_small": "small",
    "AP_medium": "medium",
    "AP_large": "large",
}
OF_LABELS = {"box": "boxes", "mask": "masks"}
SCORE = 0.5  # detections below it are not drawn
# Of classes in pictures: told apart with every common colour blindness, and on any background.
CLASS_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#D55E00", "#CC79A7", "#FFFFFF")


@dataclass(frozen=True)
class Settings:
    """What a figure or the page shows, beside its tables. Each reads some of it."""

    study: str
    model: str | None = None  # architecture of the sources; None: the table's first
    baseline: str = "natural"  # the training that others are compared with
    robust: str = "robust_l2"  # the main adversarial training
    trainings: tuple[str, ...] = ()  # in the order to draw; none: those of the table

    tasks: dict[str, str] = field(default_factory=dict)  # name: detector and data
    areas: dict[str, list[int]] = field(default_factory=dict)  # name: sides that part the sizes
    pictured: str = ""  # task of the pictures


class Quantity(NamedTuple):
    """What average precision is of: one panel."""

    task: str
    of: str


def read(path: str, columns: Iterable[str], settings: Settings) -> pd.DataFrame:
    """A table's rows of the first architecture, with numbers as numbers.

    Raises:
        UserError: as `rows_of_study`.
    """
    model = "source_model" if "source_model" in columns else "model"
    return rows_of_study(path, columns, settings.study, settings.model, model)


def quantities(settings: Settings, frame: pd.DataFrame) -> list[Quantity]:
    """In the order of the tasks, boxes before masks."""
    found = set(zip(frame["task"], frame["of"], strict=True)) if len(frame) else set()
    tasks = list(settings.tasks) or sorted({task for task, _ in found})
    order = [Quantity(task, of) for task in tasks for of in OF_LABELS if (task, of) in found]
    return order or [Quantity(tasks[0] if tasks else "", "box")]


def task_label(name: str) -> str:
    return name.replace("_", " ")


def quantity_label(quantity: Quantity) -> str:
    """``instance segmentation, masks``."""
    return f"{task_label(quantity.task)}, {OF_LABELS[quantity.of]}"


def size_note(settings: Settings) -> str:
    """What small, medium and large are."""
    bounds = {tuple(sides) for sides in settings.areas.values()}
    if len(bounds) != 1:
        return ""
    small, large = next(iter(bounds))
    return f"small: below {small}² pixels, large: from {large}²"


def metrics_of(frame: pd.DataFrame) -> list[str]:
    """Metrics that something has a value of: no image may have a large object."""
    found = set(frame.dropna(subset=["value"])["metric"]) if len(frame) else set()
    return [name for name in METRIC_LABELS if name in found] or ["AP"]


def measured(frame: pd.DataFrame, quantity: Quantity) -> pd.DataFrame:
    return rows_where(frame, task=quantity.task, of=quantity.of)


def draw_bars(
    panel: Axes,
    rows: pd.DataFrame,
    looks: Mapping[str, Look],
    metrics: Sequence[str],
) -> None:
    """Mean over seeds of every metric as bars side by side, its 95 % t interval, and the seeds.

    Args:
        rows: columns metric, source_training, value; nan is not drawn.
    """
    import numpy as np

    from ...advtransfer.statistics.intervals import mean_interval

    measured_here = set(rows.dropna(subset=["value"])["source_training"])
    looks = {name: look for name, look in looks.items() if name in measured_here}
    width = 0.8 / max(1, len(looks))
    for k, (training, look) in enumerate(looks.items()):
        shift = width * (k - (len(looks) - 1) / 2)
        for position, metric in enumerate(metrics):
            own = rows_where(rows, source_training=training, metric=metric)["value"].dropna()
            if own.empty:
                continue
            mean, low, high = mean_interval(own)
            where = position + shift
            panel.bar(where, mean, width * 0.92, color=look.colour, alpha=0.75, linewidth=0)
            if low == low:
                panel.vlines(where, max(low, 0), min(high, 1), color=INK, linewidth=0.9)
            if len(own) > 1:
                spots = where + width * 0.18 * np.linspace(-1, 1, len(own))
                panel.plot(spots, own, **{**DOT, "color": INK})
    panel.set_xticks(range(len(metrics)), [METRIC_LABELS.get(name, name) for name in metrics])
    panel.set_xlim(-0.5, len(metrics) - 0.5)
    panel.set_ylim(0, None)


def bar_entries(looks: Mapping[str, Look]) -> list[Any]:
    """Legend entries of bars."""
    from matplotlib.patches import Patch

    return [
        Patch(facecolor=look.colour, alpha=0.75, label=training_label(name))
        for name, look in looks.items()
    ]
