"""What the figures and pages of a study of pairs share: settings, labels, selections."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ....advtransfer.errors import UserError
from ....advtransfer.plotting.frames import select
from ....advtransfer.plotting.labels import attack_label, model_label, target_label
from .columns import CORRELATION_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

DIRECTIONS = ("source_to_reference", "reference_to_source")
MAIN_METRICS = ("alpha_1_mean", "alpha_2", "combined_squared")
DIRECTION_LABELS = {
    "source_to_reference": "source → reference",
    "reference_to_source": "reference → source",
}
TRANSFER_LABELS = {
    "last_layer_accuracy": "fixed-feature transfer accuracy",
    "full_network_accuracy": "full-network transfer accuracy",
}


@dataclass(frozen=True)
class Settings:
    """What decides a figure or page besides its tables. Each reads only some of it."""

    study: str
    target: str | None = None
    reference: str | None = None
    attack: str | None = None
    norm: str | None = None
    epsilon: float | None = None
    metric: str | None = None
    direction: str | None = None
    transfer: str = "last_layer_accuracy"
    mode: str = "full_network"  # of the learning curves
    metrics: tuple[str, ...] = MAIN_METRICS
    targets: dict[str, list[str]] = field(default_factory=dict)  # name: classes
    mixtures: dict[str, list[str]] = field(default_factory=dict)  # name: classes
    bootstrap: int = 1000  # resamples behind the regression band

    def attacked(self) -> dict[str, Any]:
        """The settings that choose one attack, as conditions of `select`."""
        return {"attack": self.attack, "norm": self.norm, "epsilon": self.epsilon}


def direction_label(name: str) -> str:
    """Return ``source → reference`` or ``reference → source``."""
    return DIRECTION_LABELS.get(name, name)


def transfer_label(name: str) -> str:
    """Return the display name of a measure of knowledge transfer."""
    return TRANSFER_LABELS.get(name, name.replace("_", " "))


def settings_line(settings: Settings, *, attack: bool = True, target: bool = True) -> str:
    """Return the conditions that a figure prints under its title."""
    parts = []
    if attack and settings.attack:
        parts.append(attack_label(settings.attack, settings.norm or "", settings.epsilon))
    if target and settings.target:
        parts.append(f"target {target_label(settings.target)}")
    if settings.reference:
        parts.append(f"reference {model_label(settings.reference)}")
    return "; ".join(parts)


def correlation(frame: pd.DataFrame, **conditions: Any) -> pd.Series:
    """Return the one row of a correlation table that meets ``conditions``.

    Raises:
        UserError: no row does, or several do.
    """
    rows = select(frame, **conditions)
    if len(rows) > 1:
        free = [c for c in CORRELATION_COLUMNS if c not in conditions and rows[c].nunique() > 1]
        raise UserError(
            f"{frame.attrs.get('path', 'the table')}: {len(rows)} rows where one is expected; "
            f"they differ in column '{(free or ['study'])[0]}'."
        )
    return rows.iloc[0]


def targets_of(settings: Settings, frame: pd.DataFrame) -> list[str]:
    """Return the targets to draw: the chosen ones, or else all of the table."""
    return list(settings.targets) or sorted(frame["target"].unique())
