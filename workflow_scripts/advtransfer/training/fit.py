"""The one training loop: natural and adversarial sources, heads by SGD, fine-tuning.

Weights are float32; ``precision: bf16`` runs the network under autocast. Progress is saved to a
resume file after every epoch, so a killed job resumes after its last epoch with the same numbers.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from tqdm import tqdm

from ..artifacts.tensors import load_tensors, save_tensors
from ..data.batches import batch_bounds, epoch_batches
from ..device import autocast, compile_network
from ..errors import UserError
from ..models.network import Network
from ..recipes import digest
from .parallel import ALONE, Processes
from .perturbation import make_perturbation
from .recipe import TrainingRecipe, check_replays

log = logging.getLogger("advtransfer")
HistoryRow = dict[str, float]
Batch = tuple[torch.Tensor, torch.Tensor]  # images and labels
COLUMNS = ("epoch", "train_loss", "train_accuracy", "seconds")  # in every history


class DivergenceError(UserError):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class Execution:
    """How a training is carried out. None of this changes its result beyond rounding.

    Attributes:
        name: name of the training, for messages and the progress bar.
        resume: file that progress is saved to after every epoch and resumed from; None: no file.
        identity: digest that the resume file must carry; a file with another one is ignored.
        compiled: run the network through ``torch.compile``, which pays for long training on a GPU.
        processes: the processes that share the work. All call `fit` with the same arguments, each
            on its own device, and all get the result; the first one logs and saves. Their number
            may change between an interruption and the resumption.
    """

    name: str = "training"
    resume: Path | None = None
    identity: str = ""
    compiled: bool = False
    processes: Processes = ALONE


DEFAULT = Execution()


@dataclass
class Fitted:
    """The outcome of a training.

    Attributes:
        history: one row per epoch.
        best_epoch: the epoch (from 1) whose weights the network has; 0 before the first epoch.
        best_state: a copy of these weights; None with ``checkpoint: last``, which needs no copy.
    """

    history: list[HistoryRow] = field(default_factory=list)
    best_epoch: int = 0
    best_state: dict[str, torch.Tensor] | None = field(default=None, repr=False)

    def add(self, row: HistoryRow, network: Network, checkpoint: str) -> None:
        """Append an epoch, and keep its weights if ``checkpoint`` prefers it to earlier ones."""
        self.history.append(row)
        if checkpoint == "last":
            self.best_epoch = len(self.history)
        elif row["test_accuracy"] == max(past["test_accuracy"] for past in self.history):
            self.best_epoch = len(self.history)
            self.best_state = {k: v.detach().clone() for k, v in network.state_dict().items()}


def fit(
    network: Network,
    images: torch.Tensor,
    labels: torch.Tensor,
    recipe: TrainingRecipe,
    *,
    seed: int,
    parameters: Iterable[torch.nn.Parameter] | None = None,
    evaluate: Callable[[], HistoryRow] | None = None,
    execution: Execution = DEFAULT,
) -> Fitted:
    """Train ``network`` in place by SGD on the cross-entropy.

    Args:
        network: network to train, on its device. Only ``parameters`` change.
        images: uint8 (N, 3, H, W) on the same device; or, for the tail of a network, float32
            activations, which are not scaled.
        labels: int64 (N,) on the same device.
        recipe: hyper-parameters. With ``attack`` every batch is attacked first (Madry et al.,
            ICLR 2018, eq. 2.1), on a frozen folded copy in evaluation mode. ``replays`` makes this
            free adversarial training, see `FreePerturbation`: a replay is a step of the schedule,
            an epoch is still one pass over the images, and its loss and accuracy are means over all
            replays. With ``epochs: 0`` the network is not trained.
        seed: seed of the order, the augmentation and the random starts.
        parameters: parameters to train; None: all.
        evaluate: function called after every epoch; its numbers join the history. With
            ``checkpoint: best_on_*`` the weights of the epoch with the highest ``test_accuracy``
            are kept.
        execution: how the training is carried out: its name, resume file and hardware.

    Raises:
        DivergenceError: The loss is no longer finite; the message names epoch and batch.
        UserError: The recipe contradicts itself, or the processes cannot share this training.
    """
    name, processes, device = execution.name, execution.processes, images.device
    bounds = batch_bounds(len(images), recipe.batch_size)
    _check(recipe, bounds, execution)
    trained = _train_only(network, parameters)
    optimizer = sgd(trained, recipe, device)
    # The generator is on the images' device, because copying random numbers to a GPU would stall it
    # at every batch.
    generator = processes.generator(device).manual_seed(seed)
    perturbation = make_perturbation(network, images, recipe, generator, execution.compiled)
    forward = _forward(network, execution)
    progress = _Progress(network, optimizer, generator, perturbation.delta, recipe, execution)
    fitted = progress.load()
    uses = recipe.replays or 1  # consecutive steps on the same batch
    per_epoch = len(bounds) * uses  # steps per epoch

    for epoch in range(len(fitted.history), recipe.epochs):
        started = time.perf_counter()
        network.train(recipe.batch_norm == "adapt")
        tally = _Tally(processes, device)
        batches = epoch_batches(images, labels, recipe.batch_size, recipe.augmentation, generator)
        bar = _bar(batches, len(bounds), f"{name} {epoch + 1}/{recipe.epochs}", processes)
        used = (batch for batch in bar for _ in range(uses))
        for step, (x, y) in enumerate(used, epoch * per_epoch):
            set_learning_rate(optimizer, recipe, step, recipe.epochs * per_epoch)
            whole = len(x)
            x, y = processes.part(x, y, generator)
            x = perturbation(x, y)
            with autocast(device, recipe.precision):
                logits = forward(x)
                loss = processes.weigh(F.cross_entropy(logits, y), len(y), whole)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            perturbation.ascend()
            processes.sum_gradients(trained)
            optimizer.step()
            tally.add(loss.detach(), logits.detach(), y, whole)
        _check_finite(tally.losses().view(-1, uses), epoch, recipe, name)
        _check_in_step(generator, execution)
        row = {"epoch": epoch + 1, **tally.means(), "seconds": time.perf_counter() - started}
        if evaluate is not None:
            row |= evaluate()
        log.info("%s epoch %d/%d: %s", name, epoch + 1, recipe.epochs, _describe(row))
        fitted.add(row, network, recipe.checkpoint)
        progress.save(fitted)
    if fitted.best_state is not None:
        network.load_state_dict(fitted.best_state)
    network.eval()
    return fitted


# Before the first step ----------------------------------------------------------------------------


def _check(recipe: TrainingRecipe, bounds: list[tuple[int, int]], execution: Execution) -> None:
    """Refuse a recipe that contradicts itself, and batches that the processes cannot share.

    Args:
        bounds: start and stop of every batch of an epoch.

    Raises:
        UserError: A setting is invalid; the message names it.
    """
    name, count = execution.name, execution.processes.count
    if recipe.batch_norm not in ("adapt", "frozen"):
        raise UserError(f"batch_norm is adapt or frozen, not '{recipe.batch_norm}'.")
    check_replays(recipe, name)
    if recipe.replays and count > 1:
        raise UserError(
            f"{name}: with replays each perturbation belongs to a position in the batch, which "
            f"{count} processes cannot share; use one process (GPU)."
        )
    if count > min((stop - start for start, stop in bounds), default=1):
        raise UserError(
            f"{name}: {count} processes cannot share a batch of fewer images. Use fewer "
            "processes (GPUs), or raise batch_size."
        )


def _train_only(
    network: Network, parameters: Iterable[torch.nn.Parameter] | None
) -> list[torch.nn.Parameter]:
    """Freeze all weights but ``parameters`` (None: freeze nothing), and return the free ones."""
    trained = list(network.parameters() if parameters is None else parameters)
    network.requires_grad_(False)
    for parameter in trained:
        parameter.requires_grad_(True)
    return trained


def sgd(
    parameters: Iterable[torch.nn.Parameter | torch.Tensor],
    recipe: TrainingRecipe,
    device: torch.device,
) -> torch.optim.SGD:
    """Return the recipe's optimiser for ``parameters``, which are on ``device``."""
    return torch.optim.SGD(
        parameters,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=device.type == "cuda" or None,
    )


