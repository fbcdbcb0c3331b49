"""Torchvision's Faster and Mask R-CNN on a backbone made of a network's blocks.

The blocks of a `Network` run one after the other. The output of the last block of each resolution
is a level, and a feature pyramid (Lin et al. 2017) brings the levels to one width.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import nn
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from ..errors import UserError
from ..models.network import Network
from .recipe import DetectorRecipe

PROBE = 64  # pixels a side of the image that reveals the strides, up to 32
RATIOS = (0.5, 1.0, 2.0)  # height over width of an anchor, as in Ren et al. 2015


class Pyramid(nn.Module):
    """A backbone from normalised images (N, 3, H, W) to maps of ``channels`` at several strides.

    Statistics and weights of batch norms are frozen, as in torchvision's detectors, because batches
    are small.

    Args:
        network: the source. Its normaliser and head are not used, because the detector's own
            transform normalises.
        levels: number of strides, from the last.
        channels: width of every level.
        frozen_blocks: number of blocks, from the first, that are not trained.
        pooled: add a level for larger anchors by max-pooling the last one.

    Attributes:
        strides: pixels per step of every level, without the pooled one.

    Raises:
        UserError: The network has no feature maps at so many strides.
    """

    def __init__(
        self, network: Network, levels: int, channels: int, frozen_blocks: int, pooled: bool
    ) -> None:
        super().__init__()
        cuts, strides, widths = _levels(network, levels)
        self.blocks = network.blocks[: cuts[-1] + 1]
        self.cuts, self.strides, self.out_channels = cuts, strides, channels
        extra = LastLevelMaxPool() if pooled else None
        self.pyramid = FeaturePyramidNetwork(widths, channels, extra)
        if frozen_blocks > len(self.blocks):
            raise UserError(
                f"cannot freeze {frozen_blocks} blocks: the backbone has {len(self.blocks)} "
                f"({', '.join(self.blocks._modules)})."
            )
        for block in self.blocks[:frozen_blocks]:
            block.requires_grad_(False)
        for norm in self._norms():
            norm.requires_grad_(False)
        self.train()

    def _norms(self) -> list[nn.Module]:
        return [m for m in self.blocks.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]

    def train(self, mode: bool = True) -> Pyramid:
        super().train(mode)
        for norm in self._norms():
            norm.eval()
        return self

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        maps: OrderedDict[str, torch.Tensor] = OrderedDict()
        for k, block in enumerate(self.blocks):
            images = block(images)
            if k in self.cuts:
                maps[str(self.cuts.index(k))] = images
        found: dict[str, torch.Tensor] = self.pyramid(maps)
        return found


def _levels(network: Network, levels: int) -> tuple[list[int], list[int], list[int]]:
    """Return positions, strides and widths of the blocks that give the last ``levels`` strides."""
    found: dict[int, tuple[int, int]] = {}  # position and width of each stride's last block
    network.eval()  # otherwise batch norm would learn from the probe
    with torch.no_grad():
        maps = torch.zeros(1, 3, PROBE, PROBE).to(network.head.weight)
        for k, block in enumerate(network.blocks):
            try:
                maps = block(maps)
            except RuntimeError:  # layers that flatten accept only the size they were built for
                break
            if maps.ndim != 4 or min(maps.shape[2:]) < 2:
                break
            found[round(PROBE / maps.shape[2])] = k, maps.shape[1]
    if len(found) < levels:
        strides = ", ".join(map(str, found)) or "none"
        raise UserError(
            f"a detector with {levels} levels needs feature maps at so many strides; this network "
            f"({', '.join(network.blocks._modules)}) has them at strides: {strides}. Set `levels` "
            "to fewer, or use another model."
        )
    chosen = sorted(found)[-levels:]
    return [found[s][0] for s in chosen], chosen, [found[s][1] for s in chosen]


def build_detector(network: Network, recipe: DetectorRecipe, classes: int) -> FasterRCNN:
    """Return a detector in training mode whose backbone consists of the network's own modules.

    Args:
        network: a source, in any mode.
        recipe: recipe whose ``masks`` chooses Mask R-CNN (He et al. 2017) or Faster R-CNN (Ren et
            al. 2015).
        classes: number of classes without the background.

    Raises:
        UserError: The network lacks feature maps, or numbers of anchors and levels do not fit.
    """
    pooled = len(recipe.anchors) == recipe.levels + 1
    if len(recipe.anchors) not in (recipe.levels, recipe.levels + 1):
        raise UserError(
            f"anchors has {len(recipe.anchors)} sizes for {recipe.levels} levels: give one per "
            "level, or one more for a pooled level."
        )
    backbone = Pyramid(network, recipe.levels, recipe.channels, recipe.frozen_blocks, pooled)
    names = [str(k) for k in range(recipe.levels)]
    # Torchvision maps objects of 224 pixels to stride 16, where anchors are of 128 pixels. In the
    # same way, an object of 1.75 anchors or more is assigned to the next level.
    level = int(math.log2(backbone.strides[0]))
    align = {
        "featmap_names": names,
        "sampling_ratio": 2,
        "canonical_scale": 1.75 * recipe.anchors[0],
        "canonical_level": level,
    }
    outputs = classes + 1
    width = recipe.channels * recipe.pooled**2
    normalize = network.normalize
    options = {
        "min_size": recipe.min_size,
        "max_size": recipe.max_size,
        "image_mean": normalize.mean.flatten().tolist(),
        "image_std": normalize.std.flatten().tolist(),
        "rpn_anchor_generator": AnchorGenerator(
            tuple((size,) for size in recipe.anchors), (RATIOS,) * len(recipe.anchors)
        ),
        "rpn_pre_nms_top_n_train": 2 * recipe.proposals,
        "rpn_pre_nms_top_n_test": recipe.proposals,
        "rpn_post_nms_top_n_train": recipe.proposals,
        "rpn_post_nms_top_n_test": recipe.proposals,
        "rpn_batch_size_per_image": recipe.anchors_sampled,
        "box_batch_size_per_image": recipe.rois_sampled,
        "box_detections_per_img": recipe.detections,
        "box_roi_pool": MultiScaleRoIAlign(output_size=recipe.pooled, **align),
        "box_head": TwoMLPHead(width, recipe.hidden),
        "box_predictor": FastRCNNPredictor(recipe.hidden, outputs),
    }
    if not recipe.masks:
        return FasterRCNN(backbone, **options)
    layers = (recipe.channels,) * recipe.mask_layers
    return MaskRCNN(
        backbone,
        mask_roi_pool=MultiScaleRoIAlign(output_size=2 * recipe.pooled, **align),
        mask_head=MaskRCNNHeads(recipe.channels, layers, 1),
        mask_predictor=MaskRCNNPredictor(recipe.channels, recipe.channels, outputs),
        **options,
    )
