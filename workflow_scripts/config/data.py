"""The section `data`: datasets, where they come from, and images with annotated objects."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from .section import NO_OPTION, UNIQUE, Name, Section, Text, Texts

Provider = Literal["local", "official", "registry"]
Pixels = Annotated[int, Field(ge=1)]
ImageSet = Annotated[
    str,
    Field(
        pattern="^[0-9]{4}/[A-Za-z0-9_]+$",
        description="A set of images: <year>/<set>, as in 2007/trainval",
    ),
]
ImageSets = Annotated[list[ImageSet], Field(min_length=1, json_schema_extra=UNIQUE)]


class Dataset(Section):
    """A dataset"""

    pack: str | None = Field(None, description="HDF5 pack to read")
    folder: Text | None = Field(
        None,
        description="Folder of photographs: train/<class>/ and test/<class>/, or <class>/ with "
        "split",
    )
    size: int | None = Field(
        None, ge=8, le=1024, description="Pixels a side that photographs are decoded to"
    )
    split: (
        Annotated[
            int | str,
            WithJsonSchema({"type": ["integer", "string"], "minimum": 1, "minLength": 1}),
        ]
        | None
    ) = Field(
        None,
        description="Of a folder of classes: so many of each train, or a file that lists the test "
        "images",
    )
    shared_images: Literal["refuse", "drop"] = Field(
        "refuse",
        description="Of a pack or a folder: images that are in training and test images, or in two "
        "classes, are an error or left out",
    )
    metric: Literal["accuracy", "class_mean_accuracy"] | None = Field(
        None,
        description="What it is scored by: accuracy over images, or the mean of the classes' "
        "accuracies",
    )


class Composed(Section):
    """Scenes made of two datasets"""

    objects: str = Field(description="A name in data.datasets: grey images on black")
    object_classes: Texts = Field(description="Classes to find, in label order")
    backgrounds: str = Field(description="A name in data.datasets")
    background_classes: Texts = Field(description="Classes of the backgrounds")
    size: int = Field(ge=16, description="Pixels a side of the square canvas")
    train_images: int = Field(ge=1, description="Training images")
    val_images: int = Field(ge=1, description="Validation images")
    objects_per_image: list[Annotated[int, Field(ge=1)]] = Field(
        min_length=2, max_length=2, description="Fewest and most objects of an image"
    )
    scales: list[Annotated[int, Field(ge=4)]] = Field(
        min_length=2,
        max_length=2,
        description="Smallest and largest side of an object, in pixels",
    )
    threshold: int = Field(
        24, ge=0, le=254, description="Grey level above which a pixel is of the object"
    )
    visible: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Objects of which a smaller share is seen are not labelled",
    )
    seed: int = Field(0, ge=0, description="Seed of what is drawn")


class CocoSplit(Section):
    """A split in COCO's official format"""

    annotations: Text = Field(description="instances_*.json")
    images: Text = Field(description="Folder of its images")


class Coco(Section):
    """Files in COCO's official format"""

    train: CocoSplit = Field(description="The training split")
    val: CocoSplit = Field(description="The validation split")


class Voc(Section):
    """Pascal VOC's official files"""

    root: Text = Field(description="VOCdevkit: the folder that holds VOC2007")
    train: ImageSets = Field(description="Sets to train on")
    val: ImageSets = Field(description="Sets to measure on")


class DetectionData(Section):
    """Detection data: exactly one of composed, coco, voc"""

    composed: Composed | None = None
    coco: Coco | None = None
    voc: Voc | None = None
    areas: list[Pixels] = Field(
        [32, 96],
        min_length=2,
        max_length=2,
        description="Sides in pixels that part small, medium and large objects; COCO's 32 and 96 "
        "by default",
    )


class Data(Section):
    """Datasets and where they come from"""

    providers: list[Provider] = Field(
        min_length=1,
        json_schema_extra=UNIQUE,
        description="Providers in the order they are tried",
    )
    local: Annotated[
        str | None, WithJsonSchema({"type": ["string", "null"], "pattern": NO_OPTION})
    ] = Field(
        None,
        description="Folder with official files or packs; one that begins with - is written ./-",
    )
    datasets: dict[Name, Dataset] = Field(min_length=1, description="Datasets by name")
    detection: dict[Name, DetectionData] = Field(
        default_factory=dict, description="Detection data by name"
    )
