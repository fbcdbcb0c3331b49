"""The one training loop: natural and adversarial sources, heads by SGD, fine-tuning.

Weights are float32; ``precision: bf16`` runs the network under autocast. Progress is saved after
every epoch to a resume file, so a killed job goes on from its last epoch with the same numbers.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from tqdm import tqdm

from ..artifacts.tensors import load_tensors, save_tensors
from ..attacks.ball import TINY, l2_norms
from ..attacks.recipe import AttackRecipe
from ..attacks.run import load_attack
from ..data.batches import batch_bounds, epoch_batches
from ..device import autocast
from ..errors import UserError
from ..models.network import Network, inference_copy, refresh
from ..recipes import digest
from .parallel import ALONE, Processes
from .recipe import TrainingRecipe, check_replays

log = logging.getLogger("advtransfer")
HistoryRow = dict[str, float]
COLUMNS = ("epoch", "train_loss", "train_accuracy", "seconds")  # of every history


class DivergenceError(UserError):
    """The loss is no longer a number."""


@dataclass
class Fitted:
    """What a fit leaves: one row an epoch, and the epoch whose weights the network has."""

    history: list[HistoryRow] = field(default_factory=list)
    best_epoch: int = 0


def learning_rate(recipe: TrainingRecipe, progress: float) -> float:
    """Learning rate at a share ``progress`` of all steps.

    ``one_cycle``: linear warm-up over the first fifth, then linear to zero; ``cosine``: half a
    cosine to zero; ``step``: a tenth after each third; ``constant``.
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


