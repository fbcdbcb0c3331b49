"""Columns of the tables of granularity, for those who make and who read them."""

from __future__ import annotations

MEASURE_COLUMNS = [
    "study",
    "source_model",
    "source_training",
    "source_seed",
    "target",
    "dataset",
    "detail",
    "labels",
    "measure",
    "basis",
    "value",
    "n_images",
]
BEST_COLUMNS = [
    "study",
    "source_model",
    "source_norm",
    "target",
    "dataset",
    "estimator",
    "primary",
    "epsilon",
    "ci_low",
    "ci_high",
    "natural_accuracy",
    "n_seeds",
    "n_test",
]
PREDICTION_COLUMNS = [
    "study",
    "source_model",
    "estimator",
    "measure",
    "basis",
    "role",
    "statistic",
    "group",
    "value",
    "ci_low",
    "ci_high",
    "p_value",
    "n_targets",
    "n_groups",
]
