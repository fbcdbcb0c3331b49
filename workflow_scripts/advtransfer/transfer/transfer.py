"""Knowledge transfer of a source's network to a target.

Transfer is fixed-feature (a new head), of the last blocks, or full-network.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass, replace

import torch

from ..errors import UserError
from ..models.inference import activations, penultimate, predict
from ..models.network import Network
from ..training.accuracy import accuracy_and_loss, accuracy_and_loss_of
from ..training.fit import DivergenceError, Execution, HistoryRow, fit
from .heads import solve_head, solve_subsets
from .modes import check_mode, has_fixed_activations, has_still_trunk
from .recipe import ModeRecipe

log = logging.getLogger("advtransfer")
Labelled = tuple[torch.Tensor, torch.Tensor]

# Activations of a frozen trunk are kept if they need no more memory than this; otherwise the trunk
# runs on every batch.
CACHE_BYTES = 4 * 1024**3
HELD_OUT = 0.2  # share of each class's training images that is held out to choose a learning rate


@dataclass
class Transferred:
    """Outcome of a transfer: test logits float32 (N, classes), one row per epoch, and the network.

    With several learning rates, ``candidates`` (K, N, classes) has the logits of all of them, in
    their order; nan where training diverged.
    """

    logits: torch.Tensor
    history: list[HistoryRow]
    network: Network
    candidates: torch.Tensor | None = None


def transfer(
    source: Network,
    train: tuple[torch.Tensor, torch.Tensor],
    test: tuple[torch.Tensor, torch.Tensor],
    classes: int,
    recipe: ModeRecipe,
    seed: int,
) -> Transferred:
    """Transfer ``source``, which stays unchanged, to a target.

    Args:
        train, test: uint8 images (N, 3, H, W) and int64 labels, on the source's device.
        classes: number of classes of the target.
        recipe: the mode. ``last_layer`` trains only a new head, ``unfrozen_blocks`` also the last
            ``blocks`` blocks, ``full_network`` everything. Below the unfrozen blocks, batch norm
            statistics move only with ``moving_statistics``; elsewhere ``training.batch_norm``
            decides. One of several ``regularizations`` is chosen as in `heads.solve_subsets`, on
            the images that `held_last` puts last, and recorded in the history. One of several
            ``learning_rates`` is chosen as in `_chosen_rate`.
        seed: seed of the head and of the training.

    Raises:
        UserError: The mode or solver is unknown, the mode lacks its training or has fields of
            another one, the network has fewer blocks, or training diverged.
    """
    check_mode(recipe)
    if recipe.learning_rates:
        return _chosen_rate(source, train, test, classes, recipe, seed)
    network = copy.deepcopy(source)
    fresh_head(network, classes, recipe, seed)
    history: list[HistoryRow]
    if recipe.solver == "lbfgs":
        features = penultimate(network, train[0], recipe.precision)
        row: HistoryRow = {"epoch": 1}
        if recipe.regularizations:
            order, share = held_last(train[1])
            weights, biases, chosen, losses = solve_subsets(
                features, train[1], order[None], classes, recipe.regularizations, holdout=share
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
    """Give the network a new head, drawn from torch's global random state after seeding it."""
    torch.manual_seed(seed)
    network.replace_head(classes)
    if recipe.initial_head == "normal":
        with torch.no_grad():
            network.head.weight.normal_()
            network.head.bias.zero_()


def _iterated(
    network: Network, train: Labelled, test: Labelled, recipe: ModeRecipe, seed: int
) -> tuple[list[HistoryRow], torch.Tensor]:
    """Train the mode's parameters by SGD, and return the history and the test logits."""
    assert recipe.training is not None
    # Activations have the precision in which the training loop and `predict` would compute them.
    parts = [(train, recipe.training.precision), (test, "fp32")]
    (train, test), at_cut = _at_cut(network, parts, recipe)
    trained, parameters = _what_is_trained(network, recipe, at_cut)
    fitted = fit(
        trained,
        *train,
        recipe.training,
        seed=seed,
        parameters=parameters,
        evaluate=lambda: accuracy_and_loss(trained, *test),
        execution=Execution(recipe.mode),
    )
    network.eval().frozen_blocks = 0  # unfreeze the blocks for a later training
    return fitted.history, predict(trained, test[0])


