"""Artefacts of a study of detection as tidy rows. docs/results.md documents the columns."""

from __future__ import annotations

from .artifacts.table_reader import read_rows
from .detection.paths import detector_path
from .source_tables import SOURCE_COLUMNS, Row, Table, of_source
from .studies.detection import DetectionStudy

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


def ap_table(study: DetectionStudy) -> Table:
    """Average precision of every detector."""
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
