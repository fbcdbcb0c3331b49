"""The section of a study of sources against references."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ....config.section import (
    Classes,
    Epsilon,
    Name,
    Names,
    Norm,
    Section,
    SeedBlocks,
    Texts,
)
from ... import settings
from ...settings import TARGETS, TRANSFER, TransferSettings

Metric = Literal[
    "alpha_1_mean",
    "alpha_1_median",
    "alpha_1_ratio_of_means",
    "alpha_1_share_above_1",
    "alpha_1_zero_denominators",
    "alpha_2",
    "alpha_2_squared",
    "alpha_2_squared_unbiased",
    "combined",
    "combined_squared",
    "combined_squared_unbiased",
    "tau_1",
    "tau_2",
    "transfer_success_rate",
    "transferred_loss",
]


Mixtures = Annotated[dict[Name, Texts], Field(min_length=1)]
CLASSES = "Classes of the sources, or all"
MIXTURES = "Classes of the sources by name"
ANIMALS = "Classes that count as animals"


class Robust(Section):
    """Further sources, trained adversarially."""

    models: list[str] = Field(description="Names in models")
    trainings: list[str] = Field(description="Names in trainings")


class CommonSources(settings.Sources):
    """The sources, but for their classes."""

    dataset: str = Field(description="A name in data.datasets")
    images: int = Field(ge=1, description="Training images of a source")
    models: Names = Field(description="Names in models")
    training: str = Field(description="A name in trainings")
    robust: Robust | None = None
    seeds: SeedBlocks


class Sources(CommonSources):
    """The sources: classes that all of them are trained on, or mixtures of classes."""

    classes: Classes | None = Field(None, description=CLASSES)
    mixtures: Mixtures = Field(default_factory=dict, description=MIXTURES)
    animals: Texts = Field(default_factory=list, description=ANIMALS)


class Target(settings.Target):
    """A target task."""

    images: int = Field(ge=1, description="Training images of a reference")
    transfer_images: int = Field(ge=1, description="Training images of a transferred source")
    test_images: int = Field(ge=1, description="Test images that measure transfer")
    attacked_images: int = Field(
        ge=1, description="The first of the test images, which are attacked"
    )


class References(Section):
    """Reference models on every target."""

    models: Names = Field(description="Names in models")
    training: str = Field(description="A name in trainings")
    seeds: SeedBlocks


class Primary(Section):
    """The one test named in advance."""

    target: str = Field(description="A target of the study")
    reference: str = Field(description="A reference model of the study")
    attack: str = Field(description="Attack")
    norm: Norm = Field(description="Norm")
    epsilon: Epsilon
    direction: Literal["source_to_reference", "reference_to_source"] = Field(
        description="Who is attacked, who responds"
    )
    metric: Metric = Field(description="A metric of docs/concepts.md")
    transfer: Literal["last_layer_accuracy", "full_network_accuracy"] = Field(
        description="Knowledge transfer it is correlated with"
    )


class Settings(TransferSettings):
    """Adversarial and knowledge transferability of sources against references."""

    sources: Sources
    targets: dict[Name, Target] = Field(min_length=1, description=TARGETS)
    references: References
    transfer: str = Field(description=TRANSFER)
    attacks: Names = Field(description="Blocks of attacks")
    mask: Literal["reference_correct", "all"] = Field(description="Which attacked images count")
    primary: Primary
