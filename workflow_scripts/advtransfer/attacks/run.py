"""Running attacks on many images: batches, labels, restarts and precision.

An attack is a module of ``advtransfer.attacks`` with a function
``perturb(network, images, labels, recipe, generator) -> delta``, loaded by the name in its recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from tqdm import tqdm

from ..data.batches import as_float
from ..epsilon import check_radius
from ..errors import UserError
from ..models.inference import BATCH, predict
from ..models.network import Network, inference_copy
from .recipe import AttackRecipe, attack_label

NORMS = ("linf", "l2")  # norms of an attack whose module has no NORMS
NOT_ATTACKS = {"__init__", "ball", "block_recipe", "recipe", "run"}
Perturb = Callable[
    [Callable[..., torch.Tensor], torch.Tensor, torch.Tensor, AttackRecipe, torch.Generator],
    torch.Tensor,
]


def known_attacks() -> list[str]:
    """Return the names of all attacks, sorted."""
    return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem not in NOT_ATTACKS)


def load_attack(recipe: AttackRecipe, pixels: int | None = None) -> Perturb:
    """Return the ``perturb`` function of a recipe's attack.

    Args:
        pixels: number of values of an image (C * H * W), from which the largest radius in l2
            follows; None: unknown.

    Raises:
        UserError: There is no such attack, or a setting is invalid.
    """
    if recipe.attack not in known_attacks():
        raise UserError(
            f"unknown attack '{recipe.attack}'; there are {', '.join(known_attacks())} "
            "(docs/add-an-attack.md says how to add one)."
        )
    if recipe.epsilon < 0 or recipe.steps < 1 or recipe.restarts < 1:
        raise UserError(
            f"attack '{recipe.attack}': epsilon must not be negative ({recipe.epsilon}), steps "
            f"({recipe.steps}) and restarts ({recipe.restarts}) must be at least 1."
        )
    module = import_module(f".{recipe.attack}", __package__)
    norms = getattr(module, "NORMS", NORMS)
    if recipe.norm not in norms:
        raise UserError(
            f"attack '{recipe.attack}': norm is {' or '.join(norms)}, not '{recipe.norm}'."
        )
    check_radius(f"attack '{recipe.attack}', epsilon", recipe.norm, recipe.epsilon, pixels)
    if recipe.step_size is not None:
        check_radius(f"attack '{recipe.attack}', step_size", recipe.norm, recipe.step_size, pixels)
    perturb: Perturb = module.perturb
    return perturb


def attack_images(
    network: torch.nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    recipe: AttackRecipe,
    generator: torch.Generator,
) -> torch.Tensor:
    """Return the perturbations of all images under one attack.

    Of several ``restarts``, each image keeps the perturbation with the highest loss.

    Args:
        network: function from images to logits, frozen, already in the recipe's precision.
        images: uint8 or float32 in [0, 1], (N, C, H, W).
        labels: int64 (N,), the labels that the attack moves away from.

    Returns:
        float32 (N, C, H, W) on the images' device.
    """
    perturb = load_attack(recipe, images.shape[1:].numel())
    restarts = recipe.restarts
    count = max(1, BATCH // restarts)  # a batch holds all restarts of its images
    deltas = []
    bar = tqdm(
        range(0, len(images), count),
        desc=attack_label(recipe),
        unit="batch",
        disable=None,
        leave=False,
    )
    for start in bar:
        batch, target = images[start : start + count], labels[start : start + count]
        batch = as_float(batch) if batch.dtype == torch.uint8 else batch
        if restarts > 1:
            batch, target = torch.cat([batch] * restarts), target.repeat(restarts)
        delta = perturb(network, batch, target, recipe, generator)
        if restarts > 1:
            best = _losses(network, batch + delta, target).view(restarts, -1).argmax(0)
            delta = delta[best * len(best) + torch.arange(len(best), device=best.device)]
        deltas.append(delta)
    return torch.cat(deltas)


@torch.no_grad()
def _losses(network: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(network(images), labels, reduction="none")


def robust_accuracies(
    network: Network,
    images: torch.Tensor,
    labels: torch.Tensor,
    attacks: Sequence[AttackRecipe],
    seeds: Sequence[int],
) -> Iterator[dict[str, Any]]:
    """Yield rows with the accuracy on clean images, then under each attack with its random seed.

    Images that are misclassified without an attack count as errors under every attack.

    Args:
        network: network in evaluation mode.
        images: uint8 or float32 in [0, 1], (N, C, H, W).
        labels: int64 (N,).
    """
    images = as_float(images) if images.dtype == torch.uint8 else images
    right = predict(network, images).argmax(1) == labels
    accuracy = int(right.sum()) / len(images)
    yield {
        "attack": "none",
        "norm": "none",
        "epsilon": 0.0,
        "steps": 0,
        "accuracy": accuracy,
        "n_images": len(images),
    }
    kept, true = images[right], labels[right]
    copies = AttackedCopies(network)
    for attack, seed in zip(attacks, seeds, strict=True):
        survived = 0
        if len(kept):
            generator = torch.Generator().manual_seed(seed)
            delta = attack_images(copies[attack.precision], kept, true, attack, generator)
            survived = int((predict(network, kept + delta).argmax(1) == true).sum())
        yield {
            "attack": attack.attack,
            "norm": attack.norm,
            "epsilon": attack.epsilon,
            "steps": attack.steps,
            "accuracy": survived / len(images),
            "n_images": len(images),
        }


def attack_labels(
    recipe: AttackRecipe, logits: torch.Tensor, true_labels: torch.Tensor | None
) -> torch.Tensor:
    """Return the labels that the attack moves away from: the network's predictions or true labels.

    Raises:
        UserError: The attack needs true labels, but the network has other classes than the view.
    """
    if recipe.labels == "predicted":
        return logits.argmax(1)
    if true_labels is None:
        raise UserError(
            f"attack '{recipe.attack}' asks for labels: true, but the attacked network knows other "
            "classes than the view it is attacked on; use labels: predicted."
        )
    return true_labels


class AttackedCopies:
    """Frozen copies of one network, one for each precision, made when they are first used."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._copies: dict[str, Network] = {}

    def __getitem__(self, precision: str) -> Network:
        if precision not in self._copies:
            self._copies[precision] = inference_copy(self._network, precision)
        return self._copies[precision]
