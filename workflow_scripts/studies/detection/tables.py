"""The artefacts of a study of detection as tidy rows.

The study's README explains the columns.
"""

from __future__ import annotations

from ...advtransfer.artifacts.table_reader import read_rows
from ...advtransfer.detection.paths import detector_path
from ..source_tables import Row, Table, of_source, source_table
from .columns import AP_COLUMNS
from .design import DetectionStudy

# The tables that this module gathers, with their labels in the report.
TABLES = {"table": "average precision", "sources": "sources"}
# What computes the numbers in them.
LIBRARY = {
    "table": ("advtransfer.detection.evaluate.average_precision",),
    "sources": ("advtransfer.attacks.run.robust_accuracies",),
}


def ap_table(study: DetectionStudy) -> Table:
    """Return the average precision of every detector."""
    rows: list[Row] = []
    for source, task, seed in study.detectors():
        folder = source.recipe, seed, task.recipe
        history = read_rows(detector_path(*folder, "history.csv"))
        of_detector = {
            **of_source(study, source, seed),
            "task": task.name,
            "data": task.recipe.data.name,
            "detector": "mask_rcnn" if task.recipe.masks else "faster_rcnn",
            "epochs": len(history),
            "train_loss": history[-1]["train_loss"] if history else "",
        }
        for row in read_rows(detector_path(*folder, "ap.csv")):
            row.pop("seed")
            rows.append({**of_detector, **row})
    return AP_COLUMNS, rows


def collect(study: DetectionStudy) -> dict[str, Table]:
    """Gather the study's artefacts into its tables."""
    return {"table": ap_table(study), "sources": source_table(study)}
