"""What the configuration says of a study, as far as studies of several kinds say it alike."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..config.section import Classes, Half, Names, Section, SeedBlocks


class StudySettings(Section):
    """A study."""

    kind: str | None = Field(
        None,
        description="What the study is: the name of a folder of workflow_scripts/studies or of its "
        "kinds/; default: the study's own name",
    )


class TransferSettings(StudySettings):
    """A study that transfers sources to targets."""

    shared_images: Literal["drop", "refuse"] = Field(
        "drop",
        description="Images of a target that the source is trained on: left out of the transfer "
        "and of its measurement, or an error before anything is trained",
    )


class Sources(Section):
    """The sources."""

    use: str | None = Field(
        None, description="A name in `sources`: its keys count where they are not given here"
    )
    dataset: str | None = Field(None, description="A name in data.datasets")
    half: Half | None = None
    size: int | None = Field(None, ge=8, description="Pixels a side after resizing")
    images: int | None = Field(None, ge=1, description="Training images of a source")


class ModelsAndTrainings(Sources):
    """The sources."""

    classes: Classes | None = Field(None, description="Classes of the sources, or all")
    models: Names = Field(default_factory=list, description="Names in models")
    trainings: Names = Field(default_factory=list, description="Names in trainings")
    seeds: SeedBlocks | None = None
    checkpoints: Names = Field(default_factory=list, description="Names in checkpoints")


class Target(Section):
    """A target task."""

    use: str | None = Field(
        None, description="A name in `targets`: its keys count where they are not given here"
    )
    dataset: str = Field(description="A name in data.datasets")
    half: Half | None = None
    size: int | None = Field(None, ge=8, description="Pixels a side after resizing")
    classes: Classes = Field(description="Classes, in label order, or all")


BASELINE = "The training that all others are compared with"
TARGETS = "Target tasks by name"
TRANSFER = "A name in transfers"
