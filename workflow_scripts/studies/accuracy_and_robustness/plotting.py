"""What the figures and the page of accuracy and robustness share: tables, names, marks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...advtransfer.plotting.axes import say_if_empty
from ...advtransfer.plotting.frames import read_table, select
from ...advtransfer.plotting.labels import NORM_LABELS, epsilon_label, training_label
from ...advtransfer.plotting.marks import TRAINING_LOOKS, Look
from .columns import LEVEL

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes

# Text whatever it looks like, beside the columns that all studies read as text.
TEXT = ("selection", "source_norm", "predictor")

MODE_LABELS = {"last_layer": "fixed-feature transfer", "full_network": "full-network transfer"}
MODE_LOOKS = {"last_layer": Look("#0072B2", "o"), "full_network": Look("#D55E00", "s")}
PREDICTOR_LABELS = {
    "none": "mean of the others",
    "accuracy": "accuracy",
    "robustness": "robustness",
    "epsilon": "ε",
    "accuracy_robustness": "accuracy, robustness",
    "accuracy_epsilon": "accuracy, ε",
}
# Epsilons beyond those that trainings have a look for.
MARKERS = ("o", "D", "s", "^", "v", "P", "X", "<", ">", "h", "p", "*")
FEWEST_MODELS = 8  # for a correlation over architectures to say something


@dataclass(frozen=True)
class Settings:
    """What a figure or the page shows, beside its tables. Each reads some of it."""

    study: str
    baseline: str = "natural"  # the training that others are compared with
    robust: str = "robust_l2"  # the main adversarial training
    trainings: tuple[str, ...] = ()  # in the order to draw; none: those of the table
    targets: dict[str, list[str]] = field(default_factory=dict)  # name: classes


def read(path: str, columns: Iterable[str], settings: Settings) -> pd.DataFrame:
    """The study's rows without those that were selected on test images; perhaps none.

    Raises:
        UserError: as `read_table` and `select`.
    """
    frame = read_table(path, columns, may_be_empty=True)
    if frame.empty:
        return frame
    for name in TEXT:
        if name in frame:
            frame[name] = frame[name].fillna("").astype(str)
    frame = select(frame, study=settings.study)
    return frame[frame["selection"] != "test"]


def modes(*frames: pd.DataFrame) -> list[str]:
    """Modes of the tables in a fixed order; at least one, so that a figure can say why."""
    found = {mode for frame in frames for mode in frame["mode"].unique()}
    return [mode for mode in MODE_LABELS if mode in found] or ["last_layer"]


def mode_label(name: str) -> str:
    """Display name of a transfer mode."""
    return MODE_LABELS.get(name, name.replace("_", " "))


def predictor_label(name: str) -> str:
    """Display name of a predictor, by its factors."""
    return PREDICTOR_LABELS.get(name, name.replace("_", " "))


def level_label(norm: str, epsilon: float) -> str:
    """``natural`` or ``ℓ₂, ε = 0.5``."""
    if not epsilon:
        return "natural"
    label = NORM_LABELS.get(norm, norm)
    return f"{label}, ε = {epsilon_label(epsilon, norm)}"


def levels(*frames: pd.DataFrame) -> list[tuple[str, str, float]]:
    """Trainings with norm and epsilon: natural first, then by norm and epsilon."""
    found: set[tuple[str, str, float]] = set()
    row: Any
    for frame in frames:
        for row in frame[list(LEVEL)].drop_duplicates().dropna().itertuples(index=False):
            found.add((str(row[0]), str(row[1]), float(row[2])))
    return sorted(found, key=lambda level: (level[1:], level[0]))


def level_looks(found: Sequence[tuple[str, str, float]]) -> dict[str, Look]:
    """A mark per training: those of all figures, or from dark to light where one has none."""
    import seaborn as sns

    names = [training for training, _, _ in found]
    if all(name in TRAINING_LOOKS for name in names):
        return {name: Look(*TRAINING_LOOKS[name]) for name in names}
    shades = sns.color_palette("viridis", len(names) + 1).as_hex()
    return {
        name: Look(shade, MARKERS[k % len(MARKERS)])
        for k, (name, shade) in enumerate(zip(names, shades, strict=False))
    }


def level_labels(found: Sequence[tuple[str, str, float]]) -> dict[str, str]:
    """Labels of trainings; with their names where two have one epsilon."""
    labels = {training: level_label(norm, epsilon) for training, norm, epsilon in found}
    texts = list(labels.values())
    return {
        name: f"{text}, {training_label(name)}" if texts.count(text) > 1 else text
        for name, text in labels.items()
    }


def label_columns(axes: np.ndarray, text: str) -> None:
    """Name the x axis under the lowest panel of every column that has something drawn; the others
    lose their frames, as a target need not have every mode."""
    for column in axes.T:
        drawn = [panel for panel in column if panel.has_data()] or list(column[:1])
        drawn[-1].set_xlabel(text)
        drawn[-1].tick_params(labelbottom=True)
        for panel in column:
            say_if_empty(panel, "not measured")
            if panel not in drawn:
                panel.set_frame_on(False)
                panel.tick_params(length=0, labelleft=False, labelbottom=False)


def mode_entries(found: Iterable[str]) -> list[Any]:
    """Legend entries of transfer modes without lines."""
    return [MODE_LOOKS[mode].entry(mode_label(mode), linestyle="none") for mode in found]


def draw_interval(
    panel: Axes,
    place: float,
    values: tuple[float, float, float],
    look: Look,
    *,
    face: str | None = None,
    sideways: bool = False,
) -> None:
    """A value with its interval, if it has one, at a place of a category axis."""
    value, low, high = values
    if math.isnan(value):
        return
    style: dict[str, Any] = {"color": look.colour}
    if not math.isnan(low):
        line = panel.hlines if sideways else panel.vlines
        line(place, low, high, linewidth=1, **style)
    where = (value, place) if sideways else (place, value)
    style |= {"marker": look.marker, "markersize": 4.5, "markerfacecolor": face or look.colour}
    panel.plot(*where, linestyle="none", zorder=3, **style)


def triple(row: Any, names: tuple[str, str, str]) -> tuple[float, float, float]:
    """Value and bounds of a row, by the names of their columns."""
    value, low, high = (float(getattr(row, name)) for name in names)
    return value, low, high


def model_letters(models: Iterable[str]) -> Mapping[str, str]:
    """Architectures by letter, to name marks in a panel."""
    names = sorted(set(models))
    return {name: chr(ord("a") + k % 26) for k, name in enumerate(names)}
