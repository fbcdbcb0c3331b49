"""Perturbations of training batches: none, an attack, or a step of free adversarial training."""

from __future__ import annotations

import torch

from ..attacks.ball import TINY, l2_norms
from ..attacks.recipe import AttackRecipe
from ..attacks.run import load_attack
from ..data.batches import batch_bounds
from ..device import compile_network
from ..models.network import Network, inference_copy, refresh
from .recipe import TrainingRecipe


class Perturbation:
    """The perturbation of a batch before the network learns from it; none in natural training.

    Attributes:
        delta: perturbation that is carried from batch to batch and therefore belongs to the saved
            progress; None if there is none.
    """

    delta: torch.Tensor | None = None

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the images that the network learns from.

        Args:
            images: batch, float32 (N, C, H, W) in [0, 1]; natural training also takes activations.
            labels: int64 (N,).
        """
        return images

    def ascend(self) -> None:
        """Use the gradient of the loss with respect to the images returned last."""


def make_perturbation(
    network: Network,
    images: torch.Tensor,
    recipe: TrainingRecipe,
    generator: torch.Generator,
    compiled: bool,
) -> Perturbation:
    """Return the perturbation that the recipe asks for.

    Args:
        network: the network in training.
        images: all training images, (N, C, H, W); only their shape and memory format are used.
        generator: generator of the attack's random numbers, on the images' device.
        compiled: run the attacked copy through ``torch.compile``.

    Raises:
        UserError: There is no such attack, or one of its settings is invalid.
    """
    if recipe.attack is None:
        return Perturbation()
    load_attack(recipe.attack, images.shape[1:].numel())  # checks the recipe
    if recipe.replays:
        bounds = batch_bounds(len(images), recipe.batch_size)
        widest = max((stop - start for start, stop in bounds), default=0)
        return FreePerturbation(images[:widest], recipe.attack)
    return Adversary(network, recipe.attack, generator, compiled)


class Adversary(Perturbation):
    """The attack of adversarial training, on a frozen folded copy that follows the network."""

    def __init__(
        self, network: Network, recipe: AttackRecipe, generator: torch.Generator, compiled: bool
    ) -> None:
        self.network, self.recipe, self.generator = network, recipe, generator
        self.perturb = load_attack(recipe)
        self.copy = inference_copy(network, recipe.precision)
        self.forward = compile_network(self.copy) if compiled else self.copy

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        refresh(self.copy, self.network)
        delta = self.perturb(self.forward, images, labels, self.recipe, self.generator)
        return images + delta


class FreePerturbation(Perturbation):
    """The perturbation of free adversarial training (Shafahi et al., NeurIPS 2019, algorithm 1).

    One gradient trains the network and moves the perturbation. It is taken at the perturbed image
    clipped to [0, 1], as in the other attacks here, so that a pixel at 0 or 1 can change again. The
    authors' code differentiates the clipping too, which keeps such a pixel where it is. The
    perturbation is only projected to the ball, not clipped to the image, because the next image
    differs.

    Attributes:
        delta: float32 (largest batch, C, H, W), one for each position in a batch; 0 at first.
    """

    delta: torch.Tensor

    def __init__(self, like: torch.Tensor, recipe: AttackRecipe) -> None:
        self.norm, self.epsilon = recipe.norm, recipe.epsilon
        self.size = recipe.epsilon if recipe.step_size is None else recipe.step_size
        self.delta = torch.zeros_like(like, dtype=torch.float32)

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the images (N, C, H, W) in [0, 1], each with the perturbation of its position."""
        self.perturbed = (images + self.delta[: len(images)]).clamp_(0, 1).requires_grad_(True)
        return self.perturbed

    def ascend(self) -> None:
        """Step along the gradient at the images returned last, and project back into the ball."""
        gradient = self.perturbed.grad
        assert gradient is not None
        delta = self.delta[: len(gradient)]
        if self.norm == "linf":
            delta.add_(gradient.sign(), alpha=self.size).clamp_(-self.epsilon, self.epsilon)
        else:
            delta.addcmul_(gradient, self.size / l2_norms(gradient).clamp_min(TINY))
            delta *= (self.epsilon / l2_norms(delta).clamp_min(TINY)).clamp_max(1)
