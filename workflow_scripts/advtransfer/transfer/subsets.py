"""Transfer to many random subsets of a target: drawing the subsets, and fine-tuning on them.

Every subset is a run of its own, with the result that `transfer` gives for it alone. The runs share
the frozen part of the network, which runs once. Where it is faster, they also take their steps
together.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch.func import functional_call, stack_module_state
from torch.overrides import TorchFunctionMode
from tqdm import tqdm

from ..data.batches import batch_bounds
from ..device import autocast
from ..errors import UserError
from ..models.inference import predict
from ..models.network import Network, Tail, inference_copy, refresh
from ..training.fit import HistoryRow, set_learning_rate, sgd
from ..training.recipe import TrainingRecipe
from .modes import check_mode, has_fixed_activations
from .recipe import ModeRecipe
from .transfer import fresh_head, transfer

log = logging.getLogger("advtransfer")
Indices = NDArray[np.int64]
Labelled = tuple[torch.Tensor, torch.Tensor]

REDRAWS = 100
# Number of test images that stacked networks process at once.
BATCH = 250


# Subsets -----------------------------------------------------------------------------------------


def draw_subsets(
    labels: NDArray[np.int64],
    images: int,
    seeds: Sequence[int],
    identity: str,
    without: Indices | tuple[()] = (),
) -> Indices:
    """Draw random subsets of a pool, in random order, uniformly among those with every class.

    A subset depends on ``identity``, ``images`` and its seed alone. Subsets of different sizes are
    independent, not nested. A subset that lacks a class is drawn again, up to 100 times. If that
    does not help (few images per class), one random image of each missing class replaces a random
    image of a class that has several. With fewer images than classes, any subset is accepted.

    Images at positions ``without`` are passed over, and the next ones of the random order take
    their places. Subsets are smaller than ``images`` only if the pool has too few others.

    Args:
        labels: int64 (N,), labels of the pool.
        images: size of a subset.
        seeds: one seed per subset.
        identity: canonical JSON of the pool's view.
        without: positions in the pool that are in no subset.

    Returns:
        Positions in the pool, int64 (seeds, images).

    Raises:
        UserError: The pool has fewer images than a subset.
    """
    if not 1 <= images <= len(labels):
        raise UserError(
            f"a subset of {images} images cannot be drawn from {len(labels)}: choose smaller sizes."
        )
    usable = np.ones(len(labels), bool)
    usable[np.asarray(without, np.int64)] = False
    return np.stack([_draw_subset(labels, images, seed, identity, usable) for seed in seeds])


def _draw_subset(
    labels: NDArray[np.int64],
    images: int,
    seed: int,
    identity: str,
    usable: NDArray[np.bool_],
) -> Indices:
    text = f"{identity}|{images}|{seed}"
    digest = hashlib.sha256(text.encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    classes = np.unique(labels[usable])
    for _ in range(REDRAWS):
        order = rng.permutation(len(labels))
        chosen = order[usable[order]][:images]
        if images < len(classes) or len(np.unique(labels[chosen])) == len(classes):
            return chosen
    for missing in np.setdiff1d(classes, labels[chosen]):
        present, counts = np.unique(labels[chosen], return_counts=True)
        spare = np.flatnonzero(np.isin(labels[chosen], present[counts > 1]))
        chosen[rng.choice(spare)] = rng.choice(np.flatnonzero((labels == missing) & usable))
    return chosen


# Fine-tuning -------------------------------------------------------------------------------------


@dataclass
class Tuned:
    """Outcome of one run: one row per epoch, test logits, and weights.

    The logits, float32 (N, classes), are those of the target's test images after the last epoch or,
    with ``checkpoint: best_on_test``, after the best one.
    """

    history: list[HistoryRow]
    logits: torch.Tensor
    state: dict[str, torch.Tensor]  # the weights and buffers that differ from the source's

    def network(self, source: Network) -> Network:
        """Return the transferred network in evaluation mode; ``source`` stays unchanged."""
        network = copy.deepcopy(source)
        network.replace_head(self.logits.shape[1])
        network.load_state_dict(self.state, strict=False)
        return network.eval()


def tune_subsets(
    network: Network,
    train: Labelled,
    test: Labelled,
    subsets: torch.Tensor,
    classes: int,
    recipe: ModeRecipe,
    seeds: Sequence[int],
    *,
    cached: bool,
    together: bool | None = None,
) -> list[Tuned]:
    """Transfer one network to every subset by SGD, with the results of `transfer` up to rounding.

    Args:
        network: the source, on its device; it stays unchanged.
        train: the pool of the subsets and its int64 labels. With ``cached``, the pool consists of
            activations (N, ...) at the cut, made by `activations` in the precision of the training;
            otherwise of uint8 images.
        test: test images and labels in the same form; activations are float32.
        subsets: int64 (S, n), positions in ``train``.
        classes: number of classes of the target.
        recipe: mode with solver ``sgd``.
        seeds: seeds of the runs, (S,).
        cached: whether activations are given. They must be the same in all epochs
            (`has_fixed_activations`). Without them the whole network runs for one subset after the
            other.
        together: only with ``cached``: run all subsets at once with stacked weights (True) or one
            after the other (False); None: the faster way, see `runs_together`.

    Raises:
        UserError: The mode cannot be carried out, shapes do not fit, or a run diverged.
    """
    training = _checked_training(recipe, cached)
    if len(subsets) != len(seeds) or cached == (train[0].dtype == torch.uint8):
        raise UserError(
            f"{len(subsets)} subsets and {len(seeds)} seeds of {train[0].dtype}: there is one seed "
            "per subset, of activations where they are cached and of uint8 images elsewhere."
        )
    if not cached:
        return _whole_networks(network, train, test, subsets, classes, recipe, seeds)
    tails = [_fresh_tail(network, classes, recipe, seed) for seed in seeds]
    if together is None:
        together = runs_together(recipe, train[0].device)
    if not together:
        train, test = (_channels_last(*images) for images in (train, test))
    step = len(tails) if together else 1
    tuned: list[Tuned] = []
    with tqdm(
        total=training.epochs * len(tails),
        desc=recipe.mode,
        unit="epoch",
        disable=None,
        leave=False,
    ) as bar:
        for first in range(0, len(tails), step):
            part = slice(first, first + step)
            tuned += _tune_tails(
                tails[part], train, test, subsets[part], training, seeds[part], bar
            )
    accuracies = [run.history[-1]["test_accuracy"] for run in tuned]
    log.info(
        "%s, %d subsets of %d images: accuracy %.4f ... %.4f on %d test images",
        recipe.mode, *subsets.shape, min(accuracies), max(accuracies), len(test[1]),
    )  # fmt: skip
    return tuned


def _checked_training(recipe: ModeRecipe, cached: bool) -> TrainingRecipe:
    """Return the training of a mode that `tune_subsets` can carry out.

    Raises:
        UserError: The mode cannot be carried out; the message says why.
    """
    check_mode(recipe)
    training = recipe.training
    if training is None:
        raise UserError("subsets are fine-tuned by sgd; solver lbfgs has `solve_subsets`.")
    if recipe.learning_rates:
        raise UserError("subsets are fine-tuned at one learning rate, not at `learning_rates`.")
    if training.epochs < 1:
        raise UserError("fine-tuning takes at least one epoch.")
    if cached and not has_fixed_activations(recipe):
        raise UserError(
            "activations that change from epoch to epoch (augmentation, an attack, moving batch "
            "norm statistics, full_network) cannot be cached."
        )
    return training


def _fresh_tail(network: Network, classes: int, recipe: ModeRecipe, seed: int) -> Tail:
    """Return a copy of the part that the mode trains, with a new head.

    Blocks below the cut are not copied, because all runs share them with the source.
    """
    tail = copy.deepcopy(network.split(recipe.blocks)[1]).requires_grad_(True)
    fresh_head(tail, classes, recipe, seed)
    return tail


def _channels_last(activations: torch.Tensor, labels: torch.Tensor) -> Labelled:
    """Return activations in channels-last memory.

    Convolutions would otherwise copy every batch, which takes a tenth of their time.
    """
    if activations.ndim == 4:
        activations = activations.contiguous(memory_format=torch.channels_last)
    return activations, labels


def runs_together(recipe: ModeRecipe, device: torch.device) -> bool:
    """Return whether runs on cached activations are faster together than one after the other.

    Heads alone always are. Stacked convolutions become grouped ones. A CPU computes these more
    slowly than one network after the other. A GPU, whose time goes into launching small operations,
    computes them in the time of one network.
    """
    return device.type != "cpu" or recipe.blocks == 0


def _whole_networks(
    network: Network,
    train: Labelled,
    test: Labelled,
    subsets: torch.Tensor,
    classes: int,
    recipe: ModeRecipe,
    seeds: Sequence[int],
) -> list[Tuned]:
    tuned = []
    runs = list(zip(subsets, seeds, strict=True))
    for chosen, seed in tqdm(runs, desc=recipe.mode, unit="run", disable=None, leave=False):
        part = train[0][chosen], train[1][chosen]
        with _quiet():
            outcome = transfer(network, part, test, classes, recipe, seed)
        tuned.append(Tuned(outcome.history, outcome.logits, outcome.network.state_dict()))
    return tuned


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the log of each run's epochs, which would drown the other lines."""
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


