"""Projected gradient descent (Madry et al., ICLR 2018), linf and l2.

The attack takes normalised steps of ``step_size`` along the gradient of the cross-entropy, each
projected back into the ball. The default step size is ``2.5 * epsilon / steps``. ``tolerance``
stops the attack on images that have converged: the log-odds against their label rose in five steps
by less than this share of their whole rise. docs/speed.md says what this saves and costs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from .ball import Ball, random_start
from .recipe import AttackRecipe

CERTAIN = -10.0  # log-odds below which float32 loses digits of 1 - p
PATIENCE = 5  # steps between two checks of which images have converged


def perturb(
    network: torch.nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    recipe: AttackRecipe,
    generator: torch.Generator,
) -> torch.Tensor:
    """Return perturbations that raise the cross-entropy.

    Args:
        network: function from images to logits; its parameters should be frozen.
        images: float32 (N, C, H, W) in [0, 1].
        labels: int64 (N,).
        generator: generator of the random start, which is drawn on its device.

    Returns:
        Perturbations float32 (N, C, H, W) inside the ball, with images + delta in [0, 1].
    """
    epsilon, norm = recipe.epsilon, recipe.norm
    size = recipe.step_size if recipe.step_size is not None else 2.5 * epsilon / recipe.steps
    ball = Ball(images, epsilon, norm)
    delta = torch.zeros_like(images)
    if recipe.random_start:
        delta = ball.project_(random_start(images, epsilon, norm, generator))
    if not recipe.tolerance:
        for _ in range(recipe.steps):
            gradient, _ = input_gradient(network, images + delta, labels)
            ball.ascend_(delta, gradient, size)
        return delta

    finished = delta.clone()
    going = torch.arange(len(images), device=images.device)
    start = before = torch.zeros(0)  # log-odds; known after the first pass
    for step in range(recipe.steps):
        gradient, odds = input_gradient(network, images + delta, labels)
        if step == 0:
            start = before = odds
        elif step % PATIENCE == 0:
            rising = odds - before > recipe.tolerance * (odds - start)
            finished[going] = delta
            ball = ball.keep(rising)
            going, images, labels, delta, gradient, start, before = (
                part[rising] for part in (going, images, labels, delta, gradient, start, odds)
            )
            if not len(going):
                return finished
        ball.ascend_(delta, gradient, size)
    finished[going] = delta
    return finished


def input_gradient(
    network: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the direction of growing cross-entropy, (N, C, H, W), and `odds_against`, (N,).

    The direction is the gradient, up to a positive factor for images whose label is all but
    certain. For these, 1 - p rounds to 0 in float32, and the gradient would lack the label's logit.
    """
    images = images.detach().requires_grad_(True)
    logits = network(images)
    losses = F.cross_entropy(logits, labels, reduction="none")
    odds = odds_against(logits, labels)
    ascended = torch.where(odds < CERTAIN, odds, losses)
    (gradient,) = torch.autograd.grad(ascended.sum(), images)
    return gradient, odds.detach()


def odds_against(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return log((1 - p) / p) of each label, (N,).

    It grows with the cross-entropy and never underflows.
    """
    chosen = F.one_hot(labels, logits.shape[1]).bool()
    others = logits.masked_fill(chosen, -torch.inf).logsumexp(1)
    return others - logits.gather(1, labels[:, None]).squeeze(1)
