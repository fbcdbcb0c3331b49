"""The artefacts of a `TransferStudy` as tidy rows.

The README of fixed_vs_full explains the columns.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from ....advtransfer.addresses import Seeds, block_path
from ....advtransfer.artifacts.hdf5 import Hdf5Reader, open_hdf5
from ....advtransfer.artifacts.table_reader import read_rows
from ....advtransfer.data.comparison_recipe import SHARED_COLUMNS
from ....advtransfer.metrics.losses import cross_entropy
from ....advtransfer.transfer.recipe import ModeRecipe, TransferRecipe
from ...columns import Row, Table
from ...shared_tables import of_shared, shared_with
from ...source_tables import blocks, of_source, source_table
from ...sources import Source, Target
from .columns import CURVE_COLUMNS, TRANSFER_COLUMNS
from .design import TransferStudy

# The tables that this module gathers, with their labels in the report ("": not in it).
TABLES = {"table": "", "sources": "sources", "curves": ""}
# What computes the numbers in them.
LIBRARY = {
    "table": (
        "advtransfer.transfer.transfer.transfer",
        "studies.kinds.whole_targets.tables.class_mean_accuracy",
        "advtransfer.metrics.losses.cross_entropy",
    ),
    "sources": ("advtransfer.attacks.run.robust_accuracies",),
    "curves": ("advtransfer.transfer.transfer.transfer",),
}


def class_mean_accuracy(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean over classes of the accuracy on their images, for unbalanced targets.

    It equals the accuracy with weights N / (n_c C) of Salman et al.'s released code, where n_c of
    N images are of class c and C classes have images.

    Args:
        logits: (N, classes).
        labels: positions in the classes, (N,), at least one.
    """
    scores, truth = np.asarray(logits), np.asarray(labels)
    right = scores.argmax(1) == truth
    return float(np.mean([right[truth == label].mean() for label in np.unique(truth)]))


def transfer_tables(study: TransferStudy) -> tuple[Table, Table]:
    """Return every transferred network, and every candidate for one at every epoch."""
    networks: list[Row] = []
    curves: list[Row] = []
    for source, seeds in blocks(study):
        for target in study.targets:
            for transfer in target.transfers:
                left_out = of_shared(shared_with(source, transfer))
                path = block_path("transfers", source.recipe, seeds, transfer, "csv")
                rows = read_rows(path)
                with open_hdf5(path.removesuffix("csv") + "h5") as file:
                    found = _networks(study, source, seeds, target, transfer, rows, file)
                    networks += [{**row, **left_out} for row in found]
                for row in rows:
                    fixed = {**of_source(study, source, row["seed"]), "target": target.name}
                    kept = {name: row[name] for name in CURVE_COLUMNS if name in row}
                    curves.append({**fixed, "trial": transfer.trial, **kept})
    return ([*TRANSFER_COLUMNS, *SHARED_COLUMNS], networks), (CURVE_COLUMNS, curves)


def _networks(
    study: TransferStudy,
    source: Source,
    seeds: Seeds,
    target: Target,
    transfer: TransferRecipe,
    rows: list[dict[str, str]],
    file: Hdf5Reader,
) -> Iterator[Row]:
    """Yield the rows of one file: what held-out images chose, and what test images would choose."""
    labels = file.whole("labels")
    for seed in map(str, seeds):
        for mode in transfer.modes:
            own = [row for row in rows if (row["seed"], row["mode"]) == (seed, mode.mode)]
            fixed = {
                **of_source(study, source, seed),
                "trial": transfer.trial,
                "target": target.name,
                "mode": mode.mode,
                "solver": mode.solver,
                "images": target.train.images,
                "n_test": len(labels),
            }
            name = f"seed{seed}/{mode.mode}"
            logits = file.whole(f"{name}/logits")
            yield {**fixed, "selection": "validation", **_measured(own[-1], mode, logits, labels)}
            if mode.learning_rates:
                candidates = file.whole(f"{name}/candidate_logits")
                measured = [
                    _measured(row, mode, candidates[mode.learning_rates.index(rate)], labels)
                    for rate, row in sorted(
                        (float(row["learning_rate"]), row) for row in own if row["test_accuracy"]
                    )
                ]
                # The measure that the target is scored by decides; ties go to the smaller rate.
                best = max(measured, key=lambda found: float(found[target.metric]))
                yield {**fixed, "selection": "test", **best}


def _measured(row: Row, mode: ModeRecipe, logits: np.ndarray, labels: np.ndarray) -> Row:
    """Return what a network reached, from its last row and its logits on the test images."""
    training = mode.training
    return {
        "learning_rate": row["learning_rate"] or (training.learning_rate if training else ""),
        "regularization": row["regularization"] or ("" if training else mode.regularization),
        "epochs": training.epochs if training else row["epoch"],
        "validation_accuracy": row["validation_accuracy"],
        "accuracy": float((logits.argmax(1) == labels).mean()),
        "class_mean_accuracy": class_mean_accuracy(logits, labels),
        "loss": float(cross_entropy(logits, labels).mean()),
    }


def collect(study: TransferStudy) -> dict[str, Table]:
    """Gather the study's artefacts into its tables."""
    networks, curves = transfer_tables(study)
    return {"table": networks, "sources": source_table(study), "curves": curves}
