"""Columns of the tables of data efficiency, for the modules that make or read them."""

from __future__ import annotations

from ..columns import MEASURED_COLUMNS, NAME_COLUMNS

SOURCE_COLUMNS = [*NAME_COLUMNS, "source_seed"]
CELL_COLUMNS = [
    "target",
    "grid",
    "mode",
    "solver",
    "blocks",
    "moving_statistics",
    "images",
    "subset_seed",
]
TRANSFER_COLUMNS = [
    *SOURCE_COLUMNS,
    *CELL_COLUMNS,
    "epochs",
    "accuracy",
    "best_accuracy",
    "loss",
    "regularization",
    "n_test",
]
CURVE_COLUMNS = [
    *SOURCE_COLUMNS,
    *CELL_COLUMNS,
    "epoch",
    "train_loss",
    "test_accuracy",
    "test_loss",
]
ROBUSTNESS_COLUMNS = [
    *SOURCE_COLUMNS,
    *CELL_COLUMNS,
    "epoch",
    "attack",
    "norm",
    "epsilon",
    "steps",
    "accuracy",
    "n_images",
]
EVALUATION_COLUMNS = [*SOURCE_COLUMNS, *MEASURED_COLUMNS]
SIMILARITY_COLUMNS = [*SOURCE_COLUMNS, "target", "measure", "value", "n_source", "n_target"]
DIFFERENCE_COLUMNS = (
    "study",
    "target",
    "comparison",
    "model",
    "grid",
    "baseline_grid",
    "training",
    "baseline_training",
    "blocks",
    "baseline_blocks",
    "images",
    "epoch",
    "last",
    "quantity",
    "value",
    "ci_low",
    "ci_high",
    "mean",
    "baseline_mean",
    "n_source_seeds",
    "n_subset_seeds",
)
