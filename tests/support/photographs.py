"""Photographs as torchvision resizes them, and as a dataset stores them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from workflow_scripts.advtransfer.artifacts.hdf5 import hdf5_writer, read_hdf5
from workflow_scripts.advtransfer.data.photographs import RawPhotographs

SIZE = 16


def stored(raw: RawPhotographs, folder: Path) -> dict[str, np.ndarray]:
    with hdf5_writer(folder / "stored.h5", {}) as writer:
        raw.store(writer)
    return read_hdf5(folder / "stored.h5")[0]


def by_torchvision(data: bytes, size: int = SIZE) -> np.ndarray:
    from torchvision import transforms

    resized = transforms.Resize(round(size * 256 / 224))
    both = transforms.Compose([resized, transforms.CenterCrop(size)])
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(both(image.convert("RGB")))
