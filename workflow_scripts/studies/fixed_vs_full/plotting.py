"""What the figures and the page of a study of transfer to whole targets share: its tables, the
order of its sources, panels, marks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...advtransfer.plotting.figure import new_figure
from ...advtransfer.plotting.frames import read_table, rows_where
from ...advtransfer.plotting.labels import NORM_LABELS, epsilon_label, training_label
from ...advtransfer.plotting.labels import target_label as plain_target_label
from ...advtransfer.plotting.marks import Look
from ...advtransfer.plotting.style import INK, MARKERS, PALETTE, WIDTH
from .columns import ALL, BEST_COLUMNS, CORRELATION_COLUMNS, SELECTION_COLUMNS, SUMMARY_COLUMNS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODES = ("last_layer", "full_network")
MODE_LABELS = {"last_layer": "fixed-feature", "full_network": "full-network"}
MODE_LOOKS = {
    "last_layer": Look("#0072B2", "o"),
    "full_network": Look("#D55E00", "s"),
}
CHOICE_LABELS = {
    "learning_rate": "learning rate",
    "epsilon": "ε",
    "learning_rate_and_epsilon": "learning rate and ε",
}
TARGET_LABELS = {
    "aircraft": "Aircraft",
    "birdsnap": "Birdsnap",
    "caltech101": "Caltech-101",
    "caltech256": "Caltech-256",
    "cars": "Cars",
    "dtd": "DTD",
    "flowers": "Flowers",
    "food": "Food-101",
    "pets": "Pets",
    "sun397": "SUN397",
}
ACROSS = 4  # panels side by side
COLUMNS: Mapping[str, Sequence[str]] = {
    "summary": SUMMARY_COLUMNS,
    "best": BEST_COLUMNS,
    "selection": SELECTION_COLUMNS,
    "correlations": CORRELATION_COLUMNS,
}
BARS: dict[str, Any] = {"elinewidth": 0.8, "capsize": 1.6, "capthick": 0.8}
# Around the mark of the best robust source.
RING: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 8.5,
    "markerfacecolor": "none",
    "markeredgewidth": 0.9,
}
# What a choice on test images reached.
TESTED: dict[str, Any] = {
    "linestyle": "none",
    "marker": "x",
    "markersize": 4,
    "markeredgewidth": 1.0,
    "color": INK,
}


@dataclass(frozen=True)
class Settings:
    """What a figure or the page shows, beside its tables. Each reads some of it."""

    study: str
    baseline: str = "natural"  # the training that others are compared with
    trainings: tuple[str, ...] = ()  # in the order to draw; none: those of the table
    targets: dict[str, list[str]] = field(default_factory=dict)  # name: classes


def read(
    path: str | Path, kind: str, settings: Settings, *, every_measure: bool = False
) -> pd.DataFrame:
    """A table of `summarise_transfers`, perhaps without rows: what could not be compared. Only what
    each target is scored by, unless ``every_measure``.

    Raises:
        UserError: as `read_table`.
    """
    frame = read_table(path, COLUMNS[kind], may_be_empty=True)
    for name in ("norm", "training", "robust_training"):
        if name in frame:
            frame[name] = frame[name].fillna("")
    frame = rows_where(frame, study=settings.study)
    return frame if every_measure or "scored" not in frame else rows_where(frame, scored=1)


def records(frame: pd.DataFrame) -> list[Any]:
    """Rows, their columns as attributes."""
    return list(frame.itertuples())


def target_label(name: str) -> str:
    return TARGET_LABELS.get(name) or plain_target_label(name)


def mode_label(name: str) -> str:
    return MODE_LABELS.get(name, name.replace("_", " "))


def targets_of(settings: Settings, frame: pd.DataFrame) -> list[str]:
    """Targets in the order of the configuration; at least one, so that a figure can say why."""
    found = list(dict.fromkeys(frame["target"]))
    return [name for name in settings.targets if name in found] or found or [""]


def modes_of(frame: pd.DataFrame) -> list[str]:
    return [mode for mode in MODES if mode in set(frame["mode"])] or ["last_layer"]


def models_of(frame: pd.DataFrame) -> dict[str, Look]:
    """Architectures in the order of the table, each with its colour and marker."""
    names = [name for name in dict.fromkeys(frame["model"]) if name != ALL]
    return {
        name: Look(
            PALETTE[k % len(PALETTE)],
            MARKERS[k % len(MARKERS)],
        )
        for k, name in enumerate(names)
    }


def strength_label(norm: str, epsilon: float) -> str:
    """``natural``, ``ℓ₂ 0.25``, ``ℓ∞ 4/255``."""
    if math.isnan(epsilon):
        return "ε not known"
    if not epsilon:
        return "natural"
    return f"{NORM_LABELS.get(norm, norm)} {epsilon_label(epsilon, norm)}"


def strengths(frame: pd.DataFrame) -> dict[str, tuple[float, str]]:
    """Of every training where it stands on the axis and its label: natural ones, then by norm and
    epsilon, a gap between norms. Those with the same strength are told apart by name."""
    rows = frame.drop_duplicates("training")[["training", "norm", "epsilon"]]
    rows = rows.assign(rank=rows["norm"].map({"": 0, "l2": 1, "linf": 2}).fillna(3))
    rows = rows.sort_values(["rank", "epsilon", "training"])
    labels = [strength_label(row.norm, row.epsilon) for row in records(rows)]
    found: dict[str, tuple[float, str]] = {}
    where, last = -1.0, None
    for row, label in zip(records(rows), labels, strict=True):
        where += 1.0 if row.norm == last or last is None else 1.5
        last = row.norm
        if labels.count(label) > 1:
            label = training_label(row.training)
        found[row.training] = (where, label)
    return found


def strength_axis(panel: Axes, places: Mapping[str, tuple[float, str]], labels: bool) -> None:
    """Ticks at the trainings; labels only where asked for."""
    ticks = [where for where, _ in places.values()]
    names = [label for _, label in places.values()] if labels else [""] * len(ticks)
    panel.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor")
    if ticks:
        panel.set_xlim(min(ticks) - 0.6, max(ticks) + 0.6)


def target_panels(
    targets: Sequence[str], rows: int, height: float, **options: Any
) -> tuple[Figure, list[dict[str, Axes]]]:
    """``rows`` panels for each target, under its name; at most `ACROSS` targets side by side, the
    others below. A dictionary a row."""
    across = min(ACROSS, len(targets))
    blocks = math.ceil(len(targets) / across)
    figure, axes = new_figure(
        rows * blocks,
        across,
        height=1.0 + height * rows * blocks,
        width=max(WIDTH * 0.6, WIDTH * across / 3.2),
        **options,
    )
    panels: list[dict[str, Axes]] = [{} for _ in range(rows)]
    for k, target in enumerate(targets):
        for row in range(rows):
            panels[row][target] = axes[rows * (k // across) + row, k % across]
        if target:
            panels[0][target].set_title(target_label(target), fontweight="bold")
    for spare in axes.ravel():
        if not any(spare is panel for row in panels for panel in row.values()):
            spare.set_visible(False)
    return figure, panels


def at_left(panels: Mapping[str, Axes]) -> list[Axes]:
    """The first panel of every line of panels."""
    return [panel for k, panel in enumerate(panels.values()) if k % ACROSS == 0]


def spread(
    looks: Mapping[str, Look],
) -> Iterator[tuple[float, tuple[str, Look]]]:
    """Every architecture with a shift sideways, so that marks which fall together can be seen."""
    for k, item in enumerate(looks.items()):
        yield 0.16 * (k - (len(looks) - 1) / 2), item


def draw(
    panel: Axes, where: Sequence[float], values: pd.Series, bars: Sequence[Any], look: Look
) -> None:
    """Marks with bars of the given lengths down and up; no bar where a length is not known."""
    if not len(values):
        return
    lengths = [part.fillna(0.0).clip(lower=0.0) for part in bars]
    style = {"marker": look.marker, "markersize": 3.8, "linestyle": "none", **BARS}
    panel.errorbar(where, values, yerr=lengths, color=look.colour, **style)
