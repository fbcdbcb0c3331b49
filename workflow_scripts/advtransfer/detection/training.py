"""The training loop of detectors: SGD with a warm-up and a step schedule, in float32.

Progress is saved to a resume file after every epoch, so a killed job resumes after its last epoch
with the same numbers. All randomness of an epoch follows from the seed and the epoch.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ..artifacts.tensors import load_tensors, save_tensors
from ..errors import UserError
from ..recipes import digest
from .evaluate import as_tensor
from .recipe import DetectorRecipe
from .scenes import Scenes, Target

log = logging.getLogger("advtransfer")
HistoryRow = dict[str, float]
LOSSES = ("loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask")
COLUMNS = ("epoch", "train_loss", *LOSSES, "seconds")
Sample = tuple[torch.Tensor, dict[str, torch.Tensor]]


def learning_rate(recipe: DetectorRecipe, step: int, steps: int) -> float:
    """Return the learning rate of a step (from 0) of ``steps``.

    It rises linearly over the first ``warmup`` steps, and falls to a tenth after each of the shares
    ``decays`` of all steps.
    """
    rate = recipe.learning_rate * min(1.0, (step + 1) / (recipe.warmup + 1))
    return rate * 0.1 ** sum(step >= share * steps for share in recipe.decays)


def fit_detector(
    detector: torch.nn.Module,
    scenes: Scenes,
    recipe: DetectorRecipe,
    *,
    seed: int,
    device: torch.device,
    resume: Path | None = None,
    identity: str = "",
    workers: int = 0,
) -> list[HistoryRow]:
    """Train a detector in place. Parameters that need no gradient do not change.

    Args:
        detector: a detector of torchvision, on its device. In training mode it maps images and
            targets to a dictionary of losses, whose sum is minimised.
        scenes: the training split; images without an object are not used, as is usual.
        recipe: epochs, batches, schedule, flips.
        seed: seed of the order, the flips, and the sampling of anchors and proposals.
        device: the detector's device.
        resume: file that progress is saved to and resumed from.
        identity: digest that the resume file must carry; a file with another one is ignored.
        workers: number of additional processes that decode images; it changes no result.

    Returns:
        One row per epoch.

    Raises:
        UserError: No image has an object, or the loss diverged; the message names epoch and step.
    """
    used = [k for k in range(len(scenes)) if scenes.objects(k)]
    if not used:
        raise UserError("the training annotations have no object in any image.")
    trained = {name: p for name, p in detector.named_parameters() if p.requires_grad}
    optimizer = torch.optim.SGD(
        trained.values(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )
    progress = _Progress(detector, optimizer, trained, resume, f"{identity}/{digest(recipe)}")
    history = progress.load()
    samples = _Samples(scenes, recipe.masks)
    per_epoch = math.ceil(len(used) / recipe.batch_size)  # steps per epoch

    for epoch in range(len(history), recipe.epochs):
        started = time.perf_counter()
        torch.manual_seed(_epoch_seed(seed, epoch))  # torchvision samples from the global state
        loader = _loader(samples, _shuffled(used, recipe), recipe.batch_size, workers)
        detector.train()
        tally = _Tally()
        bar = tqdm(
            loader,
            desc=f"detector {epoch + 1}/{recipe.epochs}",
            unit="batch",
            disable=None,
            leave=False,
        )
        for step, (images, targets) in enumerate(bar, epoch * per_epoch):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step, recipe.epochs * per_epoch)
            losses = detector(
                [image.to(device) for image in images],
                [{name: value.to(device) for name, value in t.items()} for t in targets],
            )
            loss = sum(losses.values())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            tally.add(loss, losses)
        _check_finite(torch.stack(tally.totals), epoch, recipe)
        row = {"epoch": epoch + 1, **tally.means(), "seconds": time.perf_counter() - started}
        history.append(row)
        log.info("detector epoch %d/%d: loss %.4g", epoch + 1, recipe.epochs, row["train_loss"])
        progress.save(history)
    detector.eval()
    return history


class _Tally:
    """Losses of an epoch. They stay on the device, so that no step waits for a GPU.

    Attributes:
        totals: the total loss of every step, scalars.
    """

    def __init__(self) -> None:
        self.totals: list[torch.Tensor] = []
        self._sums: dict[str, torch.Tensor] = {}

    def add(self, total: torch.Tensor, losses: dict[str, torch.Tensor]) -> None:
        """Count a step with its total loss and the parts of the loss by name."""
        self.totals.append(total.detach())
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0) + value.detach()

    def means(self) -> HistoryRow:
        """Return ``train_loss`` and its parts, each as the mean over the steps."""
        return {
            "train_loss": float(torch.stack(self.totals).mean()),
            **{name: float(value) / len(self.totals) for name, value in self._sums.items()},
        }


def mirrored(image: torch.Tensor, target: Target) -> tuple[torch.Tensor, Target]:
    """Return an image (3, H, W) and its objects, mirrored left to right."""
    width = image.shape[2]
    boxes = target.boxes.copy()
    boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    masks = None if target.masks is None else target.masks[:, :, ::-1].copy()
    return image.flip(2), Target(boxes, target.labels, masks)


class _Samples(Dataset[Sample]):
    """Images and targets in the form of torchvision's detectors, by position and flip."""

    def __init__(self, scenes: Scenes, masks: bool) -> None:
        self.scenes, self.masks = scenes, masks

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, item: tuple[int, bool]) -> Sample:
        position, flip = item
        image = as_tensor(self.scenes.image(position))
        target = self.scenes.target(position, self.masks)
        if flip:
            image, target = mirrored(image, target)
        parts = {"boxes": target.boxes, "labels": target.labels}
        if target.masks is not None:
            parts["masks"] = target.masks
        return image, {name: torch.from_numpy(value) for name, value in parts.items()}


