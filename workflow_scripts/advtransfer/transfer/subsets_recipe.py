"""What transfer to subsets of a target is made from, and the features that it starts from."""

from __future__ import annotations

from dataclasses import dataclass

from ..attacks.recipe import AttackRecipe
from ..data.view_recipe import ViewRecipe
from ..recipes import Addressed
from .modes import has_fixed_activations
from .recipe import ModeRecipe


@dataclass(frozen=True)
class FeaturesRecipe(Addressed):
    """Activations where a network's frozen part ends, of every image of a target's views."""

    train: ViewRecipe
    test: ViewRecipe
    blocks: (
        int  # unfrozen: the cut is before the last so many that have weights; 0: the head's input
    )
    precision: str = "fp32"  # of the training images; test images are always float32

    def label(self) -> str:
        return self.train.label()


@dataclass(frozen=True)
class SubsetsRecipe(Addressed):
    """Knowledge transfer by one mode to random subsets of a target: a block of sizes and seeds.

    A subset depends on the view it is drawn from, its size and its seed alone, so that all sources
    meet the same ones.
    """

    train: ViewRecipe  # what the subsets are drawn from
    test: ViewRecipe
    mode: ModeRecipe
    images: tuple[int, ...]
    subset_seeds: tuple[int, ...]
    attacks: tuple[AttackRecipe, ...] = ()  # on the transferred networks: their robust accuracy
    attacked_images: int = 0  # the first so many test images

    def label(self) -> str:
        return self.train.label()


def cached_features(recipe: SubsetsRecipe) -> FeaturesRecipe | None:
    """Activations that all runs of a block start from; None where they are not fixed."""
    mode = recipe.mode
    if not has_fixed_activations(mode):
        return None
    precision = mode.training.precision if mode.training else mode.precision
    return FeaturesRecipe(recipe.train, recipe.test, mode.blocks, precision)
