"""Knowledge transfer: a source's network carried over to a target, by last layer or as a whole."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..attacks.run import predict
from ..errors import UserError
from ..models.network import Network
from ..recipes import ModeRecipe
from ..training.fit import HistoryRow, fit
from .heads import solve_head

log = logging.getLogger("advtransfer")


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
        recipe: ``last_layer`` trains only a new head, ``full_network`` everything.

    Raises:
        UserError: unknown mode or solver, or a mode without its training.
    """
    network = copy.deepcopy(source)
    torch.manual_seed(seed)
    network.replace_head(classes)
    history: list[HistoryRow]
    if recipe.mode == "last_layer" and recipe.solver == "lbfgs":
        with torch.no_grad():
            features = penultimate(network, train[0])
        loss = solve_head(network.head, features, train[1], recipe.regularization)
        history = [{"epoch": 1, "train_loss": loss, **accuracy_and_loss(network, *test)}]
    elif recipe.mode in ("last_layer", "full_network") and recipe.solver == "sgd":
        if recipe.training is None:
            raise UserError(f"transfer mode '{recipe.mode}' by sgd needs a `training`.")
        parameters = network.head.parameters() if recipe.mode == "last_layer" else None
        history = fit(
            network,
            *train,
            recipe.training,
            seed=seed,
            parameters=parameters,
            evaluate=lambda: accuracy_and_loss(network, *test),
            name=recipe.mode,
        ).history
    else:
        raise UserError(
            f"no transfer mode '{recipe.mode}' with solver '{recipe.solver}'; there are last_layer "
            "(lbfgs or sgd) and full_network (sgd)."
        )
    logits = predict(network, test[0])
    accuracy = float((logits.argmax(1) == test[1]).float().mean())
    log.info("%s: accuracy %.4f on %d test images", recipe.mode, accuracy, len(test[1]))
    return Transferred(logits, history, network)


@torch.no_grad()
def penultimate(network: Network, images: torch.Tensor, batch: int = 250) -> torch.Tensor:
    """Features float32 (N, features) of uint8 images, in evaluation mode."""
    network.eval()
    return torch.cat(
        [
            network.features(images[start : start + batch].float().div_(255))
            for start in range(0, len(images), batch)
        ]
    )


def accuracy_and_loss(network: Network, images: torch.Tensor, labels: torch.Tensor) -> HistoryRow:
    """``test_accuracy`` and ``test_loss`` (mean cross-entropy) in float32."""
    logits = predict(network, images)
    return {
        "test_accuracy": float((logits.argmax(1) == labels).float().mean()),
        "test_loss": float(F.cross_entropy(logits, labels)),
    }
