"""The file of activations of a network's frozen part, which `extract_features` writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..artifacts.hdf5 import read_hdf5

BATCH = 1000  # images whose activations are written at once
Labelled = tuple[torch.Tensor, torch.Tensor]


def bits(activations: torch.Tensor) -> np.ndarray:
    """Return activations (N, ...) in a type that HDF5 knows: bf16 becomes the int16 of its bits.

    Channels become the last dimension, because networks run on channels-last memory.
    """
    if activations.ndim == 4:
        activations = activations.permute(0, 2, 3, 1)
    activations = activations.contiguous().cpu()
    if activations.dtype == torch.bfloat16:
        activations = activations.view(torch.int16)
    return activations.numpy()


def activations_of(stored: np.ndarray) -> torch.Tensor:
    """Return the activations that `bits` encoded."""
    found = torch.from_numpy(stored)
    if found.dtype == torch.int16:
        found = found.view(torch.bfloat16)
    return found.permute(0, 3, 1, 2) if found.ndim == 4 else found


def read_features(path: str | Path, seed: int, device: torch.device) -> tuple[Labelled, Labelled]:
    """Return activations and labels of the training images and of the test images, for one seed.

    Raises:
        UserError: The file is damaged, or was not written by `extract_features`.
    """
    names = [f"{kind}/{what}" for kind in (f"seed{seed}",) for what in ("train", "test")]
    arrays, _ = read_hdf5(path, [*names, "train/labels", "test/labels"])
    train, test = (
        (
            activations_of(arrays[name]).to(device),
            torch.from_numpy(arrays[f"{what}/labels"]).to(device),
        )
        for name, what in zip(names, ("train", "test"), strict=True)
    )
    return train, test
