"""Fast gradient sign method (Goodfellow et al., ICLR 2015) and its l2 form.

One step of length epsilon; with ``random_start`` the step starts at a random point of the ball and
is projected back (Liang et al. 2021, Wong et al. 2020). It is PGD with a single step.
"""

from __future__ import annotations

import dataclasses

import torch

from . import pgd
from .recipe import AttackRecipe


def perturb(
    network: torch.nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    recipe: AttackRecipe,
    generator: torch.Generator,
) -> torch.Tensor:
    """Perturbations that raise the cross-entropy; arguments and result as `pgd.perturb`."""
    size = recipe.step_size if recipe.step_size is not None else recipe.epsilon
    one_step = dataclasses.replace(recipe, steps=1, step_size=size)
    return pgd.perturb(network, images, labels, one_step, generator)
