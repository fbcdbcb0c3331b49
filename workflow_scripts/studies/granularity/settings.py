"""The section of the study: a hierarchy of classes, and how the best epsilon is estimated."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypeAliasType

from ...config.section import Section, Texts
from ..kinds.whole_targets import settings as whole_targets

Hierarchy = TypeAliasType(  # type: ignore[misc]
    "Hierarchy",
    Annotated[
        Annotated[dict[str, "Hierarchy"], Field(min_length=1)] | Texts,  # type: ignore[misc]
        Field(
            description="A hierarchy of classes: names in names, with lists of classes at their "
            "ends"
        ),
    ],
)


class BestEpsilon(Section):
    """How the best epsilon is estimated."""

    estimator: Literal["vertex", "softmax", "grid"] = Field(
        description="The one that counts: vertex of a parabola, softmax-weighted mean, or the best "
        "of the grid"
    )
    temperature: float = Field(gt=0, description="Of the softmax, in accuracy")


class Primary(Section):
    """The measure named in advance; all others are exploratory."""

    measure: Literal[
        "resolution",
        "spectral_slope",
        "mean_frequency",
        "twonn",
        "levina_bickel",
        "label_depth",
        "class_separation",
    ] = Field(description="A measure of granularity")
    basis: Literal["pixels", "features", "labels"] = Field(description="What it is taken on")


class Settings(whole_targets.Settings):
    """Salman et al. 2020: which epsilon is best for how fine-grained a target, and what predicts
    it?"""

    modes: list[Literal["last_layer"]] = Field(  # type: ignore[assignment]
        min_length=1,
        max_length=1,
        description="Modes of the protocol: last_layer (fixed-feature transfer)",
    )
    hierarchy: Hierarchy | None = None
    measured_images: int = Field(
        ge=100,
        description="Training images of a target, at most, that its granularity is measured on",
    )
    best_epsilon: BestEpsilon
    primary: Primary
