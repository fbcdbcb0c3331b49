"""Adversarial training as peers do it, float32, over batches that are in memory already.

Each function takes a model, batches of float32 images in [0, 1] with their int64 labels, an
optimiser and the attack's numbers, and makes one pass. They are written from the published
algorithms; no loader or augmentation is in their time.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F

Batches = Iterable[tuple[torch.Tensor, torch.Tensor]]


def torchattacks_in_the_loop(
    model: torch.nn.Module,
    batches: Batches,
    optimizer: torch.optim.Optimizer,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
) -> None:
    """A plain loop that attacks every batch with torchattacks (PGD; FFGSM for one step).

    The library attacks the model in evaluation mode and puts it back, its default.
    """
    import torchattacks

    if steps == 1:
        attack = torchattacks.FFGSM(model, eps=epsilon, alpha=step_size)
    else:
        attack = torchattacks.PGD(model, eps=epsilon, alpha=step_size, steps=steps)
    model.train()
    for images, labels in batches:
        adversarial = attack(images, labels)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(adversarial), labels)
        loss.backward()
        optimizer.step()


def robust_training_loop(
    model: torch.nn.Module,
    batches: Batches,
    optimizer: torch.optim.Optimizer,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
) -> None:
    """The loop of the robustness library (Engstrom et al. 2019); but for the start, its defaults.

    Every batch is attacked by PGD on the model in evaluation mode; each image keeps its best
    iterate by the loss, which takes one more forward pass at the end; then a step in training mode
    on what was found. Loss and accuracy are read after every batch, as its progress bar does.
    """
    for images, labels in batches:
        model.eval()
        iterate = images + torch.empty_like(images).uniform_(-epsilon, epsilon)
        iterate = iterate.clamp(0, 1)
        best = images.clone()
        best_loss = torch.full((len(images),), -torch.inf, device=images.device)
        for _ in range(steps):
            iterate = iterate.detach().requires_grad_(True)
            losses = F.cross_entropy(model(iterate), labels, reduction="none")
            (gradient,) = torch.autograd.grad(losses.mean(), iterate)
            with torch.no_grad():
                better = losses > best_loss
                best[better], best_loss[better] = iterate[better], losses[better]
                moved = iterate + step_size * gradient.sign()
                iterate = (images + (moved - images).clamp(-epsilon, epsilon)).clamp(0, 1)
        losses = F.cross_entropy(model(iterate), labels, reduction="none").detach()
        better = losses > best_loss
        best[better] = iterate[better]
        model.train()
        logits = model(best)
        loss = F.cross_entropy(logits, labels)
        loss.item(), (logits.argmax(1) == labels).float().mean().item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def fast_loop(
    model: torch.nn.Module,
    batches: Batches,
    optimizer: torch.optim.Optimizer,
    *,
    epsilon: float,
    step_size: float,
    steps: int = 1,
) -> None:
    """Fast adversarial training (Wong et al., ICLR 2020): one FGSM step from a random start.

    The model stays in training mode, and the backward pass of the attack fills the weights'
    gradients too, as released; float32, the release's apex being no longer there.
    """
    if steps != 1:
        raise ValueError("the fast loop makes one step")
    model.train()
    for images, labels in batches:
        delta = torch.empty_like(images).uniform_(-epsilon, epsilon)
        delta = (images + delta).clamp(0, 1) - images
        delta.requires_grad_(True)
        F.cross_entropy(model(images + delta), labels).backward()
        assert delta.grad is not None
        delta = (delta.detach() + step_size * delta.grad.sign()).clamp(-epsilon, epsilon)
        delta = (images + delta).clamp(0, 1) - images
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images + delta), labels)
        loss.backward()
        optimizer.step()
        loss.item()
