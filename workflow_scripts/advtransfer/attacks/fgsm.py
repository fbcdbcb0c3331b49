"""Fast gradient sign method (Goodfellow et al., ICLR 2015) and its l2 form.

The attack takes one step of length epsilon. With ``random_start`` the step starts at a random point
of the ball and is projected back (Liang et al. 2021, Wong et al. 2020). This is PGD with one step.
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
    """Return perturbations that raise the cross-entropy; see `pgd.perturb` for the arguments."""
    size = recipe.step_size if recipe.step_size is not None else recipe.epsilon
    one_step = dataclasses.replace(recipe, steps=1, step_size=size)
    return pgd.perturb(network, images, labels, one_step, generator)