def fit(
    network: Network,
    images: torch.Tensor,
    labels: torch.Tensor,
    recipe: TrainingRecipe,
    *,
    seed: int,
    parameters: Iterable[torch.nn.Parameter] | None = None,
    evaluate: Callable[[], HistoryRow] | None = None,
    resume: Path | None = None,
    identity: str = "",
    name: str = "training",
    compiled: bool = False,
    processes: Processes = ALONE,
) -> Fitted:
    """Train ``network`` in place by SGD on the cross-entropy.

    Args:
        network: on its device; what ``parameters`` does not name stays as it is.
        images: uint8 (N, 3, H, W) on the same device; or float32 activations, which are not scaled,
            for the tail of a network.
        labels: int64 (N,) on the same device.
        recipe: hyper-parameters; with ``attack`` every batch is attacked first (Madry et al.,
            ICLR 2018, eq. 2.1), on a frozen folded copy in evaluation mode. With ``replays`` too it
            is free adversarial training, see `_FreePerturbation`: a replay is a step of the
            schedule, an epoch is still one pass over the images, and its loss and accuracy are
            means over all replays. No ``epochs``: the network stays as it is.
        seed: of the order, the augmentation and the random starts.
        parameters: those to train; None: all.
        evaluate: called after every epoch; its numbers join the history. With ``checkpoint:
            best_on_*`` the weights of the epoch with the highest ``test_accuracy`` are kept.
        resume: file to save progress to and to go on from.
        identity: what the resume file must be about (a digest); another one is not used.
        compiled: run the network through ``torch.compile``: for long training on a GPU.
        processes: those that share the work. All call this with the same arguments, each on its
            device, and all get the result; the first logs and saves. Their number changes nothing
            beyond rounding, and may change before training goes on.

    Raises:
        DivergenceError: the loss did (the message names epoch and batch).
        UserError: the recipe contradicts itself, or the processes cannot share this training.
    """
    if recipe.batch_norm not in ("adapt", "frozen"):
        raise UserError(f"batch_norm is adapt or frozen, not '{recipe.batch_norm}'.")
    check_replays(recipe, name)
    if recipe.replays and processes.count > 1:
        raise UserError(
            f"{name}: with replays a perturbation belongs to a position in the batch, which "
            f"{processes.count} processes cannot share; use one process (GPU)."
        )
    trained = list(network.parameters() if parameters is None else parameters)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    for parameter in trained:
        parameter.requires_grad_(True)
    device = images.device
    optimizer = torch.optim.SGD(
        trained,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=device.type == "cuda" or None,
    )
    # On the device of the images: random numbers that cross over would stop a GPU at every batch.
    generator = processes.generator(device).manual_seed(seed)
    bounds = batch_bounds(len(images), recipe.batch_size)
    adversary: _Adversary | None = None
    free: _FreePerturbation | None = None
    if recipe.attack and recipe.replays:
        widest = max((stop - start for start, stop in bounds), default=0)
        free = _FreePerturbation(images[:widest], recipe.attack)
    elif recipe.attack:
        adversary = _Adversary(network, recipe.attack, generator, compiled)
    if compiled:  # without a compiler, or the headers it needs, it warns and runs uncompiled
        torch._dynamo.config.suppress_errors = True
    waits = processes.synchronise(network)
    forward = torch.compile(network) if compiled and not waits else network
    progress = _Progress(
        network,
        optimizer,
        trained,
        generator,
        free.delta if free else None,
        resume,
        # A generator's state is another on another kind of device.
        f"{identity}/{digest(recipe)}/{device.type}",
    )
    passes = recipe.replays or 1
    per_epoch = len(bounds) * passes
    if processes.count > min((stop - start for start, stop in bounds), default=1):
        raise UserError(
            f"{name}: {processes.count} processes cannot share a batch of fewer images; use fewer "
            "processes (GPUs), or raise batch_size."
        )
    fitted, best = progress.load()
    if not processes.agree(len(fitted.history), device):
        raise UserError(
            f"{name}: the processes do not read the same progress file {resume}; delete it and run "
            "again."
        )

    for epoch in range(len(fitted.history), recipe.epochs):
        started = time.perf_counter()
        network.train(recipe.batch_norm == "adapt")
        total = torch.zeros((), device=device)
        correct = torch.zeros((), device=device)
        batches = epoch_batches(images, labels, recipe.batch_size, recipe.augmentation, generator)
        bar = tqdm(
            batches,
            total=len(bounds),
            desc=f"{name} {epoch + 1}/{recipe.epochs}",
            unit="batch",
            disable=None if processes.first else True,
            leave=False,
        )
        losses = []
        for number, (x, y) in enumerate(batch for batch in bar for _ in range(passes)):
            share = (epoch * per_epoch + number + 0.5) / (recipe.epochs * per_epoch)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, share)
            whole = len(x)
            x, y = processes.part(x, y, generator)
            if adversary is not None:
                x = adversary(x, y)
            if free is not None:
                x = free(x)
            with autocast(device, recipe.precision):
                logits = forward(x)
                loss = processes.weigh(F.cross_entropy(logits, y), len(y), whole)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if free is not None:
                free.ascend()
            processes.sum_gradients(trained)
            optimizer.step()
            losses.append(loss.detach())
            total += loss.detach() * whole
            correct += (logits.detach().argmax(1) == y).sum()
        of_batches = processes.sum(torch.stack(losses)).view(-1, passes)
        _check_finite(of_batches, name, epoch, recipe)
        if not processes.in_step(generator):
            raise UserError(
                f"{name}: the attack draws random numbers in a way that several processes cannot "
                "share; draw them with advtransfer.attacks.ball.random_start, or use one process."
            )
        row: HistoryRow = {
            "epoch": epoch + 1,
            "train_loss": float(processes.sum(total)) / (len(images) * passes),
            "train_accuracy": float(processes.sum(correct)) / (len(images) * passes),
            "seconds": time.perf_counter() - started,
        }
        if evaluate is not None:
            row |= evaluate()
        fitted.history.append(row)
        log.info("%s epoch %d/%d: %s", name, epoch + 1, recipe.epochs, _describe(row))
        if recipe.checkpoint != "last":
            accuracies = [r["test_accuracy"] for r in fitted.history]
            if accuracies[-1] == max(accuracies):
                fitted.best_epoch = epoch + 1
                best = {k: v.detach().clone() for k, v in network.state_dict().items()}
        else:
            fitted.best_epoch = epoch + 1
        if processes.first:
            progress.save(fitted, best)
    if best is not None:
        network.load_state_dict(best)
    network.eval()
    return fitted


class _Adversary:
    """Perturbs training batches, on a frozen folded copy that follows the network."""

    def __init__(
        self, network: Network, recipe: AttackRecipe, generator: torch.Generator, compiled: bool
    ) -> None:
        self.network, self.recipe, self.generator = network, recipe, generator
        self.perturb = load_attack(recipe)
        self.copy = inference_copy(network, recipe.precision)
        self.forward = torch.compile(self.copy) if compiled else self.copy

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        refresh(self.copy, self.network)
        delta = self.perturb(self.forward, images, labels, self.recipe, self.generator)
        return images + delta


