"""The artefacts of a study of pairs as tidy rows: one row, one fact.

The README of a study of this kind explains the columns.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ....advtransfer.addresses import Seeds, address, block_path, source_path
from ....advtransfer.artifacts.hdf5 import read_hdf5
from ....advtransfer.artifacts.table_reader import read_rows
from ....advtransfer.attacks.recipe import attack_label
from ....advtransfer.data.comparison_recipe import SHARED_COLUMNS
from ....advtransfer.data.comparisons import kept
from ....advtransfer.metrics.losses import cross_entropy
from ....advtransfer.metrics.pairing_recipe import pair_name
from ....advtransfer.metrics.recipe import MetricsRecipe
from ...columns import Row, Table
from ...shared_tables import of_shared, shared_with
from ...source_tables import blocks
from ...sources import Reference, Source, Target
from .columns import CURVE_COLUMNS, EVALUATION_COLUMNS, METRIC_COLUMNS, PER_IMAGE_COLUMNS
from .design import PairStudy, shared_classes

TABLES = {  # that this module gathers, with their labels in the report ("": not in it)
    "table": "",
    "sources": "sources",
    "curves": "",
    "per_image": "",
}
# What computes the numbers in them.
LIBRARY = {
    "table": (
        "advtransfer.metrics.transferability.measure_pair",
        "advtransfer.transfer.transfer.transfer",
    ),
    "sources": ("advtransfer.attacks.run.robust_accuracies",),
    "curves": ("advtransfer.transfer.transfer.transfer",),
    "per_image": (
        "advtransfer.metrics.transferability.alpha_1",
        "advtransfer.metrics.losses.cross_entropy",
    ),
}


def _of(study: PairStudy, source: Source) -> Row:
    """Return the columns that say which source a row is about."""
    return {
        "study": study.name,
        "source": address(source.recipe),
        "source_model": source.model,
        "source_family": source.recipe.model.family,
        "source_training": source.training,
        "robust": int(bool(source.robust)),
        "mixture": source.mixture,
        "animals": "" if source.animals is None else f"{source.animals:g}",
    }


def _evaluation_path(study: PairStudy, source: Source, seeds: Seeds) -> str:
    evaluation = study.evaluation(source)
    assert evaluation is not None  # no study of this kind imports sources
    return block_path("evaluations", source.recipe, seeds, evaluation, "csv")


def _clean_accuracy(study: PairStudy, source: Source, seeds: Seeds) -> dict[str, str]:
    """Return the source's accuracy on clean test images of its own classes, by seed."""
    path = _evaluation_path(study, source, seeds)
    return {row["seed"]: row["accuracy"] for row in read_rows(path) if row["attack"] == "none"}


def _transferred(source: Source, seeds: Seeds, target: Target) -> dict[str, Row]:
    """Return accuracy and loss after the last epoch of transfer, in every mode, by seed."""
    found: dict[str, Row] = {str(seed): {} for seed in seeds}
    for row in read_rows(block_path("transfers", source.recipe, seeds, target.transfers[0], "csv")):
        for name in ("accuracy", "loss"):
            found[row["seed"]][f"{row['mode']}_{name}"] = row[f"test_{name}"]
    return found


def metric_rows(study: PairStudy) -> Table:
    """Return every metric of every pair, beside the source's knowledge transfer."""
    rows: list[Row] = []
    for source, seeds in blocks(study):
        accuracies = _clean_accuracy(study, source, seeds)
        for target in study.targets:
            transferred = _transferred(source, seeds, target)
            left_out = of_shared(shared_with(source, target.transfers[0]))
            for reference, metrics in study.metrics(target):
                path = block_path("metrics", source.recipe, seeds, metrics, "csv")
                for row in read_rows(path):
                    seed = row["source_seed"]
                    rows.append(
                        {
                            **_of(study, source),
                            "target": target.name,
                            "shared_classes": shared_classes(source, target),
                            "reference": reference.model,
                            "source_accuracy": accuracies[seed],
                            **transferred[seed],
                            **left_out,
                            **row,
                        }
                    )
    return [*METRIC_COLUMNS, *SHARED_COLUMNS], rows


