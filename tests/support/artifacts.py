"""A file of every format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from workflow_scripts.advtransfer.artifacts.hdf5 import write_hdf5
from workflow_scripts.advtransfer.artifacts.json_files import write_json
from workflow_scripts.advtransfer.artifacts.table_writer import write_rows
from workflow_scripts.advtransfer.artifacts.tensors import save_tensors


def write_everything(path: Path) -> None:
    """A file of the format that ``path`` ends in."""
    writers = {
        ".h5": lambda: write_hdf5(path, {"x": np.zeros(50_000)}, {}),
        ".csv": lambda: write_rows(path, [{"a": "text" * 100}] * 2000, ["a"]),
        ".json": lambda: write_json(path, ["text" * 100] * 2000),
        ".safetensors": lambda: save_tensors(path, {"x": torch.zeros(50_000)}, {}),
    }
    writers[path.suffix]()
