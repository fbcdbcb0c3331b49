"""The section of the study: tasks of detection, and how detectors are built and trained."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...config.section import UNIQUE, Name, Names, Section, Texts
from ..settings import BASELINE, ModelsAndTrainings, StudySettings

Share = Annotated[float, Field(gt=0, le=1, description="A share of training")]


class Sources(ModelsAndTrainings):
    """The sources."""

    classes: Texts | None = Field(  # type: ignore[assignment]
        None, description="Classes of the sources"
    )


class Detector(Section):
    """How detectors are built and trained; keys left out take torchvision's defaults."""

    epochs: int = Field(ge=1, description="Passes over the training images")
    batch_size: int = Field(ge=1, description="Images a step")
    learning_rate: float = Field(gt=0, description="Learning rate of SGD")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of SGD")
    weight_decay: float = Field(0.0001, ge=0, description="l2 penalty of SGD")
    warmup: int = Field(1000, ge=0, description="Steps of a linearly rising learning rate")
    decays: list[Share] = Field(
        [2 / 3, 8 / 9],
        json_schema_extra=UNIQUE,
        description="Shares of training after which the learning rate falls tenfold",
    )
    flip: bool = Field(True, description="Half of the training images are mirrored")
    frozen_blocks: int = Field(
        0, ge=0, description="The first so many blocks of the source are not trained"
    )
    min_size: int = Field(800, ge=16, description="Pixels of an image's short side after resizing")
    max_size: int = Field(
        1333, ge=16, description="Pixels of an image's long side after resizing, at most"
    )
    levels: int = Field(
        4, ge=1, description="Levels of the feature pyramid: the last strides of the source"
    )
    anchors: list[Annotated[int, Field(ge=1)]] = Field(
        min_length=1,
        description="Side of the anchors in pixels, one a level; one more adds a pooled level",
    )
    channels: int = Field(256, ge=1, description="Width of the feature pyramid")
    hidden: int = Field(1024, ge=1, description="Width of the box head")
    pooled: int = Field(7, ge=1, description="Side of what the box head sees of an object")
    mask_layers: int = Field(4, ge=1, description="Convolutions of the mask head")
    proposals: int = Field(1000, ge=1, description="Proposals an image")
    anchors_sampled: int = Field(256, ge=1, description="Anchors an image in the loss")
    rois_sampled: int = Field(512, ge=1, description="Proposals an image in the loss")
    detections: int = Field(100, ge=1, description="Detections an image, at most")


class Task(Section):
    """A task."""

    data: str = Field(description="A name in data.detection")
    masks: bool = Field(
        description="Instance segmentation by Mask R-CNN; false: boxes by Faster R-CNN"
    )
    trainings: Names | None = Field(None, description="Of the sources that take part; default: all")
    detector: Detector


class Settings(StudySettings):
    """Salman et al. 2020, figure 4: are adversarially trained sources better backbones of
    detectors?"""

    sources: Sources
    baseline: str = Field(description=BASELINE)
    robust: str = Field(description="The adversarial training of the pictures and the verdict")
    tasks: dict[Name, Task] = Field(min_length=1, description="Tasks by name")
