"""The section of the study: subsets of targets, and ways to transfer to them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ...config.section import UNIQUE, Name, Names, Section
from ...config.sections import InitialHead, Penalty, Training
from .. import settings
from ..settings import BASELINE, TARGETS, ModelsAndTrainings, TransferSettings

Unfrozen = Annotated[
    Annotated[int, Field(ge=0)] | Literal["all"],
    Field(description="Unfrozen blocks: a number, or all"),
]
Sizes = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, json_schema_extra=UNIQUE)]
SubsetSeeds = Annotated[
    list[Annotated[int, Field(ge=0)]], Field(min_length=1, json_schema_extra=UNIQUE)
]
GRIDS = "Names in grids"


class Target(settings.Target):
    """A target task."""

    images: int = Field(ge=1, description="Images that subsets are drawn from")
    test_images: int = Field(ge=1, description="Test images that measure transfer")


class Grid(Section):
    """A part of the transfer grid."""

    blocks: list[Unfrozen] = Field(
        min_length=1, json_schema_extra=UNIQUE, description="Unfrozen blocks: numbers, or all"
    )
    solver: Literal["lbfgs", "sgd"] = Field(description="How what is unfrozen is found")
    regularizations: list[Penalty] = Field(
        default_factory=list,
        min_length=1,
        description="lbfgs: l2 penalties of which held-out images choose one",
    )
    training: Training | None = None
    initial_head: InitialHead = "uniform"
    moving_statistics: bool = Field(
        False,
        description="sgd: batch norm statistics of frozen blocks move, as in the papers' code",
    )
    images: list[Sizes] = Field(
        min_length=1, description="Blocks of subset sizes: one job transfers a block"
    )
    subset_seeds: list[SubsetSeeds] = Field(
        min_length=1, description="Blocks of subset seeds: one job transfers a block"
    )
    trainings: Names | None = Field(None, description="Of the sources that take part; default: all")
    targets: Names | None = Field(None, description="Of the study's targets; default: all")
    attacks: str | None = Field(None, description="A block of attacks on the transferred networks")
    attacked_images: int | None = Field(None, ge=1, description="Test images that are attacked")


class Figures(Section):
    """Which grid a figure shows."""

    images: Names | None = Field(None, description=GRIDS)
    epochs: Names | None = Field(None, description=GRIDS)
    blocks: Names | None = Field(None, description=GRIDS)
    statistics: Names | None = Field(None, description=GRIDS)
    scratch: Names | None = Field(None, description=GRIDS)
    robustness: Names | None = Field(None, description=GRIDS)


class Settings(TransferSettings):
    """Utrera et al. 2021: do adversarially trained sources transfer better, with few images, epochs
    and blocks?"""

    sources: ModelsAndTrainings
    baseline: str = Field(description=BASELINE)
    robust: str = Field(description="The adversarial training of the main figures")
    targets: dict[Name, Target] = Field(min_length=1, description=TARGETS)
    grids: dict[Name, Grid] = Field(min_length=1, description="Parts of the transfer grid by name")
    figures: Figures
    similarity_images: int = Field(
        ge=2, description="Test images behind the similarity of source and target"
    )