def _chosen_rate(
    source: Network, train: Labelled, test: Labelled, classes: int, recipe: ModeRecipe, seed: int
) -> Transferred:
    """Transfer by SGD with the learning rate that is best on held-out training images.

    All candidates start from the same head and see the same images in the same order: the target's
    images without the last fifth of every class (`held_out`). The candidate with the highest
    accuracy on that fifth after the last epoch is chosen; of equal ones, that with the lower
    cross-entropy there, then that with the smaller rate. It is not trained again on all images.

    Test images do not influence the choice. They are measured once for each candidate, to show what
    a choice by test accuracy would have given. A candidate that diverges is dropped.

    The history has the rows of all candidates, those of the chosen one last. Every row has
    ``learning_rate`` and ``chosen`` (1 or 0). A candidate's last row also has
    ``validation_accuracy``, ``validation_loss``, ``test_accuracy`` and ``test_loss``. A candidate
    that diverged has one row without them.

    Raises:
        UserError: Every learning rate diverges, or there are too few images to hold any out.
    """
    training = recipe.training
    assert training is not None
    held = held_out(train[1])
    kept_images, held_images = ((train[0][part], train[1][part]) for part in (~held, held))
    parts = [(kept_images, training.precision), (held_images, "fp32"), (test, "fp32")]
    (fitted, validation, test), at_cut = _at_cut(copy.deepcopy(source), parts, recipe)
    histories: list[list[HistoryRow]] = []
    logits = test[0].new_full(
        (len(recipe.learning_rates), len(test[1]), classes), float("nan"), dtype=torch.float32
    )
    best: tuple[tuple[float, float, float], int, Network] | None = None
    execution = Execution(recipe.mode)
    for k, rate in enumerate(recipe.learning_rates):
        network = copy.deepcopy(source)
        fresh_head(network, classes, recipe, seed)
        trained, parameters = _what_is_trained(network, recipe, at_cut)
        this = replace(training, learning_rate=rate)
        try:
            history = fit(
                trained, *fitted, this, seed=seed, parameters=parameters, execution=execution
            ).history
        except DivergenceError as error:
            log.warning("learning rate %g is dropped: %s", rate, error)
            histories.append([{"epoch": training.epochs, "learning_rate": rate, "chosen": 0}])
            continue
        network.eval().frozen_blocks = 0
        logits[k] = predict(trained, test[0])
        found = accuracy_and_loss_of(predict(trained, validation[0]), validation[1], "validation")
        history[-1] |= found | accuracy_and_loss_of(logits[k], test[1], "test")
        histories.append([{**row, "learning_rate": rate, "chosen": 0} for row in history])
        merit = (found["validation_accuracy"], -found["validation_loss"], -rate)
        if best is None or merit > best[0]:
            best = merit, k, network
    if best is None:
        rates = ", ".join(f"{rate:g}" for rate in recipe.learning_rates)
        raise UserError(
            f"{recipe.mode} transfer diverged at every learning rate ({rates}): name lower ones in "
            "`learning_rates`."
        )
    (accuracy, *_), chosen, network = best
    own = [{**row, "chosen": 1} for row in histories.pop(chosen)]
    log.info(
        "%s: learning rate %g, accuracy %.4f on %d held-out and %.4f on %d test images",
        recipe.mode, recipe.learning_rates[chosen], accuracy, len(validation[1]),
        own[-1]["test_accuracy"], len(test[1]),
    )  # fmt: skip
    rows = [row for history in histories for row in history] + own
    return Transferred(logits[chosen], rows, network, logits)


def held_out(labels: torch.Tensor) -> torch.Tensor:
    """Return which images choose the learning rate: the last fifth of each class, rounded.

    Views are in random order within a class and interleaved by class. In a balanced view, these
    images are therefore the last fifth of the view, which `heads.solve_subsets` holds out too.

    Args:
        labels: int64 (N,).

    Returns:
        bool (N,), some but not all True.

    Raises:
        UserError: No class has three images, so that none can be held out.
    """
    held = torch.zeros_like(labels, dtype=torch.bool)
    for label in labels.unique():
        members = (labels == label).nonzero().flatten()
        number = round(HELD_OUT * len(members))
        held[members[len(members) - number :]] = True
    if not bool(held.any()):
        raise UserError(
            f"of {len(labels)} images in {len(labels.unique())} classes none can be held out to "
            "choose a learning rate: a class needs three images. Give the target more images."
        )
    return held


def held_last(labels: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Return an order of a view's images for `heads.solve_subsets`, which holds out the last ones.

    The tail of an unbalanced view has images of the large classes alone. The images that `held_out`
    chooses are therefore moved there. In balanced views they are there already (but for rounding),
    so these keep their order, as do views with fewer than three images in every class.

    Args:
        labels: int64 (N,).

    Returns:
        Positions int64 (N,), and the share at their end that is held out.
    """
    unchanged = torch.arange(len(labels), device=labels.device)
    if int(labels.bincount().max()) < 3:
        return unchanged, HELD_OUT
    held = held_out(labels)
    order = held.int().argsort(stable=True)
    if torch.equal(order, unchanged):
        return unchanged, HELD_OUT
    return order, int(held.sum()) / len(labels)


def _at_cut(
    network: Network, parts: list[tuple[Labelled, str]], recipe: ModeRecipe
) -> tuple[list[Labelled], bool]:
    """Return activations at the end of the frozen part, each in its precision, and True.

    If activations change from epoch to epoch or would need too much memory, return the images
    themselves and False.
    """
    given = [labelled for labelled, _ in parts]
    if recipe.mode == "full_network" or not has_fixed_activations(recipe):
        return given, False
    trunk, _ = network.split(recipe.blocks)
    one = activations(trunk, given[0][0][:1], "fp32")
    if one.numel() * one.element_size() * sum(len(labels) for _, labels in given) > CACHE_BYTES:
        return given, False
    return [
        (activations(trunk, images, precision), labels) for (images, labels), precision in parts
    ], True


def _what_is_trained(
    network: Network, recipe: ModeRecipe, at_cut: bool
) -> tuple[Network, list[torch.nn.Parameter] | None]:
    """Return the network to run, and those of its parameters to train (None: all).

    The network starts from the images or, with ``at_cut``, from activations at the cut. Its blocks
    below the cut stay frozen until `frozen_blocks` is set to 0.
    """
    if recipe.mode == "full_network":
        return network, None
    _, tail = network.split(recipe.blocks)
    network.frozen_blocks = tail.cut if has_still_trunk(recipe) else 0
    return tail if at_cut else network, list(tail.parameters())
