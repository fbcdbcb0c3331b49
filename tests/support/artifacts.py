"""A file of every format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from workflow_scripts.advtransfer.artifacts import save_tensors, write_hdf5, write_json, write_rows


def write_everything(path: Path) -> None:
    """A file of the format that ``path`` ends in."""
    writers = {
        ".h5": lambda: write_hdf5(path, {"x": np.zeros(50_000)}, {}),
        ".csv": lambda: write_rows(path, [{"a": "text" * 100}] * 2000, ["a"]),
        ".json": lambda: write_json(path, ["text" * 100] * 2000),
        ".safetensors": lambda: save_tensors(path, {"x": torch.zeros(50_000)}, {}),
    }
    writers[path.suffix]()
