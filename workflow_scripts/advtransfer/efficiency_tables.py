"""Artefacts of a study of `data_efficiency` as tidy rows. docs/results.md documents the columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .addresses import Seeds, address, block_path, source_path
from .artifacts.table_reader import read_rows
from .studies.data_efficiency import EfficiencySource, EfficiencyStudy
from .training.recipe import SourceRecipe
from .transfer.modes import has_moving_statistics

Row = dict[str, Any]
Table = tuple[list[str], list[Row]]

NAME_COLUMNS = ["study", "source", "source_model", "source_family", "source_training", "robust"]
SOURCE_COLUMNS = [*NAME_COLUMNS, "source_seed"]
CELL_COLUMNS = [
    "target",
    "grid",
    "mode",
    "solver",
    "blocks",
    "moving_statistics",
    "images",
    "subset_seed",
]
TRANSFER_COLUMNS = [
    *SOURCE_COLUMNS,
    *CELL_COLUMNS,
    "epochs",
    "accuracy",
    "best_accuracy",
    "loss",
    "regularization",
    "n_test",
]
CURVE_COLUMNS = [
    *SOURCE_COLUMNS,
    *CELL_COLUMNS,
    "epoch",
    "train_loss",
    "test_accuracy",
    "test_loss",
]
ROBUSTNESS_COLUMNS = [
    *SOURCE_COLUMNS,
    *CELL_COLUMNS,
    "epoch",
    "attack",
    "norm",
    "epsilon",
    "steps",
    "accuracy",
    "n_images",
]
MEASURED_COLUMNS = [
    "attack",
    "norm",
    "epsilon",
    "accuracy",
    "n_images",
    "epochs",
    "passes",
    "seconds",
]
EVALUATION_COLUMNS = [*SOURCE_COLUMNS, *MEASURED_COLUMNS]
SIMILARITY_COLUMNS = [*SOURCE_COLUMNS, "target", "measure", "value", "n_source", "n_target"]


def of_network(study: Any, source: Any, seed: int | str) -> Row:
    """The columns that say which source of a study of any kind a row is about."""
    return {
        "study": study.name,
        "source": address(source.recipe),
        "source_model": source.model,
        "source_family": source.family,
        "source_training": source.training,
        "robust": "" if source.robust is None else int(source.robust),
        "source_seed": seed,
    }


def _blocks(study: EfficiencyStudy) -> Iterator[tuple[EfficiencySource, Seeds]]:
    for source in study.sources:
        for seeds in source.seed_blocks:
            yield source, seeds


def transfer_tables(study: EfficiencyStudy) -> tuple[Table, Table, Table]:
    """Transferred networks at their last epoch, at every epoch, and under attack."""
    last: list[Row] = []
    curves: list[Row] = []
    robustness: list[Row] = []
    for source, seeds in _blocks(study):
        for cell in study.cells(source):
            mode = cell.recipe.mode
            of_cell = {
                "target": cell.target.name,
                "grid": cell.grid,
                "mode": mode.mode,
                "solver": mode.solver,
                "blocks": cell.blocks,
                "moving_statistics": int(has_moving_statistics(mode)),
            }
            runs: dict[tuple[str, str, str], list[Row]] = {}
            path = block_path("subsets", source.recipe, seeds, cell.recipe, "csv")
            for row in read_rows(path):
                which = row["seed"], row["images"], row["subset_seed"]
                fixed = {
                    **of_network(study, source, row["seed"]),
                    **of_cell,
                    "images": row["images"],
                    "subset_seed": row["subset_seed"],
                }
                if row["attack"]:
                    measured = {
                        "accuracy": row["test_accuracy"],
                        **{name: row[name] for name in ROBUSTNESS_COLUMNS if name in row},
                    }
                    robustness.append({**fixed, **measured})
                else:
                    runs.setdefault(which, []).append(row)
                    kept = {name: row[name] for name in CURVE_COLUMNS if name in row}
                    curves.append({**fixed, **kept})
            for which, epochs in runs.items():
                final = epochs[-1]
                last.append(
                    {
                        **of_network(study, source, which[0]),
                        **of_cell,
                        "images": which[1],
                        "subset_seed": which[2],
                        "epochs": final["epoch"],
                        "accuracy": final["test_accuracy"],
                        "best_accuracy": max((row["test_accuracy"] for row in epochs), key=float),
                        "loss": final["test_loss"],
                        "regularization": final["regularization"],
                        "n_test": final["n_images"],
                    }
                )
    return (
        (TRANSFER_COLUMNS, last),
        (CURVE_COLUMNS, curves),
        (ROBUSTNESS_COLUMNS, robustness),
    )


def source_table(study: EfficiencyStudy) -> Table:
    """Clean and robust accuracy of every source, and what its training cost."""
    return EVALUATION_COLUMNS, evaluation_rows(study, EVALUATION_COLUMNS, of_network)


def evaluation_rows(study: Any, columns: list[str], of_source: Callable[..., Row]) -> list[Row]:
    """The rows of such a table: ``of_source(study, source, seed)`` has those that name a source."""
    rows: list[Row] = []
    for source, seeds in _blocks(study):
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
                    kept = {key: row[key] for key in columns if key in row}
                    rows.append({**of_source(study, source, seed), **kept, **cost})
    return rows


def passes_an_epoch(recipe: SourceRecipe) -> int:
    """Forward and backward passes of the network an image and epoch: one for the weights, and one
    a step of the attack; free training has one for both."""
    training = recipe.training
    if training.replays:
        return training.replays
    return 1 + (training.attack.steps if training.attack else 0)


def similarity_table(study: EfficiencyStudy) -> Table:
    """Distance of every target from the source's own images, in the baseline's features."""
    rows: list[Row] = []
    for source, seeds in _blocks(study):
        for target, recipe in study.similarities(source):
            for row in read_rows(block_path("similarity", source.recipe, seeds, recipe, "csv")):
                seed = row.pop("seed")
                rows.append({**of_network(study, source, seed), "target": target.name, **row})
    return SIMILARITY_COLUMNS, rows
