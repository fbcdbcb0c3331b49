"""Trained networks and real images for the suites, made once and kept in benchmarks/cache.

The images are CIFAR-10: from results/ if a run of the project has left them there, else fetched by
the same code. A network's file name holds the digest of its recipe, so a changed recipe is trained
anew. ``--quick`` takes random pixels and narrow untrained networks in their place.
"""

from __future__ import annotations

import argparse
import copy
import functools
from pathlib import Path

import numpy as np
import torch

from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
from workflow_scripts.advtransfer.data.batches import to_device
from workflow_scripts.advtransfer.data.datasets.cifar10 import DATASET
from workflow_scripts.advtransfer.data.recipe import DatasetRecipe
from workflow_scripts.advtransfer.data.view_recipe import ViewRecipe
from workflow_scripts.advtransfer.models.network import Network
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.models.zoo import build_network, load_checkpoint, save_checkpoint
from workflow_scripts.advtransfer.recipes import derived_seed, digest, to_json
from workflow_scripts.advtransfer.training.recipe import SourceRecipe, TrainingRecipe

from .harness import CACHE, Settings

ROOT = Path(__file__).parents[1]
CIFAR10 = DatasetRecipe("cifar10")
CLASSES = DATASET.class_names
SIX_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "frog")
SIZE = 32
TRAINING_IMAGES = 10_000

RESNET18 = ModelRecipe("resnet", {"width": 64, "blocks": [2, 2, 2, 2], "stem_stride": 1})
LENET = ModelRecipe("lenet", {"width": 6})
RESNET8 = ModelRecipe("resnet", {"width": 16, "blocks": [1, 1, 1], "stem_stride": 2})


def _training(
    epochs: int, learning_rate: float, attack: AttackRecipe | None = None
) -> TrainingRecipe:
    return TrainingRecipe(
        epochs=epochs,
        batch_size=128,
        learning_rate=learning_rate,
        nesterov=True,
        weight_decay=5e-4,
        schedule="one_cycle",
        augmentation="crop_flip",
        attack=attack,
        precision="bf16",
    )


def _robust(norm: str, epsilon: float) -> AttackRecipe:
    return AttackRecipe(
        "pgd", norm, epsilon, steps=3, random_start=True, labels="true", precision="bf16"
    )


def _source(
    model: ModelRecipe,
    training: TrainingRecipe,
    images: int = TRAINING_IMAGES,
    classes: tuple[str, ...] = CLASSES,
) -> SourceRecipe:
    return SourceRecipe(ViewRecipe(CIFAR10, "train", classes, images=images), model, training)


# The small ones are trained as the default configuration does it.
RECIPES = {
    "resnet18": _source(RESNET18, _training(2, 0.1)),
    "lenet": _source(LENET, _training(5, 0.05)),
    "resnet8": _source(RESNET8, _training(6, 0.2)),
    "resnet8_six_classes": _source(RESNET8, _training(6, 0.2), classes=SIX_CLASSES),
    "resnet8_linf": _source(RESNET8, _training(6, 0.2, _robust("linf", 4 / 255))),
    "resnet8_l2": _source(RESNET8, _training(6, 0.2, _robust("l2", 0.5))),
    # Not from scratch, which would take minutes for each: it goes on from resnet18.
    "resnet18_tuned": _source(RESNET18, _training(1, 0.1), images=1_000),
}
GOES_ON_FROM = {"resnet18_tuned": "resnet18"}


def network(name: str, settings: Settings, seed: int = 0) -> Network:
    """A network of ``RECIPES`` in evaluation mode, trained now if it is not in the cache.

    Its classes are CIFAR-10's ten unless its name says otherwise. Different seeds have different
    weights, order and augmentation.
    """
    recipe = RECIPES[name]
    classes = recipe.view.classes
    device = torch.device(settings.device)
    if settings.quick:
        narrow = {"width": 8} if recipe.model.family == "resnet" else {}
        model = ModelRecipe(recipe.model.family, recipe.model.parameters | narrow)
        torch.manual_seed(seed)
        return build_network(model, len(classes), SIZE).to(device).eval()
    start = GOES_ON_FROM.get(name)
    made_from = digest([recipe] if start is None else [recipe, RECIPES[start]])
    path = CACHE / f"{name}-{made_from}-seed{seed}.safetensors"
    if not path.exists():
        first = None if start is None else network(start, settings)
        save_checkpoint(path, trained(recipe, seed, settings, first), recipe.model, classes, SIZE)
    return load_checkpoint(path, device)[0]


