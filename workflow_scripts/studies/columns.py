"""Columns that tables of several studies share, for those who make and who read the tables."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
Table = tuple[list[str], list[Row]]  # columns, rows

# What names a source.
NAME_COLUMNS = ["study", "source", "source_model", "source_family", "source_training", "robust"]
# The same of a source that has a place by norm and epsilon.
SOURCE_COLUMNS = [*NAME_COLUMNS, "source_norm", "source_epsilon", "source_seed"]
ATTACK_COLUMNS = ["attack", "norm", "epsilon"]
# What is known of a source: its accuracy without and under attack, and the cost of its training.
MEASURED_COLUMNS = [
    *ATTACK_COLUMNS,
    "accuracy",
    "n_images",
    "epochs",
    "passes",
    "seconds",
]
EVALUATION_COLUMNS = [*SOURCE_COLUMNS, *MEASURED_COLUMNS]
