"""The recipe of an attack, and its name."""

from __future__ import annotations

from dataclasses import dataclass

from ..epsilon import format_epsilon
from ..recipes import NamesModule


@dataclass(frozen=True)
class AttackRecipe(NamesModule):
    """One attack at one strength. ``attack`` is a module of ``advtransfer.attacks``.

    Epsilon and step size are in units of pixel values, which are in [0, 1].
    """

    attack: str
    norm: str  # "linf" or "l2"
    epsilon: float
    steps: int = 1
    step_size: float | None = None  # None: the attack's own rule
    random_start: bool = False
    restarts: int = 1
    tolerance: float = 0.0  # share of its rise below which an image has converged; 0: never
    labels: str = "predicted"  # or "true"
    precision: str = "fp32"

    def module(self) -> str:
        return f"attacks/{self.attack}.py"


def attack_label(attack: AttackRecipe) -> str:
    """Return the short name of an attack inside a block, such as ``pgd-linf-8_255``."""
    steps = f"{attack.steps}" if attack.steps > 1 else ""
    return f"{attack.attack}{steps}-{attack.norm}-{format_epsilon(attack.epsilon)}".replace(
        "/", "_"
    )
