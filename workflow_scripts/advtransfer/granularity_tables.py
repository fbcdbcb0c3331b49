"""The table of what was measured on the targets of a study of granularity.

docs/results.md documents the columns.
"""

from __future__ import annotations

from typing import Any

from .addresses import block_path
from .artifacts.table_reader import read_rows
from .studies.granularity import GranularityStudy

Row = dict[str, Any]
Table = tuple[list[str], list[Row]]

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


def measure_table(study: GranularityStudy) -> Table:
    """Every measure of every target, in the features of every seed of the baseline."""
    rows: list[Row] = []
    for source in study.sources:
        for seeds in source.seed_blocks:
            for target, recipe in study.measures(source):
                fixed = {
                    "study": study.name,
                    "source_model": source.model,
                    "source_training": source.training,
                    "target": target.name,
                    "dataset": study.datasets[target.name],
                    "detail": target.train.detail or "",
                    "labels": len(target.train.label_names),
                }
                path = block_path("granularity", source.recipe, seeds, recipe, "csv")
                for row in read_rows(path):
                    rows.append({**fixed, "source_seed": row.pop("seed"), **row})
    return MEASURE_COLUMNS, rows
