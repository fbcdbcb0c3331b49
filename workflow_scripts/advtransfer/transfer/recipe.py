"""The recipe of a transfer to a target."""

from __future__ import annotations

from dataclasses import dataclass

from ..data.recipe import DROP
from ..data.view_recipe import ViewRecipe
from ..recipes import Addressed
from ..training.recipe import TrainingRecipe


@dataclass(frozen=True)
class ModeRecipe:
    """One way to transfer a network to a target."""

    mode: str  # "last_layer", "unfrozen_blocks" or "full_network"
    solver: str = "sgd"  # last_layer only: "lbfgs" solves the head on cached features
    regularization: float = 0.0  # lbfgs only: l2 penalty on the weights, per image
    training: TrainingRecipe | None = None  # sgd only
    blocks: int = 0  # unfrozen_blocks only: number of last blocks with weights to train
    precision: str = "fp32"  # lbfgs only: precision of the features that the head is solved on
    regularizations: tuple[float, ...] = ()  # lbfgs only: one is chosen on held-out training images
    initial_head: str = "uniform"  # sgd only; "normal": N(0, 1) and no bias (Utrera et al. 2021)
    # unfrozen_blocks only: the batch norm statistics of frozen blocks move too, as in the papers'
    # released code.
    moving_statistics: bool = False
    # sgd only: one is chosen on held-out training images, instead of training.learning_rate.
    learning_rates: tuple[float, ...] = ()


@dataclass(frozen=True)
class TransferRecipe(Addressed):
    """Knowledge transfer to one target: a block of modes that one job makes."""

    train: ViewRecipe
    test: ViewRecipe
    modes: tuple[ModeRecipe, ...]
    trial: int = 0  # repeats the transfer with other initial heads and orders of the images
    # What happens to images of the target that the source is trained on (data.comparison_recipe).
    shared_images: str = DROP

    def label(self) -> str:
        return self.train.label()
