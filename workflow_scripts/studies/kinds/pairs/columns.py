"""Columns of the tables of a study of pairs, for the modules that make or read them."""

from __future__ import annotations

from ....advtransfer.data.comparison_recipe import SHARED_COLUMNS

SOURCE_COLUMNS = [
    "study",
    "source",
    "source_model",
    "source_family",
    "source_training",
    "robust",
    "mixture",
    "animals",
]
METRIC_COLUMNS = [
    *SOURCE_COLUMNS,
    "source_seed",
    "target",
    "shared_classes",
    "reference",
    "reference_seed",
    "attack",
    "norm",
    "epsilon",
    "steps",
    "direction",
    "metric",
    "value",
    "n_images",
    "source_accuracy",
    "last_layer_accuracy",
    "last_layer_loss",
    "full_network_accuracy",
    "full_network_loss",
    *SHARED_COLUMNS,
]
EVALUATION_COLUMNS = [
    *SOURCE_COLUMNS,
    "source_seed",
    "attack",
    "norm",
    "epsilon",
    "accuracy",
    "n_images",
    "epochs",
    "seconds",
]
CURVE_COLUMNS = [
    *SOURCE_COLUMNS,
    "source_seed",
    "target",
    "mode",
    "epoch",
    "train_loss",
    "test_accuracy",
    "test_loss",
]
PER_IMAGE_COLUMNS = [
    *SOURCE_COLUMNS,
    "target",
    "reference",
    "direction",
    "image",
    "alpha_1",
    "transferred_loss",
    "transfer_loss",
]
CORRELATION_COLUMNS = (
    "study",
    "target",
    "reference",
    "sources",
    "metric",
    "direction",
    "attack",
    "norm",
    "epsilon",
    "transfer",
    "statistic",
    "value",
    "ci_low",
    "ci_high",
    "p_value",
    "n_models",
    "n_rows",
    "role",
)
