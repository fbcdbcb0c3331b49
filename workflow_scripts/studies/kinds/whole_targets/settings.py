"""The section of a study that transfers sources to whole targets."""

from __future__ import annotations

from pydantic import Field

from ....config.section import (
    Classes,
    Detail,
    Modes,
    Name,
    Names,
    Section,
    SeedBlocks,
    Superclasses,
)
from ... import settings
from ...settings import BASELINE, TARGETS, TRANSFER, TransferSettings


class Group(Section):
    """A group of sources."""

    models: Names = Field(description="Names in models")
    trainings: Names = Field(description="Names in trainings")
    seeds: SeedBlocks


class Sources(settings.Sources):
    """The sources: groups of models trained here, and checkpoints."""

    classes: Classes | None = Field(None, description="Classes of the sources, or all")
    groups: dict[Name, Group] = Field(
        default_factory=dict,
        description="Groups of sources by name: every model with every training",
    )
    checkpoints: Names = Field(default_factory=list, description="Names in checkpoints")


class Target(settings.Target):
    """A target task."""

    images: int | None = Field(
        None,
        ge=1,
        description="Training images, a fifth of which chooses the learning rate; default: all",
    )
    test_images: int | None = Field(
        None, ge=1, description="Test images that measure transfer; default: all"
    )
    modes: Modes | None = Field(None, description="Modes for this target; default: the study's")
    detail: Detail | None = None
    superclasses: Superclasses | None = None


class Settings(TransferSettings):
    """Transfer of sources to whole targets."""

    sources: Sources
    baseline: str = Field(description=BASELINE)
    targets: dict[Name, Target] = Field(min_length=1, description=TARGETS)
    transfer: str = Field(description=TRANSFER)
    modes: Modes | None = None
    trials: int = Field(
        1,
        ge=1,
        description="Transfers of one source that differ in the first head and the order of images",
    )
