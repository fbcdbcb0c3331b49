"""Projected gradient descent (Madry et al., ICLR 2018), linf and l2.

Normalised steps of ``step_size`` along the gradient of the cross-entropy, each projected back into
the ball. Default step size: ``2.5 * epsilon / steps``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..recipes import AttackRecipe
from .ball import ascent, project, random_start


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
        generator: on the CPU; draws the random start.

    Returns:
        float32 (N, C, H, W), inside the ball, images + delta inside [0, 1].
    """
    epsilon, norm = recipe.epsilon, recipe.norm
    size = recipe.step_size if recipe.step_size is not None else 2.5 * epsilon / recipe.steps
    delta = torch.zeros_like(images)
    if recipe.random_start:
        delta = project(random_start(images, epsilon, norm, generator), images, epsilon, norm)
    for _ in range(recipe.steps):
        delta.requires_grad_(True)
        loss = F.cross_entropy(network(images + delta), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, delta)
        delta = delta.detach() + size * ascent(gradient, norm)
        delta = project(delta, images, epsilon, norm)
    return delta
