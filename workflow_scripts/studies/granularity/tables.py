"""The table of what was measured on the targets of a study of granularity.

The study's README explains the columns.
"""

from __future__ import annotations

from ...advtransfer.addresses import block_path
from ...advtransfer.artifacts.table_reader import read_rows
from ..columns import Row, Table
from ..kinds.whole_targets import tables as whole_targets
from .columns import MEASURE_COLUMNS
from .design import GranularityStudy

# The tables that this module gathers, with their labels in the report ("": not in it).
TABLES = {
    "table": "",
    "sources": "sources",
    "curves": "",
    "measures": "measures of granularity",
}
# What computes the numbers in the last; the kind's module says it of the others.
LIBRARY = {
    "measures": (
        "advtransfer.metrics.granularity.image_measures",
        "advtransfer.metrics.granularity.feature_measures",
        "advtransfer.metrics.granularity.label_depth",
    ),
}


def measure_table(study: GranularityStudy) -> Table:
    """Return every measure of every target, in the features of every seed of the baseline."""
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


def collect(study: GranularityStudy) -> dict[str, Table]:
    """Gather the study's artefacts into its tables."""
    return {**whole_targets.collect(study), "measures": measure_table(study)}
