"""Projected gradient descent (Madry et al., ICLR 2018), linf and l2.

Normalised steps of ``step_size`` along the gradient of the cross-entropy, each projected back into
the ball. Default step size: ``2.5 * epsilon / steps``. With ``tolerance``, an image whose loss rose
by less than that share over five steps keeps its perturbation and leaves the batch, so that long
attacks cost what they still gain (docs/speed.md has what is lost: next to nothing at .01).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..recipes import AttackRecipe
from .ball import ascent, project, random_start

PATIENCE = 5  # steps between two looks at who has converged


def perturb(
    network: torch.nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    recipe: AttackRecipe,
    generator: torch.Generator,
) -> torch.Tensor:
    """Perturbations that raise the cross-entropy.

    Args:
        network: images to logits; its parameters should be frozen.
        images: float32 (N, C, H, W) in [0, 1].
        labels: int64 (N,).
        generator: draws the random start, on the generator's own device.

    Returns:
        float32 (N, C, H, W), inside the ball, images + delta inside [0, 1].
    """
    epsilon, norm = recipe.epsilon, recipe.norm
    size = recipe.step_size if recipe.step_size is not None else 2.5 * epsilon / recipe.steps
    delta = torch.zeros_like(images)
    if recipe.random_start:
        delta = project(random_start(images, epsilon, norm, generator), images, epsilon, norm)
    if not recipe.tolerance:
        for _ in range(recipe.steps):
            gradient, _ = input_gradient(network, images + delta, labels)
            delta = project(delta + size * ascent(gradient, norm), images, epsilon, norm)
        return delta

    finished = delta
    going = torch.arange(len(images), device=images.device)
    before = torch.zeros(0)
    for step in range(recipe.steps):
        gradient, losses = input_gradient(network, images + delta, labels)
        if step % PATIENCE == 0:
            if step:
                rising = losses > before * (1 + recipe.tolerance)
                finished[going] = delta
                going, images, labels = going[rising], images[rising], labels[rising]
                delta, gradient, losses = delta[rising], gradient[rising], losses[rising]
                if not len(going):
                    return finished
            before = losses
        delta = project(delta + size * ascent(gradient, norm), images, epsilon, norm)
    finished[going] = delta
    return finished


def input_gradient(
    network: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradient of the cross-entropy in the images, (N, C, H, W), and its values, (N,)."""
    images = images.detach().requires_grad_(True)
    losses = F.cross_entropy(network(images), labels, reduction="none")
    (gradient,) = torch.autograd.grad(losses.sum(), images)
    return gradient, losses.detach()
