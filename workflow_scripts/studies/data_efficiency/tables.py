"""The artefacts of a study of data efficiency as tidy rows. The README explains the columns."""

from __future__ import annotations

from ...advtransfer.addresses import block_path
from ...advtransfer.artifacts.table_reader import read_rows
from ...advtransfer.data.comparison_recipe import SHARED_COLUMNS
from ...advtransfer.data.comparisons import Shared
from ...advtransfer.transfer.modes import has_moving_statistics
from ..columns import Row, Table
from ..shared_tables import of_shared, shared_with
from ..source_tables import blocks, evaluation_rows, of_network
from .columns import (
    CURVE_COLUMNS,
    EVALUATION_COLUMNS,
    ROBUSTNESS_COLUMNS,
    SIMILARITY_COLUMNS,
    TRANSFER_COLUMNS,
)
from .design import EfficiencyStudy

TABLES = {  # that this module gathers, with their labels in the report ("": not in it)
    "table": "",
    "curves": "",
    "robustness": "",
    "sources": "sources",
    "similarity": "similarity",
}
# What computes the numbers in them.
LIBRARY = {
    "table": (
        "advtransfer.transfer.heads.solve_subsets",
        "advtransfer.transfer.subsets.tune_subsets",
    ),
    "curves": (
        "advtransfer.transfer.heads.solve_subsets",
        "advtransfer.transfer.subsets.tune_subsets",
    ),
    "robustness": ("advtransfer.attacks.run.robust_accuracies",),
    "sources": ("advtransfer.attacks.run.robust_accuracies",),
    "similarity": ("advtransfer.metrics.similarity.similarity",),
}


def trained_on(images: int, shared: Shared | None) -> int:
    """Return how many images a subset has; without shared images the pool may be too small."""
    if shared is None:
        return images
    return min(images, shared.images[0] - len(shared.train))


def transfer_tables(study: EfficiencyStudy) -> tuple[Table, Table, Table]:
    """Return the transferred networks at their last epoch, at every epoch, and under attack."""
    last: list[Row] = []
    curves: list[Row] = []
    robustness: list[Row] = []
    for source, seeds in blocks(study):
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
            shared = shared_with(source, cell.recipe)
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
                        "n_train": trained_on(int(which[1]), shared),
                        **of_shared(shared),
                    }
                )
    return (
        ([*TRANSFER_COLUMNS, "n_train", *SHARED_COLUMNS], last),
        (CURVE_COLUMNS, curves),
        (ROBUSTNESS_COLUMNS, robustness),
    )


def source_table(study: EfficiencyStudy) -> Table:
    """Return clean and robust accuracy of every source, and what its training cost."""
    return EVALUATION_COLUMNS, evaluation_rows(study, EVALUATION_COLUMNS, of_network)


def similarity_table(study: EfficiencyStudy) -> Table:
    """Return the distance of every target from the source's images, in the baseline's features."""
    rows: list[Row] = []
    for source, seeds in blocks(study):
        for target, recipe in study.similarities(source):
            for row in read_rows(block_path("similarity", source.recipe, seeds, recipe, "csv")):
                seed = row.pop("seed")
                rows.append({**of_network(study, source, seed), "target": target.name, **row})
    return SIMILARITY_COLUMNS, rows


def collect(study: EfficiencyStudy) -> dict[str, Table]:
    """Gather the study's artefacts into its tables."""
    table, curves, robustness = transfer_tables(study)
    return {
        "table": table,
        "curves": curves,
        "robustness": robustness,
        "sources": source_table(study),
        "similarity": similarity_table(study),
    }
