"""Inference: logits, penultimate features and inner activations of networks on images."""

from __future__ import annotations

import torch

from ..data.batches import as_float
from ..device import autocast
from .network import Network, inference_copy

BATCH = 250


@torch.no_grad()
def predict(network: torch.nn.Module, images: torch.Tensor, batch: int = BATCH) -> torch.Tensor:
    """Return logits float32 (N, classes) in evaluation mode.

    Images are uint8, or float in [0, 1].
    """
    was_training = network.training
    network.eval()
    parts = []
    for start in range(0, len(images), batch):
        chosen = images[start : start + batch]
        parts.append(network(as_float(chosen) if chosen.dtype == torch.uint8 else chosen))
    network.train(was_training)
    return torch.cat(parts)


@torch.no_grad()
def activations(
    trunk: torch.nn.Module, images: torch.Tensor, precision: str, batch: int = 250
) -> torch.Tensor:
    """Return the outputs (N, ...) of a trunk, in evaluation mode, for uint8 images.

    They are float32, or bf16 if autocast at ``precision: bf16`` ends in that type.
    """
    trunk.eval()
    found = torch.empty(0)
    with autocast(images.device, precision):
        for start in range(0, len(images), batch):
            part = trunk(as_float(images[start : start + batch]))
            if not start:  # filled in place: concatenating a list of parts needs twice the memory
                found = part.new_empty((len(images), *part.shape[1:]))
            found[start : start + batch] = part
    return found


@torch.no_grad()
def penultimate(
    network: Network, images: torch.Tensor, precision: str = "fp32", batch: int = 250
) -> torch.Tensor:
    """Return features float32 (N, features) of uint8 images, computed by an `inference_copy`."""
    copied = inference_copy(network, precision)
    return torch.cat(
        [
            copied.features(as_float(images[k : k + batch])).float()
            for k in range(0, len(images), batch)
        ]
    )
