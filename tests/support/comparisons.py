"""Comparisons of source and target images, written by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workflow_scripts.advtransfer.addresses import comparison_path
from workflow_scripts.advtransfer.artifacts.hdf5 import write_hdf5
from workflow_scripts.studies.base import Study


def write_comparisons(
    study: Study, train: Sequence[int] = (), test: Sequence[int] = (), images: int = 80
) -> None:
    """What a study's sources and targets share: positions in both views of every target."""
    for comparison in study.comparisons():
        arrays = {"train": np.array(train, np.int64), "test": np.array(test, np.int64)}
        counts = {"images": {"train": images, "test": images}}
        write_hdf5(comparison_path(comparison), arrays, counts)
