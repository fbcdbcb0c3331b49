"""A study's artefacts as tidy rows: one row, one fact. docs/results.md documents the columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .artifacts import read_hdf5, read_rows
from .metrics.transferability import cross_entropy
from .plan import (
    Source,
    Study,
    Target,
    address,
    evaluation_path,
    metrics_path,
    source_path,
    transfer_path,
)
from .recipes import attack_label

Row = dict[str, Any]
Table = tuple[list[str], list[Row]]

SOURCE_COLUMNS = [
    "study",
    "source",
    "source_model",
    "source_family",
    "source_training",
    "robust",
    "mixture",
    "animals",
]
METRIC_COLUMNS = [
    *SOURCE_COLUMNS,
    "source_seed",
    "target",
    "shared_classes",
    "reference",
    "reference_seed",
    "attack",
    "norm",
    "epsilon",
    "steps",
    "direction",
    "metric",
    "value",
    "n_images",
    "source_accuracy",
    "last_layer_accuracy",
    "last_layer_loss",
    "full_network_accuracy",
    "full_network_loss",
]
EVALUATION_COLUMNS = [
    *SOURCE_COLUMNS,
    "source_seed",
    "attack",
    "norm",
    "epsilon",
    "accuracy",
    "n_images",
    "epochs",
    "seconds",
]
CURVE_COLUMNS = [
    *SOURCE_COLUMNS,
    "source_seed",
    "target",
    "mode",
    "epoch",
    "train_loss",
    "test_accuracy",
    "test_loss",
]
PER_IMAGE_COLUMNS = [
    *SOURCE_COLUMNS,
    "target",
    "reference",
    "direction",
    "image",
    "alpha_1",
    "transferred_loss",
    "transfer_loss",
]


def _of(study: Study, source: Source) -> Row:
    """The columns that say which source a row is about."""
    return {
        "study": study.name,
        "source": address(source.recipe),
        "source_model": source.model,
        "source_family": source.recipe.model.family,
        "source_training": source.training,
        "robust": int(source.robust),
        "mixture": source.mixture,
        "animals": "" if source.animals is None else f"{source.animals:g}",
    }


def _transferred(source: Source, seed: int, target: Target) -> Row:
    """Accuracy and loss of knowledge transfer: the last epoch's, in every mode."""
    path = transfer_path(source.recipe, seed, target.transfer, "csv")
    last = {row["mode"]: row for row in read_rows(path)}
    return {
        f"{mode}_{name}": row[f"test_{name}"]
        for mode, row in last.items()
        for name in ("accuracy", "loss")
    }


def metric_rows(study: Study) -> Table:
    """Every metric of every pair, with the knowledge transfer beside it."""

    def rows() -> Iterator[Row]:
        for source in study.sources:
            for seed in source.seeds:
                evaluated = read_rows(
                    evaluation_path(source.recipe, seed, study.evaluation(source))
                )
                clean = next(row["accuracy"] for row in evaluated if row["attack"] == "none")
                for target in study.targets:
                    fixed = {
                        **_of(study, source),
                        "source_seed": seed,
                        "target": target.name,
                        "shared_classes": len(
                            set(source.recipe.view.classes) & set(target.train.classes)
                        ),
                        "source_accuracy": clean,
                        **_transferred(source, seed, target),
                    }
                    for reference, metrics in study.metrics(target):
                        path = metrics_path(source.recipe, seed, metrics, "csv")
                        for row in read_rows(path):
                            yield {**fixed, "reference": reference.model, **row}

    return METRIC_COLUMNS, list(rows())


def source_rows(study: Study) -> Table:
    """Clean and robust accuracy of every source, and what its training cost."""

    def rows() -> Iterator[Row]:
        for source in study.sources:
            for seed in source.seeds:
                history = read_rows(source_path(source.recipe, seed, "history.csv"))
                cost = {
                    "epochs": len(history),
                    "seconds": f"{sum(float(row['seconds']) for row in history):.1f}",
                }
                path = evaluation_path(source.recipe, seed, study.evaluation(source))
                for row in read_rows(path):
                    kept = {k: v for k, v in row.items() if k in EVALUATION_COLUMNS}
                    yield {**_of(study, source), "source_seed": seed, **kept, **cost}

    return EVALUATION_COLUMNS, list(rows())


def curve_rows(study: Study) -> Table:
    """Knowledge transfer after every epoch."""

    def rows() -> Iterator[Row]:
        for source in study.sources:
            for seed in source.seeds:
                for target in study.targets:
                    path = transfer_path(source.recipe, seed, target.transfer, "csv")
                    for row in read_rows(path):
                        yield {
                            **_of(study, source),
                            "source_seed": seed,
                            "target": target.name,
                            **row,
                        }

    return CURVE_COLUMNS, list(rows())


def per_image_rows(study: Study) -> Table:
    """Per-image values under the primary attack, for the first seeds."""
    primary = study.primary

    def rows() -> Iterator[Row]:
        for source in study.sources:
            for target in study.targets:
                seed = source.seeds[0]
                transferred, _ = read_hdf5(
                    transfer_path(source.recipe, seed, target.transfer, "h5"),
                    ["last_layer/logits", "labels"],
                )
                losses = cross_entropy(transferred["last_layer/logits"], transferred["labels"])
                for reference, metrics in study.metrics(target):
                    pairing = metrics.pairing
                    if pairing.reference_seeds[0] != reference.seed_blocks[0][0]:
                        continue
                    labels = [
                        attack_label(attack)
                        for attack in pairing.attacks.attacks
                        if (attack.attack, attack.norm, attack.epsilon)
                        == (primary["attack"], primary["norm"], primary["epsilon"])
                    ]
                    for label in labels:
                        yield from _images(study, source, seed, target, reference.model, metrics, label, losses)

    return PER_IMAGE_COLUMNS, list(rows())


def _images(
    study: Study,
    source: Source,
    seed: int,
    target: Target,
    reference: str,
    metrics: Any,
    label: str,
    losses: np.ndarray,
) -> Iterator[Row]:
    path = metrics_path(source.recipe, seed, metrics, "h5")
    for direction in ("source_to_reference", "reference_to_source"):
        prefix = f"seed{metrics.pairing.reference_seeds[0]}/{label}/{direction}"
        arrays, _ = read_hdf5(path, [f"{prefix}/alpha_1", f"{prefix}/transferred_loss"])
        alpha, loss = arrays[f"{prefix}/alpha_1"], arrays[f"{prefix}/transferred_loss"]
        # The attacked view is the start of the test view, so row k is the same image in both.
        for image in np.flatnonzero(np.isfinite(alpha)):
            yield {
                **_of(study, source),
                "target": target.name,
                "reference": reference,
                "direction": direction,
                "image": int(image),
                "alpha_1": float(alpha[image]),
                "transferred_loss": float(loss[image]),
                "transfer_loss": float(losses[image]),
            }