def _tune_tails(
    tails: list[Tail],
    train: Labelled,
    test: Labelled,
    subsets: torch.Tensor,
    recipe: TrainingRecipe,
    seeds: Sequence[int],
    bar: tqdm,
) -> list[Tuned]:
    """Train several tails at once as `fit` would, each on its subset and in its own order.

    Args:
        tails: S trained parts of networks.
        train, test: activations at the cut, (N, ...), and labels, int64 (N,).
        subsets: int64 (S, n), positions in ``train``.
        seeds: seeds of the orders, (S,).
        bar: progress bar that counts the epochs of all runs.

    Raises:
        UserError: The loss of a run is no longer finite.
    """
    runs = _Stacked(tails) if len(tails) > 1 else _Single(tails[0])
    device, images = subsets.device, subsets.shape[1]
    # SGD updates elementwise, so one optimiser of stacked weights equals one for each run.
    optimizer = sgd(runs.parameters, recipe, device)
    generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
    bounds = batch_bounds(images, recipe.batch_size)
    steps = recipe.epochs * len(bounds)
    tuned = [Tuned([], torch.empty(0), {}) for _ in tails]

    for epoch in range(recipe.epochs):
        runs.train(recipe.batch_norm == "adapt")
        total = torch.zeros(len(tails), device=device)
        correct = torch.zeros(len(tails), device=device)
        shuffled = _shuffled(subsets, generators)
        for step, (start, stop) in enumerate(bounds, epoch * len(bounds)):
            set_learning_rate(optimizer, recipe, step, steps)
            chosen = shuffled[:, start:stop]
            x = train[0][chosen.flatten()].unflatten(0, chosen.shape)  # (S, batch, ...)
            y = train[1][chosen]
            with autocast(device, recipe.precision):
                logits = runs.forward(x)
                losses = _losses(logits, y)
            optimizer.zero_grad(set_to_none=True)
            losses.sum().backward()
            optimizer.step()
            total += losses.detach() * (stop - start)
            correct += (logits.detach().argmax(2) == y).sum(1)
        if not bool(torch.isfinite(total).all()):
            raise UserError(
                f"fine-tuning on {images} images diverged in epoch {epoch + 1}. Lower its "
                f"learning_rate (now {recipe.learning_rate:g}) in the config and run again; "
                "finished results stay."
            )
        found = runs.predict(test[0])
        rows = _history_rows(epoch, total / images, correct / images, found, test[1])
        for k, (run, row) in enumerate(zip(tuned, rows, strict=True)):
            run.history.append(row)
            if _is_kept(run.history, recipe):
                run.logits, run.state = found[k], runs.state(k)
        bar.update(len(tails))
    return tuned


