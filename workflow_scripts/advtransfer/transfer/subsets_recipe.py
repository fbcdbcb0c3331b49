"""The recipes of transfers to subsets of a target and of the features that they start from."""

from __future__ import annotations

from dataclasses import dataclass

from ..attacks.recipe import AttackRecipe
from ..data.recipe import DROP
from ..data.view_recipe import ViewRecipe
from ..recipes import Addressed
from .modes import has_fixed_activations
from .recipe import ModeRecipe


@dataclass(frozen=True)
class FeaturesRecipe(Addressed):
    """Activations where a network's frozen part ends, of every image of a target's views."""

    train: ViewRecipe
    test: ViewRecipe
    blocks: int  # unfrozen blocks with weights, before which the cut lies; 0: the head's input
    precision: str = "fp32"  # precision for the training images; test images are always float32

    def label(self) -> str:
        return self.train.label()


@dataclass(frozen=True)
class SubsetsRecipe(Addressed):
    """Knowledge transfer by one mode to random subsets of a target: a block of sizes and seeds.

    A subset depends only on the view that it is drawn from, its size and its seed, so that all
    sources are transferred to the same subsets.
    """

    train: ViewRecipe  # the view that the subsets are drawn from
    test: ViewRecipe
    mode: ModeRecipe
    images: tuple[int, ...]
    subset_seeds: tuple[int, ...]
    attacks: tuple[AttackRecipe, ...] = ()  # on the transferred networks, for their robust accuracy
    attacked_images: int = 0  # number of test images, from the first, to attack
    shared_images: str = DROP  # as in `TransferRecipe`

    def label(self) -> str:
        return self.train.label()


def cached_features(recipe: SubsetsRecipe) -> FeaturesRecipe | None:
    """Return the recipe of the activations that all runs start from; None if they change."""
    mode = recipe.mode
    if not has_fixed_activations(mode):
        return None
    precision = mode.training.precision if mode.training else mode.precision
    return FeaturesRecipe(recipe.train, recipe.test, mode.blocks, precision)