def _forward(network: Network, execution: Execution) -> Callable[..., torch.Tensor]:
    """Return the function to run in training: the network, compiled if requested and possible."""
    waits = execution.processes.synchronise(network)
    return compile_network(network) if execution.compiled and not waits else network


# Learning rate -----------------------------------------------------------------------------------


def learning_rate(recipe: TrainingRecipe, progress: float) -> float:
    """Return the learning rate when the share ``progress`` (0 to 1) of all steps is done.

    ``one_cycle`` rises linearly over the first fifth and then falls linearly to zero; ``cosine``
    follows half a cosine to zero; ``step`` divides by ten after each third; ``constant`` stays.
    """
    base = recipe.learning_rate
    if recipe.schedule == "one_cycle":
        return base * min(progress / 0.2, (1 - progress) / 0.8)
    if recipe.schedule == "cosine":
        return base * 0.5 * (1 + math.cos(math.pi * progress))
    if recipe.schedule == "step":
        return base * 0.1 ** int(progress * 3)
    if recipe.schedule == "constant":
        return base
    raise UserError(
        f"unknown schedule '{recipe.schedule}'; there are one_cycle, cosine, step, constant."
    )


def set_learning_rate(
    optimizer: torch.optim.Optimizer, recipe: TrainingRecipe, step: int, steps: int
) -> None:
    """Set the learning rate to that of the schedule in the middle of ``step`` (0 ... steps - 1)."""
    rate = learning_rate(recipe, (step + 0.5) / steps)
    for group in optimizer.param_groups:
        group["lr"] = rate


