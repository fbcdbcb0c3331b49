"""The recipe of an architecture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..recipes import NamesModule

Parameters = dict[str, Any]


@dataclass(frozen=True)
class ModelRecipe(NamesModule):
    """An architecture. ``family`` is a module of ``advtransfer.models.families``."""

    family: str
    parameters: Parameters = field(default_factory=dict)

    def module(self) -> str:
        return f"models/families/{self.family}.py"
