"""What images with annotated objects are made from."""

from __future__ import annotations

from dataclasses import dataclass

from ..data.recipe import DatasetRecipe
from ..recipes import Addressed


@dataclass(frozen=True)
class ComposedRecipe:
    """Scenes with masks, composed from two datasets (detection/compose.py). Sizes in pixels."""

    objects: DatasetRecipe  # grey on black: what is above the threshold is the object
    object_classes: tuple[str, ...]
    backgrounds: DatasetRecipe
    background_classes: tuple[str, ...]
    size: int  # of the square canvas
    train_images: int
    val_images: int
    objects_per_image: tuple[int, ...]  # fewest, most
    scales: tuple[int, ...]  # an object's smallest and largest side
    threshold: int = 24  # grey level
    visible: float = 0.25  # an object of which a smaller share is seen is not labelled
    seed: int = 0


@dataclass(frozen=True)
class CocoRecipe:
    """Annotations in COCO's format and their folders of images, on this machine."""

    train_annotations: str
    train_images: str
    val_annotations: str
    val_images: str
    sha256: tuple[str, ...]  # of both files of annotations


@dataclass(frozen=True)
class VocRecipe:
    """A VOCdevkit folder on this machine; sets are ``<year>/<set>``, as in ``2007/trainval``."""

    root: str
    train: tuple[str, ...]
    val: tuple[str, ...]
    sha256: tuple[str, ...]  # of the lists of images, in the order of train and val


@dataclass(frozen=True)
class DetectionDataRecipe(Addressed):
    """Images with annotated objects: exactly one of three kinds."""

    name: str
    composed: ComposedRecipe | None = None
    coco: CocoRecipe | None = None
    voc: VocRecipe | None = None
    areas: tuple[int, ...] = (32, 96)  # sides that part small, medium and large; these are COCO's

    def label(self) -> str:
        return self.name