# An epoch ----------------------------------------------------------------------------------------


def _bar(batches: Iterable[Batch], total: int, title: str, processes: Processes) -> Iterable[Batch]:
    """Return the ``total`` batches behind a progress bar, which only the first process shows."""
    hidden = None if processes.first else True  # None: hide the bar if there is no terminal
    bar: Iterable[Batch] = tqdm(
        batches, total=total, desc=title, unit="batch", disable=hidden, leave=False
    )
    return bar


class _Tally:
    """Losses and hits of an epoch. They stay on the device, so that no step waits for a GPU."""

    def __init__(self, processes: Processes, device: torch.device) -> None:
        self._processes = processes
        self._losses: list[torch.Tensor] = []
        self._total = torch.zeros((), device=device)
        self._correct = torch.zeros((), device=device)
        self._images = 0

    def add(
        self, loss: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor, whole: int
    ) -> None:
        """Count a step.

        Args:
            loss: this process's share of the mean loss over the batch, a scalar.
            logits, labels: this process's part of the batch, (n, classes) and (n,).
            whole: number of images in the batch, over all processes.
        """
        self._losses.append(loss)
        self._total += loss * whole
        self._correct += (logits.argmax(1) == labels).sum()
        self._images += whole

    def losses(self) -> torch.Tensor:
        """Return the mean loss of every step, (steps,)."""
        return self._processes.sum(torch.stack(self._losses))

    def means(self) -> HistoryRow:
        """Return mean loss and accuracy over all counted images, each counted once per use."""
        return {
            "train_loss": float(self._processes.sum(self._total)) / self._images,
            "train_accuracy": float(self._processes.sum(self._correct)) / self._images,
        }


def _check_finite(losses: torch.Tensor, epoch: int, recipe: TrainingRecipe, name: str) -> None:
    """Refuse losses, (batches, uses of each), that are not finite.

    The check runs once an epoch, so that the loop does not wait for a GPU after every batch.

    Raises:
        DivergenceError: A loss is not finite; the message names its epoch and batch.
    """
    bad = (~torch.isfinite(losses)).nonzero()
    if len(bad):
        batch, use = bad[0].tolist()
        raise DivergenceError(
            f"{name} diverged: the loss is {float(losses[batch, use])} in epoch {epoch + 1}, batch "
            f"{batch + 1} of {len(losses)}. Lower its learning_rate (now "
            f"{recipe.learning_rate:g}) in the config and run again; finished results stay."
        )


