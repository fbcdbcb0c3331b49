"""Artefacts of a study of detection as tidy rows. docs/results.md documents the columns."""

from __future__ import annotations

from typing import Any

from .addresses import address, block_path, detector_path
from .artifacts import read_rows
from .studies.detection import DetectionSource, DetectionStudy

Row = dict[str, Any]
Table = tuple[list[str], list[Row]]

SOURCE_COLUMNS = [
    "study",
    "source",
    "source_model",
    "source_family",
    "source_training",
    "robust",
    "source_norm",
    "source_epsilon",
    "source_seed",
]
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
EVALUATION_COLUMNS = [*SOURCE_COLUMNS, "attack", "norm", "epsilon", "accuracy", "n_images"]


def _of(study: DetectionStudy, source: DetectionSource, seed: int) -> Row:
    """The columns that say which source a row is about."""
    epsilon = source.epsilon
    return {
        "study": study.name,
        "source": address(source.recipe),
        "source_model": source.model,
        "source_family": source.family,
        "source_training": source.training,
        "robust": "" if epsilon is None else int(epsilon > 0),
        "source_norm": source.norm,
        "source_epsilon": "" if epsilon is None else epsilon,
        "source_seed": seed,
    }


def ap_table(study: DetectionStudy) -> Table:
    """Average precision of every detector."""
    rows: list[Row] = []
    for source, task, seed in study.detectors():
        folder = source.recipe, seed, task.recipe
        history = read_rows(detector_path(*folder, "history.csv"))
        of_detector = {
            **_of(study, source, seed),
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


def source_table(study: DetectionStudy) -> Table:
    """Clean and robust accuracy of every source on its own classes."""
    rows: list[Row] = []
    for source in study.sources:
        evaluation = study.evaluation(source)
        if evaluation is None:
            continue
        for seeds in source.seed_blocks:
            path = block_path("evaluations", source.recipe, seeds, evaluation, "csv")
            for row in read_rows(path):
                kept = {key: row[key] for key in EVALUATION_COLUMNS if key in row}
                rows.append({**_of(study, source, int(row["seed"])), **kept})
    return EVALUATION_COLUMNS, rows
