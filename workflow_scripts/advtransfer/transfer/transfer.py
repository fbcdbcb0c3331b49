"""Knowledge transfer: a source's network carried over to a target, by last layer, by its last
blocks or as a whole."""

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

# Activations of a frozen trunk are kept where they take no more; else the trunk runs every batch.
CACHE_BYTES = 4 * 1024**3
HELD_OUT = 0.2  # of every class's training images: they choose among learning rates


@dataclass
class Transferred:
    """Outcome on the target's test images: logits (N, classes) float32, one row an epoch.

    Of several learning rates ``candidates`` (K, N, classes) are the logits of all, in their order;
    nan where training diverged.
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
    """Carry ``source`` (left as it is) over to a target.

    Args:
        train, test: uint8 images (N, 3, H, W) and int64 labels, on the source's device.
        classes: of the target.
        recipe: ``last_layer`` trains only a new head, ``unfrozen_blocks`` the last ``blocks``
            blocks with it, ``full_network`` everything. Below ``unfrozen_blocks`` batch norm
            statistics never move, unless ``moving_statistics``; elsewhere,
            ``training.batch_norm`` decides. Of several ``regularizations`` one is chosen as in
            `heads.solve_subsets`, by the images that `held_last` puts last, and stands in the
            history; of several ``learning_rates`` as `_chosen_rate` says.

    Raises:
        UserError: unknown mode or solver, a mode without its training or with fields of another
            one, more blocks than the network has, or training that diverged.
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
    """A new head, drawn by torch's global random state, which is seeded first."""
    torch.manual_seed(seed)
    network.replace_head(classes)
    if recipe.initial_head == "normal":
        with torch.no_grad():
            network.head.weight.normal_()
            network.head.bias.zero_()


def _iterated(
    network: Network, train: Labelled, test: Labelled, recipe: ModeRecipe, seed: int
) -> tuple[list[HistoryRow], torch.Tensor]:
    """Trains what the mode trains, by SGD: history, and logits on the test images."""
    assert recipe.training is not None
    # Each as the training loop and `predict` would run it.
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
    network.eval().frozen_blocks = 0  # free again, for whoever trains it next
    return fitted.history, predict(trained, test[0])


def _chosen_rate(
    source: Network, train: Labelled, test: Labelled, classes: int, recipe: ModeRecipe, seed: int
) -> Transferred:
    """`transfer` by SGD with the learning rate that suits held-out training images best.

    All candidates start from the same head and meet the same images in the same order: the target's
    without the last fifth of every class (`held_out`). The one with the highest accuracy on that
    fifth after the last epoch is taken; of equals the one with the lower cross-entropy there, then
    the smaller. It is not trained again: what it learned from four fifths is the outcome. Test
    images choose nothing; they are measured once for each candidate, so that what a choice by them
    would have given can be shown. A candidate that diverges is out.

    The history has the rows of all candidates, the chosen one's last: ``learning_rate``,
    ``chosen`` (1 or 0), and at a last epoch ``validation_accuracy``, ``validation_loss``,
    ``test_accuracy`` and ``test_loss``; of one that diverged, a row without them.

    Raises:
        UserError: every learning rate diverges, or there are too few images to hold any out.
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
            log.warning("learning rate %g is out: %s", rate, error)
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
    """Which images choose among learning rates: of every class its last fifth, rounded.

    Views are in random order within a class, and hold classes in turn: where these are balanced,
    this is the last fifth of the view, as `heads.solve_subsets` holds out.

    Args:
        labels: int64 (N,).

    Returns:
        bool (N,), some but not all True.

    Raises:
        UserError: no class has three images, so that none could be held out.
    """
    held = torch.zeros_like(labels, dtype=torch.bool)
    for label in labels.unique():
        members = (labels == label).nonzero().flatten()
        number = round(HELD_OUT * len(members))
        held[members[len(members) - number :]] = True
    if not bool(held.any()):
        raise UserError(
            f"of {len(labels)} images in {len(labels.unique())} classes none can be held out to "
            "choose a learning rate: it takes three images of a class. Give the target more."
        )
    return held


def held_last(labels: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Order of a view's images for `heads.solve_subsets`, which holds out the last of them.

    Of an unbalanced view the tail has the large classes alone, so what `held_out` holds out goes
    there. Balanced views have it there already (but for rounding) and stay as they are, and so do
    those of fewer than three images a class.

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
    """Images as activations where the frozen part ends, each at its precision, and True; the images
    themselves and False, where activations change from epoch to epoch or would take too much."""
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
    """What is run, from the images or from activations at the cut, and its parameters that are
    trained (None: all). Freezes the network's blocks below the cut until `frozen_blocks` is 0."""
    if recipe.mode == "full_network":
        return network, None
    _, tail = network.split(recipe.blocks)
    network.frozen_blocks = tail.cut if has_still_trunk(recipe) else 0
    return tail if at_cut else network, list(tail.parameters())
