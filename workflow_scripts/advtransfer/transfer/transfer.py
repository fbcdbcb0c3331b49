"""Knowledge transfer: a source's network carried over to a target, by last layer, by its last
blocks or as a whole."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..attacks.run import predict
from ..data.batches import as_float
from ..device import autocast
from ..models.network import Network, inference_copy
from ..recipes import ModeRecipe
from ..training.fit import HistoryRow, fit
from .heads import solve_head, solve_subsets
from .modes import check_mode, has_fixed_activations, has_still_trunk

log = logging.getLogger("advtransfer")

# Activations of a frozen trunk are kept where they take no more; else the trunk runs every batch.
CACHE_BYTES = 4 * 1024**3


@dataclass
class Transferred:
    """Outcome on the target's test images: logits (N, classes) float32, one row an epoch."""

    logits: torch.Tensor
    history: list[HistoryRow]
    network: Network


def transfer(
    source: Network,
    train: tuple[torch.Tensor, torch.Tensor],
    test: tuple[torch.Tensor, torch.Tensor],
    classes: int,
    recipe: ModeRecipe,
    seed: int,
) -> Transferred:
    """Carry ``source`` (left as it is) over to a target.

    Args:
        train, test: uint8 images (N, 3, H, W) and int64 labels, on the source's device.
        classes: of the target.
        recipe: ``last_layer`` trains only a new head, ``unfrozen_blocks`` the last ``blocks``
            blocks with it, ``full_network`` everything. Below ``unfrozen_blocks`` batch norm
            statistics never move, unless ``moving_statistics``; elsewhere,
            ``training.batch_norm`` decides. Of several ``regularizations`` one is chosen as in
            `subsets.solve_subsets`, and stands in the history.

    Raises:
        UserError: unknown mode or solver, a mode without its training or with fields of another
            one, or more blocks than the network has.
    """
    check_mode(recipe)
    network = copy.deepcopy(source)
    fresh_head(network, classes, recipe, seed)
    history: list[HistoryRow]
    if recipe.solver == "lbfgs":
        features = penultimate(network, train[0], recipe.precision)
        row: HistoryRow = {"epoch": 1}
        if recipe.regularizations:
            everything = torch.arange(len(features), device=features.device)[None]
            weights, biases, chosen, losses = solve_subsets(
                features, train[1], everything, classes, recipe.regularizations
            )
            with torch.no_grad():
                network.head.weight.copy_(weights[0])
                network.head.bias.copy_(biases[0])
            row |= {"train_loss": float(losses[0]), "regularization": float(chosen[0])}
        else:
            row["train_loss"] = solve_head(network.head, features, train[1], recipe.regularization)
        history = [row | accuracy_and_loss(network, *test)]
        logits = predict(network, test[0])
    else:
        history, logits = _iterated(network, train, test, recipe, seed)
    accuracy = float((logits.argmax(1) == test[1]).float().mean())
    log.info("%s: accuracy %.4f on %d test images", recipe.mode, accuracy, len(test[1]))
    return Transferred(logits, history, network)


def fresh_head(network: Network, classes: int, recipe: ModeRecipe, seed: int) -> None:
    """A new head, drawn by torch's global random state, which is seeded first."""
    torch.manual_seed(seed)
    network.replace_head(classes)
    if recipe.initial_head == "normal":
        with torch.no_grad():
            network.head.weight.normal_()
            network.head.bias.zero_()


def _iterated(
    network: Network,
    train: tuple[torch.Tensor, torch.Tensor],
    test: tuple[torch.Tensor, torch.Tensor],
    recipe: ModeRecipe,
    seed: int,
) -> tuple[list[HistoryRow], torch.Tensor]:
    """Trains what the mode trains, by SGD: history, and logits on the test images."""
    training = recipe.training
    assert training is not None
    trained: Network = network
    parameters = None
    if recipe.mode != "full_network":
        trunk, tail = network.split(recipe.blocks)
        parameters = list(tail.parameters())
        network.frozen_blocks = tail.cut if has_still_trunk(recipe) else 0
        if has_fixed_activations(recipe):
            one = activations(trunk, train[0][:1], "fp32")
            if one.numel() * one.element_size() * (len(train[0]) + len(test[0])) <= CACHE_BYTES:
                # Each as the training loop and `predict` would run it.
                train = activations(trunk, train[0], training.precision), train[1]
                test = activations(trunk, test[0], "fp32"), test[1]
                trained = tail
    fitted = fit(
        trained,
        *train,
        training,
        seed=seed,
        parameters=parameters,
        evaluate=lambda: accuracy_and_loss(trained, *test),
        name=recipe.mode,
    )
    network.eval().frozen_blocks = 0  # free again, for whoever trains it next
    return fitted.history, predict(trained, test[0])


@torch.no_grad()
def activations(
    trunk: torch.nn.Module, images: torch.Tensor, precision: str, batch: int = 250
) -> torch.Tensor:
    """Outputs (N, ...) of a trunk, in evaluation mode, for uint8 images.

    float32; bf16 where autocast at ``precision: bf16`` leaves that.
    """
    trunk.eval()
    found = torch.empty(0)
    with autocast(images.device, precision):
        for start in range(0, len(images), batch):
            part = trunk(as_float(images[start : start + batch]))
            if not start:  # filled in place: a list of parts and their whole would take twice this
                found = part.new_empty((len(images), *part.shape[1:]))
            found[start : start + batch] = part
    return found


@torch.no_grad()
def penultimate(
    network: Network, images: torch.Tensor, precision: str = "fp32", batch: int = 250
) -> torch.Tensor:
    """Features float32 (N, features) of uint8 images, from an `inference_copy`."""
    copied = inference_copy(network, precision)
    return torch.cat(
        [
            copied.features(as_float(images[k : k + batch])).float()
            for k in range(0, len(images), batch)
        ]
    )


def accuracy_and_loss(network: Network, images: torch.Tensor, labels: torch.Tensor) -> HistoryRow:
    """``test_accuracy`` and ``test_loss`` (mean cross-entropy) in float32."""
    logits = predict(network, images)
    return {
        "test_accuracy": float((logits.argmax(1) == labels).float().mean()),
        "test_loss": float(F.cross_entropy(logits, labels)),
    }
