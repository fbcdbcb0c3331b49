"""Transfer as a plain loop does it: one run, the whole network in every pass.

The frozen part stays in evaluation mode and gets no gradients, batches are indexed from images in
memory, and the whole network is evaluated after every epoch. It shares no code with the workflow.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

Labelled = tuple[torch.Tensor, torch.Tensor]
TEST_BATCH = 250


class Sgd(NamedTuple):
    """SGD as a recipe says it; ``schedule`` is "step" (a tenth after each third) or "one_cycle"
    (linear up over a fifth of the steps, then linear to zero)."""

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    nesterov: bool
    weight_decay: float
    schedule: str

    def factor(self, progress: float) -> float:
        """Of the learning rate, at a share of all steps."""
        if self.schedule == "step":
            return 0.1 ** int(3 * progress)
        return min(progress / 0.2, (1 - progress) / 0.8)


def fine_tune(
    frozen: torch.nn.Module,
    trained: torch.nn.Module,
    train: Labelled,
    test: Labelled,
    sgd: Sgd,
    seed: int,
    *,
    bf16: bool = False,
    stop: int | None = None,
) -> list[float]:
    """Train ``trained(frozen(images))`` in place.

    Args:
        train, test: uint8 images (or the float32 inputs of ``frozen``) and labels.
        seed: of the order.
        bf16: autocast for training and evaluation.
        stop: after so many epochs of the schedule.

    Returns:
        Test accuracy after every epoch.
    """
    images, labels = train
    device = images.device
    frozen.eval().requires_grad_(False)
    trained.requires_grad_(True)
    optimizer = torch.optim.SGD(
        trained.parameters(),
        lr=sgd.learning_rate,
        momentum=sgd.momentum,
        nesterov=sgd.nesterov,
        weight_decay=sgd.weight_decay,
    )
    generator = torch.Generator().manual_seed(seed)
    accuracies = []
    for epoch in range(sgd.epochs if stop is None else stop):
        trained.train()
        order = torch.randperm(len(images), generator=generator).to(device)
        batches = list(order.split(sgd.batch_size))
        if len(batches) > 1 and len(batches[-1]) < sgd.batch_size / 2:  # few for batch norm
            batches[-2:] = [torch.cat(batches[-2:])]
        for number, chosen in enumerate(batches):
            progress = (epoch + (number + 0.5) / len(batches)) / sgd.epochs
            optimizer.param_groups[0]["lr"] = sgd.learning_rate * sgd.factor(progress)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                logits = trained(frozen(_pixels(images[chosen])))
                loss = F.cross_entropy(logits, labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        trained.eval()
        correct = 0
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            for x, y in zip(test[0].split(TEST_BATCH), test[1].split(TEST_BATCH), strict=True):
                correct += int((trained(frozen(_pixels(x))).argmax(1) == y).sum())
        accuracies.append(correct / len(test[1]))
    return accuracies


def _pixels(images: torch.Tensor) -> torch.Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images
