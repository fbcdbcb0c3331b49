"""The section of the study: what it compares besides transfer to whole targets."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...config.section import Epsilon, Name, Names, Norm, Section
from ..kinds.whole_targets import settings as whole_targets


class Robustness(Section):
    """The attack of the evaluation whose robust accuracy is the robustness of a source."""

    attack: str = Field(description="A module of advtransfer.attacks")
    norm: Norm = Field(description="Norm of the ball")
    epsilon: Epsilon


class Settings(whole_targets.Settings):
    """Salman et al. 2020: do accuracy and robustness of a source together predict how well it
    transfers, and what does width add?"""

    robust: str = Field(
        description="The adversarial training that the statements on width are about"
    )
    architectures: Names = Field(
        description="Models of the sources that correlations and predictors are over: eight or "
        "more say something"
    )
    widths: dict[Name, Annotated[int, Field(ge=1)]] = Field(
        min_length=2,
        description="Models of the sources that differ in width alone, and how wide each is",
    )
    robustness: Robustness
    accuracies: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=dict,
        description="Published clean accuracy of checkpoints, by name, because the images they "
        "were trained on are not at hand",
    )