def trained(
    recipe: SourceRecipe, seed: int, settings: Settings, start: Network | None = None
) -> Network:
    """A network fitted by a recipe, from random weights or from ``start``, which is changed."""
    from workflow_scripts.advtransfer.training.fit import Execution, fit

    view = recipe.view
    images, labels = cifar10(view.split, view.images or 0, settings, seed, view.classes)
    torch.manual_seed(derived_seed(recipe, seed, "initialisation"))
    fitted = start or build_network(recipe.model, len(view.classes), SIZE).to(images.device)
    fit(
        fitted,
        images,
        labels,
        recipe.training,
        seed=derived_seed(recipe, seed, "training"),
        execution=Execution(f"{recipe.model.family} for the benchmarks"),
    )
    return fitted


def cifar10(
    split: str,
    count: int,
    settings: Settings,
    seed: int = 0,
    classes: tuple[str, ...] = CLASSES,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images as a step of the workflow sees them, as even over the classes as it can be.

    Returns:
        uint8 (count, 3, 32, 32), channels-last in memory, and labels int64 (count,): positions in
        ``classes``.
    """
    device = torch.device(settings.device)
    if settings.quick:
        generator = torch.Generator().manual_seed(seed)
        pixels = torch.randint(
            0, 256, (count, SIZE, SIZE, 3), generator=generator, dtype=torch.uint8
        )
        labels = torch.arange(count) % len(classes)
        return to_device(pixels.numpy(), device), labels.to(device)
    from workflow_scripts.advtransfer.data.views import select

    all_images, all_labels = _split(split)
    view = ViewRecipe(CIFAR10, split, classes, images=count, subset_seed=seed)
    chosen = select(view, all_labels, list(CLASSES))
    position = np.full(len(CLASSES), -1)
    position[[CLASSES.index(name) for name in classes]] = np.arange(len(classes))
    labels = torch.from_numpy(position[all_labels[chosen]]).to(device)
    return to_device(all_images[chosen], device), labels


@functools.cache
def _split(split: str) -> tuple[np.ndarray, np.ndarray]:
    from workflow_scripts.advtransfer.artifacts.hdf5 import read_hdf5

    names = [f"{split}/images", f"{split}/labels"]
    arrays, _ = read_hdf5(_dataset_file(), names)
    return arrays[names[0]], arrays[names[1]]


def _dataset_file() -> Path:
    from workflow_scripts import fetch_dataset
    from workflow_scripts.advtransfer.addresses import dataset_path

    found = ROOT / dataset_path(CIFAR10)
    kept = CACHE / found.name
    if not found.exists() and not kept.exists():
        fetch_dataset.main(
            argparse.Namespace(
                recipe=to_json(CIFAR10),
                providers=["official", "registry"],
                local=None,
                downloads=CACHE / "downloads",
                output=kept,
            )
        )
    return found if found.exists() else kept


def use_threads(name: str, settings: Settings) -> str:
    """Set the threads for a network, and say how many where they are not the run's.

    Small networks get one, as the workflow's jobs do: its jobs use a second core better.
    """
    threads = 1 if name == "lenet" else settings.threads
    torch.set_num_threads(threads)
    return "" if threads == settings.threads else ", one thread"


def contiguous(model: torch.nn.Module) -> torch.nn.Module:
    """A copy in torch's default memory format, its parameters trainable: what peers are given."""
    duplicate = copy.deepcopy(model).requires_grad_(True)
    return duplicate.to(memory_format=torch.contiguous_format)
