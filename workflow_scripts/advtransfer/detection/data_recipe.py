"""The recipes of images with annotated objects."""

from __future__ import annotations

from dataclasses import dataclass

from ..data.recipe import DatasetRecipe
from ..recipes import Addressed


@dataclass(frozen=True)
class ComposedRecipe:
    """Scenes with masks, composed from two datasets (detection/compose.py). Sizes are in pixels."""

    objects: DatasetRecipe  # grey on black: pixels above the threshold are the object
    object_classes: tuple[str, ...]
    backgrounds: DatasetRecipe
    background_classes: tuple[str, ...]
    size: int  # side of the square canvas
    train_images: int
    val_images: int
    objects_per_image: tuple[int, ...]  # smallest and largest number
    scales: tuple[int, ...]  # an object's smallest and largest side
    threshold: int = 24  # grey level
    visible: float = 0.25  # smallest visible share of a labelled object
    seed: int = 0


@dataclass(frozen=True)
class CocoRecipe:
    """Annotations in COCO's format and their folders of images, on this machine."""

    train_annotations: str
    train_images: str
    val_annotations: str
    val_images: str
    sha256: tuple[str, ...]  # sha256 of both annotation files


@dataclass(frozen=True)
class VocRecipe:
    """A VOCdevkit folder on this machine; sets are ``<year>/<set>``, as in ``2007/trainval``."""

    root: str
    train: tuple[str, ...]
    val: tuple[str, ...]
    sha256: tuple[str, ...]  # sha256 of the lists of images, in the order of train and val


@dataclass(frozen=True)
class DetectionDataRecipe(Addressed):
    """Images with annotated objects: exactly one of three kinds."""

    name: str
    composed: ComposedRecipe | None = None
    coco: CocoRecipe | None = None
    voc: VocRecipe | None = None
    areas: tuple[int, ...] = (
        32,
        96,
    )  # sides that separate small, medium and large; default: COCO's

    def label(self) -> str:
        return self.name
