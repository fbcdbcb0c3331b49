"""Columns of the tables of detection, for those who make and who read them."""

from __future__ import annotations

from ..columns import SOURCE_COLUMNS

AP_COLUMNS = [
    *SOURCE_COLUMNS,
    "task",
    "data",
    "detector",
    "of",
    "metric",
    "value",
    "epochs",
    "train_loss",
    "n_images",
    "n_objects",
]
DIFFERENCE_COLUMNS = (
    "study",
    "task",
    "data",
    "of",
    "metric",
    "model",
    "training",
    "baseline_training",
    "value",
    "ci_low",
    "ci_high",
    "mean",
    "baseline_mean",
    "n_source_seeds",
)
