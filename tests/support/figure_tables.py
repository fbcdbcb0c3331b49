"""Small tables of both studies, random but shaped like real ones, with all their columns."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.advtransfer.plotting.labels import STATISTIC_LABELS
from workflow_scripts.studies.kinds.pairs.plotting import DIRECTIONS, MAIN_METRICS, TRANSFER_LABELS

Row = dict[str, Any]

MODELS = {
    "fcnet": "fcnet",
    "lenet": "lenet",
    "alexnet": "alexnet",
    "vgg11": "vgg",
    "resnet18": "resnet",
    "resnet50": "resnet",
    "mobilenet": "mobilenet",
}
ATTACKS = [
    *(("fgsm", "linf", epsilon / 255) for epsilon in (1, 4, 8)),
    *(("pgd", "linf", epsilon / 255) for epsilon in (1, 4, 8)),
    *(("pgd", "l2", epsilon) for epsilon in (0.25, 0.5, 1.0)),
]
TARGETS = {
    "animals": ["bird", "cat", "deer", "dog"],
    "vehicles": ["airplane", "automobile", "ship", "truck"],
}
MIXTURES = {
    "animals_0": ["airplane", "automobile", "ship", "truck"],
    "animals_25": ["bird", "automobile", "ship", "truck"],
    "animals_50": ["bird", "cat", "ship", "truck"],
    "animals_75": ["bird", "cat", "deer", "truck"],
    "animals_100": ["bird", "cat", "deer", "horse"],
}
METRICS = (*MAIN_METRICS, "alpha_2_squared", "tau_1", "transfer_success_rate")
FIRST = "adversarial_to_knowledge"
SECOND = "knowledge_to_adversarial"

# The recipe of every step: what the rules pass.
RECIPES: dict[str, Row] = {
    FIRST: {
        "study": FIRST,
        "target": "stl10",
        "reference": "resnet18",
        "attack": "pgd",
        "norm": "linf",
        "epsilon": 8 / 255,
        "metric": "alpha_1_mean",
        "direction": "reference_to_source",
    },
    SECOND: {
        "study": SECOND,
        "target": "animals",
        "reference": "resnet18",
        "attack": "pgd",
        "norm": "linf",
        "epsilon": 8 / 255,
        "metric": "alpha_1_mean",
        "direction": "source_to_reference",
        "targets": TARGETS,
        "mixtures": MIXTURES,
    },
}


def sources(study: str) -> list[Row]:
    """The sources of a study, with a hidden ``quality`` in [0, 1] that everything follows."""
    rows: list[Row] = []
    if study == FIRST:
        for index, (model, family) in enumerate(MODELS.items()):
            rows.append({"source_model": model, "source_family": family, "quality": index / 6})
        for training in ("robust_linf", "robust_l2"):
            robust = {"source_model": "resnet18", "source_family": "resnet", "quality": 0.45}
            rows.append({**robust, "source_training": training, "robust": 1})
    else:
        for index, mixture in enumerate(MIXTURES):
            row = {"source_model": "resnet18", "source_family": "resnet", "quality": index / 4}
            rows.append({**row, "mixture": mixture, "animals": 25 * index})
    for index, row in enumerate(rows):
        row.setdefault("source_training", "natural")
        row.setdefault("robust", 0)
        row.setdefault("mixture", "")
        row.setdefault("animals", "")
        row["study"] = study
        row["source"] = f"{row['mixture'] or row['source_model']}-{row['source_training']}{index}"
    return rows


def plain(row: Mapping[str, Any]) -> Row:
    """A source without its hidden quality."""
    return {key: value for key, value in row.items() if key != "quality"}


def study_targets(study: str) -> list[str]:
    return ["stl10"] if study == FIRST else list(TARGETS)


def closeness(source: Row, target: str) -> tuple[float, int]:
    """How well a source should do on a target, and the classes they share."""
    quality = 1 - source["quality"] if target == "vehicles" else source["quality"]
    shared = len(set(MIXTURES.get(source["mixture"], ())) & set(TARGETS.get(target, ())))
    return quality, shared if source["mixture"] else 9


def study_rows(study: str, rng: np.random.Generator) -> list[Row]:
    rows = []
    for source, target, source_seed in product(sources(study), study_targets(study), (0, 1)):
        quality, shared = closeness(source, target)
        last = 0.3 + 0.45 * quality + rng.normal(0, 0.02)
        fixed = {
            **plain(source),
            "source_seed": source_seed,
            "target": target,
            "shared_classes": shared,
            "reference": "resnet18",
            "n_images": 812,
            "source_accuracy": 0.6 + 0.3 * source["quality"] + rng.normal(0, 0.02),
            "last_layer_accuracy": last,
            "last_layer_loss": 2 - last,
            "full_network_accuracy": min(0.95, last + 0.15),
            "full_network_loss": 1.6 - last,
        }
        for reference_seed, (attack, norm, epsilon), direction, metric in product(
            (0, 1), ATTACKS, DIRECTIONS, METRICS
        ):
            value = (0.3 + 0.35 * quality) * 0.7 ** METRICS.index(metric)
            rows.append(
                {
                    **fixed,
                    "reference_seed": reference_seed,
                    "attack": attack,
                    "norm": norm,
                    "epsilon": epsilon,
                    "steps": 1 if attack == "fgsm" else 20,
                    "direction": direction,
                    "metric": metric,
                    "value": value * (1 + rng.normal(0, 0.08)),
                }
            )
    return rows


def correlation_rows(study: str, rng: np.random.Generator) -> list[Row]:
    rows = []
    robust = sum(source["robust"] for source in sources(study))
    natural = len(sources(study)) - robust
    for target, kind, (attack, norm, epsilon), direction, metric, transfer, statistic in product(
        study_targets(study),
        ("natural", "all") if robust else ("natural",),
        ATTACKS,
        DIRECTIONS,
        METRICS,
        TRANSFER_LABELS,
        STATISTIC_LABELS,
    ):
        value = float(np.clip(0.75 + rng.normal(0, 0.12), -0.99, 0.99))
        test = {
            "target": target,
            "metric": metric,
            "direction": direction,
            "attack": attack,
            "norm": norm,
            "epsilon": epsilon,
        }
        primary = (kind, statistic, transfer) == ("natural", "pearson", "last_layer_accuracy")
        primary &= all(RECIPES[study][key] == wanted for key, wanted in test.items())
        models = natural + (robust if kind == "all" else 0)
        rows.append(
            {
                "study": study,
                "reference": "resnet18",
                "sources": kind,
                **test,
                "transfer": transfer,
                "statistic": statistic,
                "value": value,
                "ci_low": value - 0.4 * (1.1 - value),
                "ci_high": value + 0.5 * (1 - value),
                "p_value": 0.021,
                "n_models": models,
                "n_rows": 4 * models,
                "role": "primary" if primary else "exploratory",
            }
        )
    return rows


def source_rows(study: str, rng: np.random.Generator) -> list[Row]:
    tests = (("none", "", ""), ("pgd", "linf", 4 / 255), ("pgd", "l2", 0.5))
    rows = []
    for source, seed, (attack, norm, epsilon) in product(sources(study), (0, 1), tests):
        share = 1.0 if attack == "none" else 0.55 if source["robust"] else 0.04
        rows.append(
            {
                **plain(source),
                "source_seed": seed,
                "attack": attack,
                "norm": norm,
                "epsilon": epsilon,
                "accuracy": (0.6 + 0.3 * source["quality"]) * share + abs(rng.normal(0, 0.01)),
                "n_images": 1000,
                "epochs": 20,
                "seconds": 31.5,
            }
        )
    return rows


def curve_rows(study: str, rng: np.random.Generator) -> list[Row]:
    rows = []
    for source, target, seed, mode, epoch in product(
        sources(study), study_targets(study), (0, 1), ("last_layer", "full_network"), range(1, 11)
    ):
        accuracy = (0.45 + 0.4 * closeness(source, target)[0]) * (1 - np.exp(-epoch / 3))
        rows.append(
            {
                **plain(source),
                "source_seed": seed,
                "target": target,
                "mode": mode,
                "epoch": epoch,
                "train_loss": 2.3 * np.exp(-epoch / 5),
                "test_accuracy": accuracy + rng.normal(0, 0.012),
                "test_loss": 2.2 - accuracy,
            }
        )
    return rows


def per_image_rows(study: str, rng: np.random.Generator, images: int = 250) -> list[Row]:
    rows = []
    for source in sources(study):
        for target in study_targets(study):
            quality, _ = closeness(source, target)
            for direction in DIRECTIONS:
                alpha = rng.gamma(4, (0.3 + 0.3 * quality) / 4, images)
                loss = rng.gamma(1.2, 1.4 - quality, images) * np.exp(-0.6 * alpha)
                for image in range(images):
                    rows.append(
                        {
                            **plain(source),
                            "target": target,
                            "reference": "resnet18",
                            "direction": direction,
                            "image": image,
                            "alpha_1": alpha[image] if image else "",
                            "transferred_loss": loss[image] + 1,
                            "transfer_loss": loss[image],
                        }
                    )
    return rows


def write(path: Path, rows: Sequence[Row]) -> Path:
    with open(path, "w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def make_tables(folder: Path) -> None:
    """All tables of both studies, under their real names."""
    rng = np.random.default_rng(0)
    correlations: list[Row] = []
    for study in (FIRST, SECOND):
        write(folder / f"{study}.csv", study_rows(study, rng))
        write(folder / f"{study}_sources.csv", source_rows(study, rng))
        write(folder / f"{study}_curves.csv", curve_rows(study, rng))
        write(folder / f"{study}_per_image.csv", per_image_rows(study, rng))
        correlations += correlation_rows(study, rng)
    write(folder / "correlations.csv", correlations)


# The study of data efficiency ---------------------------------------------------------------------

EFFICIENCY = "data_efficiency"
# training: what it adds to the accuracy on (near, far) targets, share of it left under attack,
# forward and backward passes per image
TRAININGS = {
    "natural": (0.0, 0.0, 0.05, 6),
    "natural_equal_cost": (0.02, -0.01, 0.04, 24),
    "robust_l2_quarter": (0.01, 0.10, 0.45, 24),
    "robust_l2": (-0.01, 0.15, 0.60, 24),
    "robust_linf_half": (0.0, 0.12, 0.50, 24),
    "robust_linf": (-0.03, 0.13, 0.62, 24),
    "fast_linf": (-0.02, 0.08, 0.45, 12),
    "free_linf": (-0.04, 0.07, 0.40, 12),
    "untrained": (-0.25, -0.20, 0.02, 0),
}
DISTANCES = {"near": 4.0, "mnist": 31.0, "fashion_mnist": 24.0}
# part of the grid: trainings (none: all), numbers of blocks, numbers of images
PAIR = ("natural", "robust_l2")
GRIDS: dict[str, tuple[Sequence[str], Sequence[str], Sequence[int]]] = {
    "heads": ((), ("0",), (100, 200, 400, 800, 1600, 3200, 6400)),
    "head_epochs": ((*PAIR, "robust_linf"), ("0",), (100, 400, 1600)),
    "blocks": (PAIR, ("1", "3"), (100, 400, 1600)),
    "statistics": (PAIR, ("1",), (100, 400)),
    "scratch": (("untrained",), ("all",), (100, 400, 1600)),
    "robustness": ((), ("0",), (100, 400, 1600)),
}
EFFICIENCY_RECIPE: Row = {
    "study": EFFICIENCY,
    "baseline": "natural",
    "robust": "robust_l2",
    "trainings": list(TRAININGS),
    "targets": {
        "near": ["dog", "horse", "ship", "truck"],
        "mnist": [str(digit) for digit in range(10)],
        "fashion_mnist": ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Bag"],
    },
    "grids": {
        "images": ["heads"],
        "epochs": ["head_epochs"],
        **{name: [name] for name in ("blocks", "statistics", "scratch", "robustness")},
    },
}


def of_training(training: str) -> Row:
    """The columns of a source that its training decides."""
    return {
        "study": EFFICIENCY,
        "source": f"resnet8-{training}",
        "source_model": "resnet8",
        "source_family": "resnet",
        "source_training": training,
        "robust": int("linf" in training or "l2" in training),
    }


def reached(grid: str, training: str, blocks: str, target: str, images: int, epoch: int) -> float:
    """Accuracy on a target without noise: robust sources start higher and are caught up."""
    near, far, _, _ = TRAININGS[training]
    gain = near if target == "near" else far
    doublings = np.log2(images / 100)
    accuracy = {"near": 0.62, "mnist": 0.66, "fashion_mnist": 0.60}[target] + 0.045 * doublings
    accuracy += gain * (1 - doublings / 8) * (1 + 1.5 / epoch) - 0.25 / epoch
    depth = {"0": 0.0, "1": 0.05, "3": 0.07, "all": 0.0}[blocks]
    accuracy += depth * (doublings - (3 if target == "near" else 0.5)) / 4
    return float(min(0.99, accuracy - 0.05 * (grid == "statistics")))


def difference_rows(curves: Sequence[Row]) -> list[Row]:
    """Paired differences of learning curves, as the study compares them."""
    pairs: dict[tuple[Any, ...], dict[tuple[int, int], float]] = {}
    for row in curves:
        key = (row["target"], row["grid"], row["source_training"], row["blocks"], row["images"])
        seeds = (row["source_seed"], row["subset_seed"])
        pairs.setdefault((*key, row["epoch"]), {})[seeds] = row["test_accuracy"]
    last = {row["grid"]: row["epoch"] for row in curves}
    rows = []
    for (target, grid, training, blocks, images, epoch), values in pairs.items():
        others = []
        if training != "natural":
            others.append(("training", grid, "natural", blocks, epoch))
        if grid == "blocks" and epoch == last[grid]:
            others.append(("blocks", "heads", training, "0", last["heads"]))
        if grid == "statistics" and epoch == last[grid]:
            others.append(("statistics", "blocks", training, blocks, last["blocks"]))
        for comparison, *other, other_epoch in others:
            baseline = pairs.get((target, *other, images, other_epoch))
            if baseline is None:
                continue
            gains = np.array([values[seeds] - baseline[seeds] for seeds in values])
            half = 2.3 * gains.std(ddof=1) / gains.size**0.5 if gains.size > 1 else ""
            names = ("baseline_grid", "baseline_training", "baseline_blocks")
            rows.append(
                {
                    "study": EFFICIENCY,
                    "target": target,
                    "comparison": comparison,
                    "model": "resnet8",
                    "grid": grid,
                    "training": training,
                    "blocks": blocks,
                    **dict(zip(names, other, strict=True)),
                    "images": images,
                    "epoch": epoch,
                    "last": int(epoch == last[grid]),
                    "quantity": "accuracy",
                    "value": gains.mean(),
                    "ci_low": gains.mean() - half if half != "" else "",
                    "ci_high": gains.mean() + half if half != "" else "",
                    "mean": np.mean(list(values.values())),
                    "baseline_mean": np.mean(list(baseline.values())),
                    "n_source_seeds": len({seed for seed, _ in values}),
                    "n_subset_seeds": len({seed for _, seed in values}),
                }
            )
    return rows


def make_efficiency_tables(
    folder: Path, source_seeds: int = 3, subset_seeds: int = 2, epochs: int = 15
) -> None:
    """All tables of the study, under their real names."""
    rng = np.random.default_rng(0)
    seeds = list(product(range(source_seeds), range(subset_seeds)))
    transfers, curves, robustness = [], [], []
    for grid, (trainings, numbers, sizes) in GRIDS.items():
        solved = grid in ("heads", "robustness")
        for training, blocks, target, images, (seed, subset_seed) in product(
            trainings or TRAININGS, numbers, DISTANCES, sizes, seeds
        ):
            luck = rng.normal(0, 0.02 * (100 / images) ** 0.3)
            fixed = {
                **of_training(training),
                "source_seed": seed,
                "target": target,
                "grid": grid,
                "mode": "last_layer" if blocks == "0" else "unfrozen_blocks",
                "solver": "lbfgs" if solved else "sgd",
                "blocks": blocks,
                "moving_statistics": int(grid == "statistics"),
                "images": images,
                "subset_seed": subset_seed,
            }
            accuracy = 0.0
            length = epochs if grid == "head_epochs" else 1
            for epoch in range(1, length + 1):
                when = epoch if length > 1 else 15
                accuracy = reached(grid, training, blocks, target, images, when) + luck
                step = {"epoch": epoch, "train_loss": 1 - accuracy, "test_loss": 1.2 - accuracy}
                curves.append({**fixed, **step, "test_accuracy": accuracy})
            last = {"epochs": length, "accuracy": accuracy, "best_accuracy": accuracy + 0.002}
            more = {"loss": 1.2 - accuracy, "regularization": 0.01 if solved else ""}
            transfers.append({**fixed, **last, **more, "n_test": 1000})
            tests: list[tuple[str, str, Any, Any, float]] = [("none", "none", 0.0, 0, 1.0)]
            share = TRAININGS[training][2]
            tests.append(("pgd", "linf", 2 / 255, 10, share))
            tests.append(("pgd", "l2", 0.25, 10, share + 0.05))
            for attack, norm, epsilon, steps, left in tests if grid == "robustness" else ():
                test = {"attack": attack, "norm": norm, "epsilon": epsilon, "steps": steps}
                part = {"accuracy": accuracy * left, "n_images": 200}
                robustness.append({**fixed, "epoch": 1, **test, **part})
    write(folder / f"{EFFICIENCY}.csv", transfers)
    write(folder / f"{EFFICIENCY}_curves.csv", curves)
    write(folder / f"{EFFICIENCY}_robustness.csv", robustness)
    write(folder / f"{EFFICIENCY}_differences.csv", difference_rows(curves))

    costs, similarity = [], []
    for (training, (gain, _, share, passes)), seed in product(
        TRAININGS.items(), range(source_seeds)
    ):
        for attack, norm, epsilon in (
            ("none", "none", 0.0),
            ("pgd", "linf", 4 / 255),
            ("pgd", "l2", 0.5),
        ):
            left = 1.0 if attack == "none" else share
            costs.append(
                {
                    **of_training(training),
                    "mixture": "",
                    "animals": "",
                    "source_seed": seed,
                    "attack": attack,
                    "norm": norm,
                    "epsilon": epsilon,
                    "accuracy": (0.8 + 2 * gain) * left + rng.normal(0, 0.005),
                    "n_images": 1000,
                    "epochs": passes,
                    "passes": passes,
                    "seconds": f"{passes * 12.5:.1f}",
                }
            )
        for measure, (target, distance) in product(("frechet", "mmd"), DISTANCES.items()):
            if training == "natural":
                value = distance if measure == "frechet" else distance / 50
                row = {**of_training(training), "source_seed": seed, "target": target}
                row |= {"measure": measure, "value": value * (1 + rng.normal(0, 0.06))}
                similarity.append({**row, "n_source": 1000, "n_target": 1000})
    write(folder / f"{EFFICIENCY}_sources.csv", costs)
    write(folder / f"{EFFICIENCY}_similarity.csv", similarity)