def source_rows(study: PairStudy) -> Table:
    """Return clean and robust accuracy of every source, and what its training cost."""
    rows: list[Row] = []
    for source, seeds in blocks(study):
        cost = {}
        for seed in seeds:
            history = read_rows(source_path(source.recipe, seed, "history.csv"))
            seconds = sum(float(row["seconds"]) for row in history)
            cost[str(seed)] = {"epochs": len(history), "seconds": f"{seconds:.1f}"}
        path = _evaluation_path(study, source, seeds)
        for row in read_rows(path):
            kept = {key: value for key, value in row.items() if key in EVALUATION_COLUMNS}
            name = row["seed"]
            rows.append({**_of(study, source), "source_seed": name, **kept, **cost[name]})
    return EVALUATION_COLUMNS, rows


def curve_rows(study: PairStudy) -> Table:
    """Return accuracy and loss on the target after every epoch of transfer."""
    rows: list[Row] = []
    for source, seeds in blocks(study):
        for target in study.targets:
            path = block_path("transfers", source.recipe, seeds, target.transfers[0], "csv")
            for row in read_rows(path):
                seed = row.pop("seed")
                row |= {"source_seed": seed, "target": target.name}
                kept = {key: value for key, value in row.items() if key in CURVE_COLUMNS}
                rows.append({**_of(study, source), **kept})
    return CURVE_COLUMNS, rows


def per_image_rows(study: PairStudy) -> Table:
    """Return the values of every image under the primary attack, for first seeds alone."""
    rows: list[Row] = []
    wanted = tuple(study.primary[key] for key in ("attack", "norm", "epsilon"))
    for source in study.sources:
        for target in study.targets:
            losses = _transfer_losses(source, target)
            for reference, metrics in study.metrics(target):
                pairing = metrics.pairing
                if pairing.reference_seeds != reference.seed_blocks[0]:
                    continue
                for attack in pairing.attacks.attacks:
                    if (attack.attack, attack.norm, attack.epsilon) == wanted:
                        fixed = {**_of(study, source), "target": target.name}
                        label = attack_label(attack)
                        images = _images(source, reference, metrics, label, losses)
                        rows += [{**fixed, **image} for image in images]
    return PER_IMAGE_COLUMNS, rows


def _transfer_losses(source: Source, target: Target) -> np.ndarray:
    """Return the loss of the first seed's fixed-feature transfer on every test image.

    It is nan on images that the source is trained on, which the transfer leaves out.
    """
    seeds = source.seed_blocks[0]
    logits = f"seed{seeds[0]}/last_layer/logits"
    path = block_path("transfers", source.recipe, seeds, target.transfers[0], "h5")
    arrays, _ = read_hdf5(path, [logits, "labels"])
    losses = cross_entropy(arrays[logits], arrays["labels"])
    shared = shared_with(source, target.transfers[0])
    if shared is None or not len(shared.test):
        return losses
    everywhere = np.full(shared.images[1], np.nan)
    everywhere[kept(shared.images[1], shared.test)] = losses
    return everywhere


def _images(
    source: Source,
    reference: Reference,
    metrics: MetricsRecipe,
    label: str,
    losses: np.ndarray,
) -> Iterator[Row]:
    """Yield a row for every image of a pair that counts and has a defined alpha_1."""
    seeds = source.seed_blocks[0]
    path = block_path("metrics", source.recipe, seeds, metrics, "h5")
    for direction in ("source_to_reference", "reference_to_source"):
        names = [
            pair_name(seeds[0], metrics.pairing.reference_seeds[0], label, f"{direction}/{values}")
            for values in ("alpha_1", "transferred_loss")
        ]
        arrays, _ = read_hdf5(path, names)
        alpha, loss = (arrays[name] for name in names)
        # The attacked view is the start of the test view, so row k is the same image in both.
        # What the transfer left out is left out here too.
        for image in np.flatnonzero(np.isfinite(alpha) & np.isfinite(losses[: len(alpha)])):
            yield {
                "reference": reference.model,
                "direction": direction,
                "image": int(image),
                "alpha_1": float(alpha[image]),
                "transferred_loss": float(loss[image]),
                "transfer_loss": float(losses[image]),
            }


def collect(study: PairStudy) -> dict[str, Table]:
    """Gather the study's artefacts into its tables."""
    return {
        "table": metric_rows(study),
        "sources": source_rows(study),
        "curves": curve_rows(study),
        "per_image": per_image_rows(study),
    }
