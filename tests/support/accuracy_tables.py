"""Small tables of accuracy_and_robustness, random but shaped like real ones."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from support.figure_tables import Row, write
from support.parts import analyse

STUDY = "accuracy_and_robustness"
ARCHITECTURES = (
    *("mlp", "lenet", "alexnet", "vgg", "resnet8", "resnet14", "densenet", "convmixer"),
)
WIDTHS = {"resnet8_w8": 8, "resnet8": 16, "resnet8_w32": 32}
TRAININGS = {
    "natural": ("", 0.0),
    "robust_l2_quarter": ("l2", 0.25),
    "robust_l2": ("l2", 0.5),
}
TARGETS = {
    "near": ["dog", "horse", "ship", "truck"],
    "mnist": [str(digit) for digit in range(10)],
    "fashion_mnist": ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Bag"],
}
MODES = ("last_layer", "full_network")
RELATE_RECIPE: Row = {
    "study": STUDY,
    "architectures": list(ARCHITECTURES),
    "widths": WIDTHS,
    "baseline": "natural",
    "metrics": {},
    "robustness": {"attack": "pgd", "norm": "l2", "epsilon": 0.5},
    "known_accuracy": [],
    "bootstrap": 200,
    "permutations": 200,
}
FIGURE_RECIPE: Row = {
    "study": STUDY,
    "baseline": "natural",
    "trainings": list(TRAININGS),
    "targets": TARGETS,
}


def network_rows(seeds: int, rng: np.random.Generator) -> tuple[list[Row], list[Row]]:
    """Transferred networks and their sources. Transfer follows accuracy and robustness; robust
    networks go on improving from width 16 to 32."""
    networks, sources = [], []
    models = dict.fromkeys([*ARCHITECTURES, *WIDTHS])
    for (index, model), (training, (norm, epsilon)), seed in product(
        enumerate(models), TRAININGS.items(), range(seeds)
    ):
        quality = min(index, 7) / 7
        if model in WIDTHS:
            quality = 0.7 + 0.1 * (np.log2(WIDTHS[model]) - 4 if epsilon else WIDTHS[model] > 8)
        clean = 0.5 + 0.35 * quality - 0.2 * epsilon + rng.normal(0, 0.01)
        robust = 0.1 + 0.6 * epsilon * clean / 0.8 + rng.normal(0, 0.01)
        source: Row = {
            "study": STUDY,
            "source": f"{model}-{training}",
            "source_model": model,
            "source_family": "resnet" if "resnet" in model else model,
            "source_training": training,
            "robust": int(epsilon > 0),
            "source_norm": norm,
            "source_epsilon": epsilon,
            "source_seed": seed,
        }
        for attack, radius, accuracy in (("none", 0.0, clean), ("pgd", 0.5, robust)):
            test = {"attack": attack, "norm": "none" if attack == "none" else "l2"}
            cost: Row = {"n_images": 300, "epochs": 6, "passes": 6, "seconds": 10.0}
            sources.append({**source, **test, "epsilon": radius, "accuracy": accuracy, **cost})
        for target, mode in product(TARGETS, MODES):
            gain = {"near": 0.6, "mnist": 0.9, "fashion_mnist": 0.2}[target]
            accuracy = 0.3 + 0.5 * clean + gain * robust * (mode == "last_layer")
            accuracy += rng.normal(0, 0.01)
            networks.append(
                {
                    **source,
                    "trial": 0,
                    "target": target,
                    "mode": mode,
                    "solver": "sgd",
                    "selection": "validation",
                    "learning_rate": 0.1,
                    "regularization": "",
                    "images": 2000,
                    "epochs": 30,
                    "accuracy": accuracy,
                    "class_mean_accuracy": accuracy,
                    "loss": 1 - accuracy,
                    "n_test": 2000,
                }
            )
            networks.append({**networks[-1], "selection": "test", "accuracy": accuracy + 0.001})
    return networks, sources


def relate(folder: Path, networks: list[Row], sources: list[Row], **recipe: Any) -> Path:
    """The tables that the analysis makes of these two."""
    write(folder / f"{STUDY}.csv", networks)
    write(folder / f"{STUDY}_sources.csv", sources)
    analyse(STUDY, folder, {**RELATE_RECIPE, **recipe})
    return folder


def make_accuracy_tables(folder: Path, seeds: int = 3, **recipe: Any) -> Path:
    """All tables of the study, under their real names."""
    return relate(folder, *network_rows(seeds, np.random.default_rng(0)), **recipe)