def _shuffled(subsets: torch.Tensor, generators: list[torch.Generator]) -> torch.Tensor:
    """Return the subsets (S, n), each in a new random order of its own."""
    images, device = subsets.shape[1], subsets.device
    orders = [torch.randperm(images, generator=g, device=device) for g in generators]
    return subsets.gather(1, torch.stack(orders))


def _history_rows(
    epoch: int,
    train_loss: torch.Tensor,
    train_accuracy: torch.Tensor,
    logits: torch.Tensor,
    labels: torch.Tensor,
) -> list[HistoryRow]:
    """Return the row of an epoch for each of S runs.

    Args:
        epoch: number of the epoch, from 0.
        train_loss, train_accuracy: means over the epoch, (S,).
        logits: logits on the test images, (S, N, classes).
        labels: labels of the test images, (N,).
    """
    truth = labels.expand(len(logits), -1)
    test_accuracy = (logits.argmax(2) == truth).float().mean(1)
    # All numbers are in one tensor, so that the loop waits for a GPU only once.
    numbers = torch.stack([train_loss, train_accuracy, test_accuracy, _losses(logits, truth)])
    names = ("train_loss", "train_accuracy", "test_accuracy", "test_loss")
    return [
        {"epoch": epoch + 1, **dict(zip(names, values, strict=True))}
        for values in numbers.T.tolist()
    ]


