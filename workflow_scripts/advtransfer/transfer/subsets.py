"""Transfer to many random subsets of a target: the subsets, and fine-tuning on them.

Every subset is a run of its own, with the result that `transfer` gives for it alone; what is shared
is the frozen part of the network, which runs once, and (where that is faster) the steps, which all
runs take together.
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
# Test images that stacked networks see at once.
BATCH = 250


# Subsets -----------------------------------------------------------------------------------------


def draw_subsets(
    labels: NDArray[np.int64], images: int, seeds: Sequence[int], identity: str
) -> Indices:
    """Random subsets of a pool, in random order, uniform over all that hold every class.

    A subset depends on ``identity``, ``images`` and its seed alone; those of different sizes are
    independent, not nested. Subsets that lack a class are drawn again, up to 100 times. Where that
    does not help (few images a class), one random image of each class that is missing takes the
    place of a random image of a class that has several. With fewer images than classes, any subset
    will do.

    Args:
        labels: int64 (N,) of the pool.
        images: size of a subset.
        seeds: one a subset.
        identity: canonical JSON of the pool's view.

    Returns:
        Positions in the pool, int64 (seeds, images).

    Raises:
        UserError: there are fewer images than asked for.
    """
    if not 1 <= images <= len(labels):
        raise UserError(
            f"a subset of {images} images cannot be drawn from {len(labels)}: choose other sizes."
        )
    return np.stack([_draw_subset(labels, images, seed, identity) for seed in seeds])


def _draw_subset(labels: NDArray[np.int64], images: int, seed: int, identity: str) -> Indices:
    text = f"{identity}|{images}|{seed}"
    digest = hashlib.sha256(text.encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    classes = np.unique(labels)
    for _ in range(REDRAWS):
        chosen = rng.permutation(len(labels))[:images]
        if images < len(classes) or len(np.unique(labels[chosen])) == len(classes):
            return chosen
    for missing in np.setdiff1d(classes, labels[chosen]):
        present, counts = np.unique(labels[chosen], return_counts=True)
        spare = np.flatnonzero(np.isin(labels[chosen], present[counts > 1]))
        chosen[rng.choice(spare)] = rng.choice(np.flatnonzero(labels == missing))
    return chosen


# Fine-tuning -------------------------------------------------------------------------------------


@dataclass
class Tuned:
    """Outcome of one run on the target's test images: one row an epoch, logits (N, classes) float32
    after the last (or, with ``checkpoint: best_on_test``, the best) one, and the weights."""

    history: list[HistoryRow]
    logits: torch.Tensor
    state: dict[str, torch.Tensor]  # what the transferred network does not share with its source

    def network(self, source: Network) -> Network:
        """The transferred network in evaluation mode; ``source`` is left as it is."""
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
    """`transfer` by SGD of one network to every subset; what it gives but for rounding.

    Args:
        network: the source, left as it is, on its device.
        train: what the subsets are of, and int64 labels. With ``cached`` activations (N, ...) at
            the cut, as `activations` gives them for the precision of the training; else uint8
            images.
        test: the same of the test images; activations in float32.
        subsets: int64 (S, n), positions in ``train``.
        classes: of the target.
        recipe: by ``sgd``.
        seeds: of the runs, (S,).
        cached: needs a frozen part that gives the same in all epochs (`has_fixed_activations`).
            Without it the whole network is trained, one run after the other.
        together: only with ``cached``: all runs as one job of stacked weights, or one run after
            the other; None: what is faster, see `runs_together`.

    Raises:
        UserError: a mode that cannot be honoured, shapes that do not fit, or a run that diverged.
    """
    training = _checked_training(recipe, cached)
    if len(subsets) != len(seeds) or cached == (train[0].dtype == torch.uint8):
        raise UserError(
            f"{len(subsets)} subsets and {len(seeds)} seeds of {train[0].dtype}: there is one seed "
            "a subset, of activations where they are cached and of uint8 images elsewhere."
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
    """The training of a mode that `tune_subsets` can honour.

    Raises:
        UserError: it cannot; the message says why.
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
    """A copy of what the mode trains, with a new head. Blocks below the cut are not copied: all
    runs share them with the source."""
    tail = copy.deepcopy(network.split(recipe.blocks)[1]).requires_grad_(True)
    fresh_head(tail, classes, recipe, seed)
    return tail