def _shuffled(used: Sequence[int], recipe: DetectorRecipe) -> list[tuple[int, bool]]:
    """Return an epoch's items of `_Samples` in an order drawn from torch's global random state."""
    order = torch.tensor(used)[torch.randperm(len(used))].tolist()
    flips = (torch.rand(len(used)) < 0.5).tolist() if recipe.flip else [False] * len(used)
    return list(zip(order, flips, strict=True))


def _loader(
    samples: _Samples, items: list[tuple[int, bool]], batch_size: int, workers: int
) -> DataLoader[Sample]:
    """Return a loader of the items in batches, in order; ``workers`` processes decode them."""
    batches = [items[start : start + batch_size] for start in range(0, len(items), batch_size)]
    return DataLoader(
        samples,
        batch_sampler=batches,  # type: ignore[arg-type]
        num_workers=workers,
        collate_fn=_collate,
        generator=torch.Generator().manual_seed(0),  # workers get seeds but use none
    )


def _collate(samples: Sequence[Sample]) -> tuple[list[torch.Tensor], list[dict[str, torch.Tensor]]]:
    images, targets = zip(*samples, strict=True)
    return list(images), list(targets)


def _epoch_seed(seed: int, epoch: int) -> int:
    text = f"{seed}|epoch {epoch}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def _check_finite(totals: torch.Tensor, epoch: int, recipe: DetectorRecipe) -> None:
    """Refuse losses, (steps,), that are not finite; the check runs once an epoch.

    Raises:
        UserError: A loss is not finite; the message names its epoch and step.
    """
    bad = (~torch.isfinite(totals)).nonzero()
    if len(bad):
        step = int(bad[0])
        raise UserError(
            f"the detector diverged: the loss is {float(totals[step])} in epoch {epoch + 1}, step "
            f"{step + 1} of {len(totals)}. Lower its learning_rate (now {recipe.learning_rate:g}) "
            "or raise its warmup in the config and run again; finished results stay."
        )


@dataclass
class _Progress:
    """The resume file: weights and momenta after the last whole epoch, and the history so far.

    Attributes:
        trained: the parameters that ``optimizer`` trains, by their names in the detector.
        path: the file; None: no file.
        identity: digest that the file must carry.
    """

    detector: torch.nn.Module
    optimizer: torch.optim.SGD
    trained: dict[str, torch.nn.Parameter]
    path: Path | None
    identity: str

    def load(self) -> list[HistoryRow]:
        """Restore detector and optimiser from the file, and return the history.

        The history is empty if training starts over.
        """
        if self.path is None or not self.path.exists():
            return []
        try:
            tensors, attributes = load_tensors(self.path)
        except UserError as error:
            log.warning("%s Training starts over.", error)
            return []
        if attributes.get("identity") != self.identity:
            log.warning("%s is about another recipe or seed: training starts over.", self.path)
            return []
        parts: dict[str, dict[str, torch.Tensor]] = {"network": {}, "momentum": {}}
        for key, value in tensors.items():
            group, _, name = key.partition("/")
            parts[group][name] = value
        self.detector.load_state_dict(parts["network"])
        for name, momentum in parts["momentum"].items():
            parameter = self.trained[name]
            self.optimizer.state[parameter]["momentum_buffer"] = momentum.to(parameter.device)
        history: list[HistoryRow] = attributes["history"]
        log.info("going on after epoch %d (%s)", len(history), self.path)
        return history

    def save(self, history: list[HistoryRow]) -> None:
        """Write the file."""
        if self.path is None:
            return
        tensors = {f"network/{name}": v for name, v in self.detector.state_dict().items()}
        for name, parameter in self.trained.items():
            momentum = self.optimizer.state[parameter].get("momentum_buffer")
            if momentum is not None:
                tensors[f"momentum/{name}"] = momentum
        save_tensors(self.path, tensors, {"identity": self.identity, "history": history})
