"""Small tables of the study of granularity, random but shaped like real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from support.figure_tables import Row, write
from workflow_scripts.studies.granularity.ranking import Ranking, ranking_tables
from workflow_scripts.studies.kinds.whole_targets.columns import TRANSFER_COLUMNS

STUDY = "granularity"
EPSILONS = {
    "natural": 0.0,
    "robust_l2_eighth": 0.125,
    "robust_l2_quarter": 0.25,
    "robust_l2": 0.5,
    "robust_l2_one": 1.0,
}
# target: dataset, resolution, best coordinate
TARGETS = {
    "near_4": ("cifar10", 4, 2.8),
    "near_8": ("cifar10", 8, 2.4),
    "near_16": ("cifar10", 16, 1.9),
    "near": ("cifar10", 32, 1.3),
    "animals_vehicles": ("cifar10", 32, 1.0),
    "mnist_7": ("mnist", 7, 2.9),
    "mnist_14": ("mnist", 14, 2.6),
    "mnist": ("mnist", 28, 2.5),
    "fashion_mnist_7": ("fashion_mnist", 7, 2.2),
    "fashion_mnist_14": ("fashion_mnist", 14, 1.7),
    "fashion_mnist": ("fashion_mnist", 28, 1.1),
}
SERIES = {
    "near": ["near_4", "near_8", "near_16", "near"],
    "mnist": ["mnist_7", "mnist_14", "mnist"],
    "fashion_mnist": ["fashion_mnist_7", "fashion_mnist_14", "fashion_mnist"],
}
RANKING: dict[str, Any] = {
    "study": STUDY,
    "estimator": "vertex",
    "temperature": 0.01,
    "measure": "class_separation",
    "basis": "features",
    "bootstrap": 60,
    "permutations": 60,
}
RECIPE: dict[str, Any] = {**RANKING, "series": SERIES, "model": "resnet8", "baseline": "natural"}


def transfers(seeds: int = 3, noise: float = 0.004) -> list[Row]:
    """Parabolas over the coordinate of epsilon, and noise of the seeds."""
    rng = np.random.default_rng(0)
    rows = []
    for training, epsilon in EPSILONS.items():
        where = np.log2(1 + epsilon / 0.125)
        for seed in range(seeds):
            for target, (_, _, peak) in TARGETS.items():
                accuracy = 0.7 - 0.02 * (where - peak) ** 2 + rng.normal(0, noise)
                row = {
                    **dict.fromkeys(TRANSFER_COLUMNS, ""),
                    "study": STUDY,
                    "source": f"resnet-{training}",
                    "source_model": "resnet8",
                    "source_family": "resnet",
                    "source_training": training,
                    "robust": int(epsilon > 0),
                    "source_norm": "l2" if epsilon else "",
                    "source_epsilon": epsilon,
                    "source_seed": seed,
                    "trial": 0,
                    "target": target,
                    "mode": "last_layer",
                    "solver": "lbfgs",
                    "selection": "validation",
                    "accuracy": accuracy,
                    "n_test": 1000,
                }
                rows.append({key: str(value) for key, value in row.items()})
    return rows


def measures(seeds: int = 3) -> list[Row]:
    rng = np.random.default_rng(1)
    rows = []
    for target, (dataset, side, peak) in TARGETS.items():
        fixed = {
            "study": STUDY,
            "source_model": "resnet8",
            "source_training": "natural",
            "target": target,
            "dataset": dataset,
            "detail": side,
            "labels": 4,
            "n_images": 2000,
        }
        values = {
            ("resolution", "pixels"): side,
            ("spectral_slope", "pixels"): -2 - peak,
            ("mean_frequency", "pixels"): side / 10,
            ("twonn", "pixels"): 10 + rng.normal(),
            ("levina_bickel", "pixels"): 12 + rng.normal(),
        }
        if dataset == "cifar10":
            values["label_depth", "labels"] = 0.0 if target.startswith("animals") else 0.67
        for (measure, basis), value in values.items():
            row = {**fixed, "source_seed": "", "measure": measure, "basis": basis}
            rows.append({**row, "value": value})
        for seed in range(seeds):
            for measure, value in (("class_separation", 1 / peak), ("twonn", 8 + rng.normal())):
                row = {**fixed, "source_seed": seed, "measure": measure, "basis": "features"}
                rows.append({**row, "value": value * rng.uniform(0.95, 1.05)})
    return [{key: str(value) for key, value in row.items()} for row in rows]


def make_tables(folder: Path, seeds: int = 3) -> None:
    """All tables of the study, the last two by the study's own code."""
    known, taken = transfers(seeds), measures(seeds)
    ranking = Ranking(**RANKING)
    (best_columns, best), (prediction_columns, prediction) = ranking_tables(known, taken, ranking)
    for name, columns, rows in (
        ("table", list(known[0]), known),
        ("measures", list(taken[0]), taken),
        ("best", best_columns, best),
        ("prediction", prediction_columns, prediction),
    ):
        write(folder / f"{name}.csv", [{c: row.get(c, "") for c in columns} for row in rows])