def _check_in_step(generator: torch.Generator, execution: Execution) -> None:
    """Refuse an attack that draws different random numbers in different processes.

    Raises:
        UserError: The random numbers differ.
    """
    if not execution.processes.in_step(generator):
        raise UserError(
            f"{execution.name}: the attack draws random numbers in a way that several processes "
            "cannot share. Draw them with advtransfer.attacks.ball.random_start, or use one "
            "process."
        )


def _describe(row: HistoryRow) -> str:
    return ", ".join(f"{key} {value:.4g}" for key, value in row.items() if key != "epoch")


# Resuming ----------------------------------------------------------------------------------------


@dataclass
class _Progress:
    """The resume file: the state of a training after its last whole epoch.

    It holds weights, momenta, random state and history, and the perturbation ``delta`` that free
    training carries from batch to batch.
    """

    network: Network
    optimizer: torch.optim.SGD
    generator: torch.Generator
    delta: torch.Tensor | None
    recipe: TrainingRecipe
    execution: Execution

    @property
    def identity(self) -> str:
        # The state of a generator can only be restored on the same kind of device.
        kind = self.generator.device.type
        return f"{self.execution.identity}/{digest(self.recipe)}/{kind}"

    @property
    def trained(self) -> list[torch.nn.Parameter]:
        parameters: list[torch.nn.Parameter] = self.optimizer.param_groups[0]["params"]
        return parameters

    def load(self) -> Fitted:
        """Restore network, optimiser and random state from the file, and return the history.

        If the file cannot be used, training starts over.

        Raises:
            UserError: The processes do not find the same progress.
        """
        fitted, processes = self._load(), self.execution.processes
        if not processes.agree(len(fitted.history), self.generator.device):
            raise UserError(
                f"{self.execution.name}: the processes do not read the same progress file "
                f"{self.execution.resume}. Delete it and run again."
            )
        return fitted

    def _load(self) -> Fitted:
        path = self.execution.resume
        if path is None or not path.exists():
            return Fitted()
        try:
            tensors, attributes = load_tensors(path)
        except UserError as error:
            log.warning("%s Training starts over.", error)
            return Fitted()
        if attributes.get("identity") != self.identity:
            log.warning(
                "%s is about another recipe, seed or kind of device: training starts over.", path
            )
            return Fitted()
        self._restore(tensors)
        history = attributes["history"]
        log.info("going on after epoch %d (%s)", len(history), path)
        return Fitted(history, attributes["best_epoch"], _named("best/", tensors) or None)

    def _restore(self, tensors: dict[str, torch.Tensor]) -> None:
        self.network.load_state_dict(_named("network/", tensors))
        for k, parameter in enumerate(self.trained):
            if (momentum := tensors.get(f"momentum/{k}")) is not None:
                state = self.optimizer.state[parameter]
                state["momentum_buffer"] = momentum.to(parameter.device)
        self.generator.set_state(tensors["random/"])
        if self.delta is not None:
            self.delta.copy_(tensors["delta/"])

    def save(self, fitted: Fitted) -> None:
        """Write the file in the first process; do nothing in the others."""
        if self.execution.resume is None or not self.execution.processes.first:
            return
        tensors = {f"network/{k}": v for k, v in self.network.state_dict().items()}
        tensors["random/"] = self.generator.get_state()
        if self.delta is not None:
            tensors["delta/"] = self.delta
        for k, parameter in enumerate(self.trained):
            momentum = self.optimizer.state[parameter].get("momentum_buffer")
            if momentum is not None:
                tensors[f"momentum/{k}"] = momentum
        if fitted.best_state is not None:
            tensors |= {f"best/{k}": v for k, v in fitted.best_state.items()}
        attributes = {
            "identity": self.identity,
            "history": fitted.history,
            "best_epoch": fitted.best_epoch,
        }
        save_tensors(self.execution.resume, tensors, attributes)


def _named(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors whose key begins with ``prefix``, without the prefix in their keys."""
    return {key.removeprefix(prefix): v for key, v in tensors.items() if key.startswith(prefix)}