def _channels_last(activations: torch.Tensor, labels: torch.Tensor) -> Labelled:
    """As convolutions want them, which would else copy every batch: a tenth of their time."""
    if activations.ndim == 4:
        activations = activations.contiguous(memory_format=torch.channels_last)
    return activations, labels


def runs_together(recipe: ModeRecipe, device: torch.device) -> bool:
    """Whether runs on cached activations are faster as one job than one after the other.

    Heads alone always are. Stacked convolutions are grouped ones, which a CPU does slower than one
    network after the other; a GPU, which waits for the launch of small operations, does them in the
    time of one.
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
    """A line for every epoch of every run would hide the others."""
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
    """`fit` of several tails at once, each on its subset and in its own order.

    Args:
        tails: S networks with what is trained of them.
        train, test: activations at the cut, (N, ...), and labels, int64 (N,).
        subsets: int64 (S, n), positions in ``train``.
        seeds: of the orders, (S,).
        bar: of epochs, one for each run.

    Raises:
        UserError: the loss of a run is no longer a number.
    """
    runs = _Stacked(tails) if len(tails) > 1 else _Single(tails[0])
    device, images = subsets.device, subsets.shape[1]
    # All quantities are elementwise: one optimiser of stacked weights is one for each.
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
                f"learning_rate (now {recipe.learning_rate:g}) in the config and run again; what "
                "is finished stays."
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
    """Each of the subsets (S, n) in a new random order of its own."""
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
    """An epoch's row for each of S runs.

    Args:
        epoch: from 0.
        train_loss, train_accuracy: means over the epoch, (S,).
        logits: on the test images, (S, N, classes).
        labels: of the test images, (N,).
    """
    truth = labels.expand(len(logits), -1)
    test_accuracy = (logits.argmax(2) == truth).float().mean(1)
    # One tensor, so that a GPU is waited for once.
    numbers = torch.stack([train_loss, train_accuracy, test_accuracy, _losses(logits, truth)])
    names = ("train_loss", "train_accuracy", "test_accuracy", "test_loss")
    return [
        {"epoch": epoch + 1, **dict(zip(names, values, strict=True))}
        for values in numbers.T.tolist()
    ]


def _is_kept(history: list[HistoryRow], recipe: TrainingRecipe) -> bool:
    """Whether the last epoch's weights are the outcome, unless a later epoch's are."""
    if recipe.checkpoint == "last":
        return len(history) == recipe.epochs
    return history[-1]["test_accuracy"] == max(row["test_accuracy"] for row in history)


def _losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropies (S,) of logits (S, N, C)."""
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return losses.view(labels.shape).mean(1)


class _Single:
    """One tail: the stack of one network that needs no stacking."""

    def __init__(self, tail: Tail) -> None:
        self.tail = tail
        self.parameters = list(tail.parameters())
        self.frozen = inference_copy(tail, "fp32")

    def train(self, mode: bool) -> None:
        self.tail.train(mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (1, N, C) of activations (1, N, ...)."""
        return self.tail(x[0])[None]

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (1, N, C) of activations (N, ...), in evaluation mode and float32."""
        refresh(self.frozen, self.tail)
        return predict(self.frozen, x)[None]

    def state(self, k: int) -> dict[str, torch.Tensor]:
        """A copy of the weights and buffers of tail ``k``."""
        return {name: value.clone() for name, value in self.tail.state_dict().items()}


class _Bfloat16(TorchFunctionMode):
    """Inside vmap, autocast does not reach convolutions, and batch norm refuses float32 weights
    with bf16 activations. Here both do what they would do outside."""

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
        # vmap has no rule for the pooling of channels-last activations.
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
        """Logits (S, N, C) of activations (S, N, ...)."""
        lowered = torch.is_autocast_enabled(x.device.type)
        with _Bfloat16() if lowered else contextlib.nullcontext():
            return torch.vmap(self._call)(self.weights, self.buffers, x)

    @torch.no_grad()
    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (S, N, C) of activations (N, ...), in evaluation mode and float32."""
        self.tail.eval()
        call = torch.vmap(self._call, in_dims=(0, 0, None))
        return torch.cat([call(self.weights, self.buffers, part) for part in x.split(BATCH)], 1)

    def state(self, k: int) -> dict[str, torch.Tensor]:
        """A copy of the weights and buffers of tail ``k``."""
        stacked = {**self.weights, **self.buffers}
        return {name: value[k].detach().clone() for name, value in stacked.items()}
