"""The recipe of a detector."""

from __future__ import annotations

from dataclasses import dataclass

from ..recipes import Addressed
from .data_recipe import DetectionDataRecipe


@dataclass(frozen=True)
class DetectorRecipe(Addressed):
    """A detector on a source's backbone: Faster R-CNN, or Mask R-CNN with ``masks``.

    Parameters left out take torchvision's defaults.
    """

    data: DetectionDataRecipe
    masks: bool
    epochs: int
    batch_size: int
    learning_rate: float
    anchors: tuple[int, ...]  # pixels a side, one per level; one more adds a pooled level
    levels: int = 4  # levels of the feature pyramid: the backbone's last strides
    momentum: float = 0.9
    weight_decay: float = 0.0001
    warmup: int = 1000  # steps of a linearly rising learning rate
    decays: tuple[float, ...] = (2 / 3, 8 / 9)  # shares of training after which it falls tenfold
    flip: bool = True  # half of the training images are mirrored
    frozen_blocks: int = 0  # number of the source's blocks, from the first, that are not trained
    min_size: int = 800  # pixels of an image's short side after resizing
    max_size: int = 1333  # greatest number of pixels of its long side
    channels: int = 256  # width of the feature pyramid
    hidden: int = 1024  # width of the box head
    pooled: int = 7  # side of an object's features in the box head; the mask head uses twice that
    mask_layers: int = 4
    proposals: int = 1000  # number per image for the second stage
    anchors_sampled: int = 256  # number per image in the loss of the first stage
    rois_sampled: int = 512  # number per image in the loss of the second stage
    detections: int = 100  # greatest number per image

    def label(self) -> str:
        return f"{'mask' if self.masks else 'faster'}_rcnn-{self.data.name}"
