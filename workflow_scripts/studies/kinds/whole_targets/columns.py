"""Columns of the tables of transfer to whole targets, for those who make and who read them."""

from __future__ import annotations

from ...columns import SOURCE_COLUMNS

TRANSFER_COLUMNS = [
    *SOURCE_COLUMNS,
    "trial",
    "target",
    "mode",
    "solver",
    "selection",
    "learning_rate",
    "regularization",
    "images",
    "epochs",
    "validation_accuracy",
    "accuracy",
    "class_mean_accuracy",
    "loss",
    "n_test",
]
CURVE_COLUMNS = [
    *SOURCE_COLUMNS,
    "trial",
    "target",
    "mode",
    "learning_rate",
    "chosen",
    "epoch",
    "train_loss",
    "validation_accuracy",
    "validation_loss",
    "test_accuracy",
    "test_loss",
]
