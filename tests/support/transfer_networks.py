"""A small table of transferred networks, shaped like a real one, and what is summarised from it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from support.figure_tables import Row
from support.parts import analyse
from workflow_scripts.advtransfer.artifacts.table_writer import write_rows
from workflow_scripts.studies.kinds.whole_targets.columns import TRANSFER_COLUMNS

STUDY = "fixed_vs_full"
MODES = ("last_layer", "full_network")
# training: norm, epsilon, what fixed features gain by it.
TRAININGS = {
    "natural": ("", 0.0, 0.0),
    "robust_l2_quarter": ("l2", 0.25, 0.06),
    "robust_l2": ("l2", 0.5, 0.04),
    "robust_linf_half": ("linf", 2 / 255, 0.05),
    "robust_linf": ("linf", 4 / 255, 0.01),
}
TARGETS = {
    "near": ["dog", "horse", "ship", "truck"],
    "mnist": list("0123456789"),
    "fashion_mnist": ["T-shirt/top", "Trouser"],
}
RECIPE = {
    "study": STUDY,
    "baseline": "natural",
    "targets": TARGETS,
    "trainings": list(TRAININGS),
}
SUMMARIES = ("summary", "best", "selection", "correlations")


def network(
    target: str,
    mode: str,
    training: str,
    seed: int,
    *,
    model: str = "resnet8",
    selection: str = "validation",
    trial: int = 0,
    accuracy: float = 0.5,
    **changes: Any,
) -> Row:
    """A row of the table."""
    norm, epsilon, _ = TRAININGS.get(training, ("", 0.0, 0.0))
    return {
        "study": STUDY,
        "source": f"{model}-{training}",
        "source_model": model,
        "source_family": model.rstrip("0123456789"),
        "source_training": training,
        "robust": int(epsilon > 0),
        "source_norm": norm,
        "source_epsilon": epsilon,
        "source_seed": seed,
        "trial": trial,
        "target": target,
        "mode": mode,
        "solver": "sgd",
        "selection": selection,
        "learning_rate": 0.1,
        "regularization": "",
        "images": 2000,
        "epochs": 8,
        "validation_accuracy": accuracy,
        "accuracy": accuracy,
        "class_mean_accuracy": accuracy,
        "loss": 1 - accuracy,
        "n_test": 2000,
        **changes,
    }


def networks(
    seeds: Sequence[int] = (0, 1, 2),
    models: Sequence[str] = ("resnet8", "resnet14"),
    targets: Sequence[str] = tuple(TARGETS),
) -> list[Row]:
    rng = np.random.default_rng(0)
    rows = []
    for target, mode, model, training, seed in product(targets, MODES, models, TRAININGS, seeds):
        gain = TRAININGS[training][2] * (1 if mode == "last_layer" else 0.3)
        start = 0.45 + 0.1 * (len(target) % 4) + 0.3 * (mode == "full_network")
        start += gain + 0.02 * (model == "resnet14")
        validated, measured = start + rng.normal(0, 0.008, 2)
        for selection in ("validation", "test"):
            better = 0.004 * (selection == "test" and seed == 1)
            rows.append(
                network(
                    target,
                    mode,
                    training,
                    seed,
                    model=model,
                    selection=selection,
                    validation_accuracy=validated - better,
                    accuracy=measured + better,
                    learning_rate=0.01 if better else 0.1,
                )
            )
    return rows


def summarise(
    folder: Path,
    rows: list[Row],
    bootstrap: int = 50,
    permutations: int = 50,
    metrics: dict[str, str] | None = None,
) -> None:
    """The table and all that is made of it, under their real names."""
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / f"{STUDY}.csv", rows, TRANSFER_COLUMNS)
    recipe = {"study": STUDY, "baseline": "natural", "metrics": metrics or {}}
    draws = {"bootstrap": bootstrap, "permutations": permutations}
    analyse(STUDY, folder, {**recipe, **draws})
