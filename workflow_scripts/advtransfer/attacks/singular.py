"""The linearised attack of Liang et al., ICML 2021 (arXiv 2006.14512): top singular vector.

The perturbation is ``argmax_{||delta||_2 <= epsilon} ||J(x) delta||_2``, where J is the Jacobian of
the logits. It moves the logits of the linearised network as far as possible, and equals epsilon
times the top right-singular vector of J(x). Of its two signs, that with the higher cross-entropy is
taken. The attack is neither random nor iterative. It costs one backward pass per class, so it suits
tasks with few classes.
"""

from __future__ import annotations

import torch

from ..errors import UserError
from .ball import Ball
from .pgd import odds_against
from .recipe import AttackRecipe

NORMS = ("l2",)  # in linf the maximum is NP-hard to find
RANDOM_START = False


def perturb(
    network: torch.nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    recipe: AttackRecipe,
    generator: torch.Generator,
) -> torch.Tensor:
    """Return perturbations along the top singular vector; see `pgd.perturb` for the arguments.

    They are clipped so that images + delta is in [0, 1], as in all attacks here, and are zero if
    the Jacobian is. ``generator`` and the recipe's steps, step size and tolerance are not used.

    Raises:
        UserError: The recipe has a random start or restarts.
    """
    if recipe.random_start or recipe.restarts > 1:
        raise UserError(
            "attack 'singular' has one answer and starts nowhere: leave out random_start and "
            "restarts."
        )
    _, directions = singular_directions(network, images)
    step = recipe.epsilon * directions[:, 0]
    ball = Ball(images, recipe.epsilon, "l2")
    plus, minus = (ball.project_(delta) for delta in (step, -step))
    with torch.no_grad():
        odds = [odds_against(network(images + delta), labels) for delta in (plus, minus)]
    return torch.where((odds[0] >= odds[1]).view(-1, 1, 1, 1), plus, minus)


def singular_directions(
    network: torch.nn.Module, images: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return singular values and right-singular vectors of the logits' Jacobian at each image.

    With ``J = U S V^T``, the matrix ``J J^T = U S^2 U^T`` is only classes x classes. Its
    eigenvectors u, in float64, give ``v = J^T u / s``. The level-l direction of the paper's
    generalised attack is entry l.

    Args:
        network: function from images to logits, in which no image's logits depend on another image
            (evaluation mode).
        images: float32 (N, C, H, W).

    Returns:
        values: float32 (N, classes), in descending order, at least 0. Values that float32 gradients
            cannot distinguish from 0 are 0, as are those beyond the rank.
        directions: float32 (N, classes, C, H, W), orthonormal for each image; their signs are
            arbitrary. A direction is zero if its value is.
    """
    images = images.detach().requires_grad_(True)
    logits = network(images)
    classes = logits.shape[1]
    rows = [
        torch.autograd.grad(logits[:, k].sum(), images, retain_graph=k + 1 < classes)[0]
        for k in range(classes)
    ]
    jacobian = torch.stack(rows, 1).flatten(2).double()
    squares, vectors = torch.linalg.eigh(jacobian @ jacobian.mT)
    values = squares.flip(1).clamp_min(0).sqrt()
    # When a matrix of lower rank is rounded to float32, zeros become values of this size.
    noise = classes * torch.finfo(torch.float32).eps * values[:, :1]
    values = torch.where(values > noise, values, 0)
    directions = vectors.flip(2).mT @ jacobian
    directions = torch.where(values[..., None] > 0, directions / values[..., None], 0)
    return values.float(), directions.float().unflatten(2, images.shape[1:])