def _is_kept(history: list[HistoryRow], recipe: TrainingRecipe) -> bool:
    """Return whether the latest epoch's weights are the outcome as far as is known."""
    if recipe.checkpoint == "last":
        return len(history) == recipe.epochs
    return history[-1]["test_accuracy"] == max(row["test_accuracy"] for row in history)


def _losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropies (S,) of logits (S, N, C)."""
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return losses.view(labels.shape).mean(1)


class _Single:
    """A stack of one tail, which needs no stacking."""

    def __init__(self, tail: Tail) -> None:
        self.tail = tail
        self.parameters = list(tail.parameters())
        self.frozen = inference_copy(tail, "fp32")

    def train(self, mode: bool) -> None:
        self.tail.train(mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (1, N, C) of activations (1, N, ...)."""
        return self.tail(x[0])[None]

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (1, N, C) of activations (N, ...), in evaluation mode and float32."""
        refresh(self.frozen, self.tail)
        return predict(self.frozen, x)[None]

    def state(self, k: int) -> dict[str, torch.Tensor]:
        """Return a copy of the weights and buffers of tail ``k``."""
        return {name: value.clone() for name, value in self.tail.state_dict().items()}


class _Bfloat16(TorchFunctionMode):
    """Makes bf16 autocast work inside vmap as it does outside.

    Inside vmap, autocast does not reach convolutions, and batch norm refuses float32 weights with
    bf16 activations.
    """

    def __torch_function__(
        self, function: Any, types: Any, given: Any = (), named: Any = None
    ) -> Any:
        named = named or {}
        if function is F.conv2d:
            half = torch.bfloat16
            given = [v.to(half) if isinstance(v, torch.Tensor) else v for v in given]
        elif function is F.batch_norm:
            return function(given[0].float(), *given[1:], **named).to(given[0].dtype)
        return function(*given, **named)


class _Stacked:
    """Tails of one architecture with their weights and buffers stacked, (S, ...)."""

    def __init__(self, tails: list[Tail]) -> None:
        # vmap has no rule for pooling channels-last activations.
        plain = [tail.to(memory_format=torch.contiguous_format) for tail in tails]
        self.weights, self.buffers = stack_module_state(plain)  # type: ignore[arg-type]
        self.parameters = list(self.weights.values())
        self.tail = tails[0]  # lends its structure

    def train(self, mode: bool) -> None:
        self.tail.train(mode)

    def _call(
        self, weights: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor], x: torch.Tensor
    ) -> torch.Tensor:
        return functional_call(self.tail, (weights, buffers), (x,))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (S, N, C) of activations (S, N, ...)."""
        lowered = torch.is_autocast_enabled(x.device.type)
        with _Bfloat16() if lowered else contextlib.nullcontext():
            return torch.vmap(self._call)(self.weights, self.buffers, x)

    @torch.no_grad()
    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (S, N, C) of activations (N, ...), in evaluation mode and float32."""
        self.tail.eval()
        call = torch.vmap(self._call, in_dims=(0, 0, None))
        return torch.cat([call(self.weights, self.buffers, part) for part in x.split(BATCH)], 1)

    def state(self, k: int) -> dict[str, torch.Tensor]:
        """Return a copy of the weights and buffers of tail ``k``."""
        stacked = {**self.weights, **self.buffers}
        return {name: value[k].detach().clone() for name, value in stacked.items()}
