"""The sources of a study as tidy rows, for every study that places them by norm and epsilon.

docs/results.md documents the columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .addresses import Seeds, address, block_path, source_path
from .artifacts import read_rows
from .efficiency_tables import passes_an_epoch
from .recipes import SourceRecipe
from .studies.detection import DetectionStudy
from .studies.transfers import TransferSource, TransferStudy

Row = dict[str, Any]
Table = tuple[list[str], list[Row]]
Study = TransferStudy | DetectionStudy

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
EVALUATION_COLUMNS = [
    *SOURCE_COLUMNS,
    "attack",
    "norm",
    "epsilon",
    "accuracy",
    "n_images",
    "epochs",
    "passes",
    "seconds",
]


def of_source(study: Study, source: TransferSource, seed: int | str) -> Row:
    """The columns that say which source a row is about."""
    return {
        "study": study.name,
        "source": address(source.recipe),
        "source_model": source.model,
        "source_family": source.family,
        "source_training": source.training,
        "robust": "" if source.robust is None else int(source.robust),
        "source_norm": source.norm,
        "source_epsilon": "" if source.epsilon is None else source.epsilon,
        "source_seed": seed,
    }


def blocks(study: Study) -> Iterator[tuple[TransferSource, Seeds]]:
    """Every source with every block of its seeds."""
    for source in study.sources:
        for seeds in source.seed_blocks:
            yield source, seeds


def source_table(study: Study) -> Table:
    """Clean and robust accuracy of every source trained here, and what its training cost."""
    rows: list[Row] = []
    for source, seeds in blocks(study):
        evaluation = study.evaluation(source)
        if evaluation is None or not isinstance(source.recipe, SourceRecipe):
            continue
        path = block_path("evaluations", source.recipe, seeds, evaluation, "csv")
        measured = read_rows(path)
        for seed in map(str, seeds):
            history = read_rows(source_path(source.recipe, int(seed), "history.csv"))
            seconds = sum(float(row["seconds"]) for row in history)
            cost = {
                "epochs": len(history),
                "passes": len(history) * passes_an_epoch(source.recipe),
                "seconds": f"{seconds:.1f}",
            }
            for row in measured:
                if row["seed"] == seed:
                    kept = {key: row[key] for key in EVALUATION_COLUMNS if key in row}
                    rows.append({**of_source(study, source, seed), **kept, **cost})
    return EVALUATION_COLUMNS, rows