class _FreePerturbation:
    """Algorithm 1 of Shafahi et al., NeurIPS 2019: the gradient that trains the network moves the
    perturbation too.

    The gradient is that at the perturbed image clipped to [0, 1], as in the other attacks here, so
    that a pixel at 0 or 1 can come back; their released code differentiates the clipping too, which
    holds it there. What is carried on is only brought back to the ball: the next image is another.

    Attributes:
        delta: float32 (widest batch, C, H, W), one for every position in a batch; 0 at first.
    """

    def __init__(self, like: torch.Tensor, recipe: AttackRecipe) -> None:
        load_attack(recipe)  # checks it
        self.norm, self.epsilon = recipe.norm, recipe.epsilon
        self.size = recipe.epsilon if recipe.step_size is None else recipe.step_size
        self.delta = torch.zeros_like(like, dtype=torch.float32)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """The images (N, C, H, W), each perturbed by what its position carries, in [0, 1]."""
        self.perturbed = (images + self.delta[: len(images)]).clamp_(0, 1).requires_grad_(True)
        return self.perturbed

    def ascend(self) -> None:
        """A step along the gradient that the last images left, then back into the ball."""
        gradient = self.perturbed.grad
        assert gradient is not None
        delta = self.delta[: len(gradient)]
        if self.norm == "linf":
            delta.add_(gradient.sign(), alpha=self.size).clamp_(-self.epsilon, self.epsilon)
        else:
            delta.addcmul_(gradient, self.size / l2_norms(gradient).clamp_min(TINY))
            delta *= (self.epsilon / l2_norms(delta).clamp_min(TINY)).clamp_max(1)


def _check_finite(losses: torch.Tensor, name: str, epoch: int, recipe: TrainingRecipe) -> None:
    """One look an epoch, so that a GPU is not waited for after every batch.

    Args:
        losses: (batches, uses of each).
    """
    bad = (~torch.isfinite(losses)).nonzero()
    if len(bad):
        batch, use = bad[0].tolist()
        raise DivergenceError(
            f"{name} diverged: the loss is {float(losses[batch, use])} in epoch {epoch + 1}, batch "
            f"{batch + 1} of {len(losses)}. Lower its learning_rate (now "
            f"{recipe.learning_rate:g}) in the config and run again; what is finished stays."
        )


def _describe(row: HistoryRow) -> str:
    return ", ".join(f"{key} {value:.4g}" for key, value in row.items() if key != "epoch")


class _Progress:
    """The resume file: weights, momenta, random state and history after the last whole epoch, and
    the perturbation ``delta`` that free training carries on."""

    def __init__(
        self,
        network: Network,
        optimizer: torch.optim.SGD,
        trained: list[torch.nn.Parameter],
        generator: torch.Generator,
        delta: torch.Tensor | None,
        path: Path | None,
        identity: str,
    ) -> None:
        self.network, self.optimizer, self.trained = network, optimizer, trained
        self.generator, self.delta = generator, delta
        self.path, self.identity = path, identity

    def load(self) -> tuple[Fitted, dict[str, Any] | None]:
        if self.path is None or not self.path.exists():
            return Fitted(), None
        try:
            tensors, attributes = load_tensors(self.path)
        except UserError as error:
            log.warning("%s Training starts over.", error)
            return Fitted(), None
        if attributes.get("identity") != self.identity:
            log.warning(
                "%s is about another recipe, seed or kind of device: training starts over.",
                self.path,
            )
            return Fitted(), None
        parts: dict[str, dict[str, torch.Tensor]] = {"network": {}, "momentum": {}, "best": {}}
        for key, value in tensors.items():
            group, _, name = key.partition("/")
            if group in parts:
                parts[group][name] = value
        self.network.load_state_dict(parts["network"])
        for k, parameter in enumerate(self.trained):
            if str(k) in parts["momentum"]:
                momentum = parts["momentum"][str(k)].to(parameter.device)
                self.optimizer.state[parameter]["momentum_buffer"] = momentum
        self.generator.set_state(tensors["random/"])
        if self.delta is not None:
            self.delta.copy_(tensors["delta/"])
        history = attributes["history"]
        log.info("going on after epoch %d (%s)", len(history), self.path)
        return Fitted(history, attributes["best_epoch"]), parts["best"] or None

    def save(self, fitted: Fitted, best: dict[str, Any] | None) -> None:
        if self.path is None:
            return
        tensors = {f"network/{k}": v for k, v in self.network.state_dict().items()}
        tensors["random/"] = self.generator.get_state()
        if self.delta is not None:
            tensors["delta/"] = self.delta
        for k, parameter in enumerate(self.trained):
            momentum = self.optimizer.state[parameter].get("momentum_buffer")
            if momentum is not None:
                tensors[f"momentum/{k}"] = momentum
        if best is not None:
            tensors |= {f"best/{k}": v for k, v in best.items()}
        attributes = {
            "identity": self.identity,
            "history": fitted.history,
            "best_epoch": fitted.best_epoch,
        }
        save_tensors(self.path, tensors, attributes)
