"""What training does to a batch before the network learns from it: nothing, an attack, or a step of
free adversarial training."""

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
    """What is done to a batch before the network learns from it: in natural training, nothing.

    Attributes:
        delta: perturbation that is carried on from batch to batch, and so belongs to the progress;
            None where nothing is.
    """

    delta: torch.Tensor | None = None

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The images that the network learns from.

        Args:
            images: of a batch, float32 (N, C, H, W) in [0, 1]; activations in natural training.
            labels: int64 (N,).
        """
        return images

    def ascend(self) -> None:
        """Use the gradient that the last images got when the loss was differentiated."""


def make_perturbation(
    network: Network,
    images: torch.Tensor,
    recipe: TrainingRecipe,
    generator: torch.Generator,
    compiled: bool,
) -> Perturbation:
    """The perturbation that the recipe asks for.

    Args:
        network: the one in training.
        images: all that it is trained on, (N, C, H, W); they lend their shape and memory format.
        generator: of the attack's random numbers, on the images' device.
        compiled: run the attacked copy through ``torch.compile``.

    Raises:
        UserError: no such attack, or a setting of it that makes no sense.
    """
    if recipe.attack is None:
        return Perturbation()
    if recipe.replays:
        bounds = batch_bounds(len(images), recipe.batch_size)
        widest = max((stop - start for start, stop in bounds), default=0)
        return FreePerturbation(images[:widest], recipe.attack)
    return Adversary(network, recipe.attack, generator, compiled)


class Adversary(Perturbation):
    """The attack of adversarial training, made on a frozen folded copy that follows the network."""

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
    """Algorithm 1 of Shafahi et al., NeurIPS 2019: the gradient that trains the network moves the
    perturbation too.

    The gradient is that at the perturbed image clipped to [0, 1], as in the other attacks here, so
    that a pixel at 0 or 1 can come back; their released code differentiates the clipping too, which
    holds it there. What is carried on is only brought back to the ball: the next image is another.

    Attributes:
        delta: float32 (widest batch, C, H, W), one for every position in a batch; 0 at first.
    """

    delta: torch.Tensor

    def __init__(self, like: torch.Tensor, recipe: AttackRecipe) -> None:
        load_attack(recipe)  # which checks it
        self.norm, self.epsilon = recipe.norm, recipe.epsilon
        self.size = recipe.epsilon if recipe.step_size is None else recipe.step_size
        self.delta = torch.zeros_like(like, dtype=torch.float32)

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The images (N, C, H, W), each perturbed by what its position carries, in [0, 1]."""
        self.perturbed = (images + self.delta[: len(images)]).clamp_(0, 1).requires_grad_(True)
        return self.perturbed

    def ascend(self) -> None:
        """A step along the gradient that the last images left, then back into the ball."""
        gradient = self.perturbed.grad
        assert gradient is not None
        delta = self.delta[: len(gradient)]
        if self.norm == "linf":
            delta.add_(gradient.sign(), alpha=self.size).clamp_(-self.epsilon, self.epsilon)
        else:
            delta.addcmul_(gradient, self.size / l2_norms(gradient).clamp_min(TINY))
            delta *= (self.epsilon / l2_norms(delta).clamp_min(TINY)).clamp_max(1)
