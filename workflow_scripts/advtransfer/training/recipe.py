"""The recipe of a trained network: its images, its architecture and its training."""

from __future__ import annotations

from dataclasses import dataclass

from ..attacks.recipe import AttackRecipe
from ..data.view_recipe import ViewRecipe
from ..epsilon import format_epsilon
from ..errors import UserError
from ..models.recipe import ModelRecipe
from ..recipes import Addressed

FREE_ATTACKS = ("fgsm", "pgd")  # their step is the one of free adversarial training


@dataclass(frozen=True)
class TrainingRecipe:
    """The training of a network; with ``attack``, adversarial training (Madry et al. 2018)."""

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    schedule: str = "cosine"  # "one_cycle", "cosine", "step", "constant"
    augmentation: str = "none"  # "crop_flip", "resized_crop_flip" or "none"
    attack: AttackRecipe | None = None
    validation_images: int = 0  # held out of the training view
    checkpoint: str = "last"  # or "best_on_validation", "best_on_test" (the papers' choice)
    batch_norm: str = "adapt"  # "frozen": statistics do not change
    precision: str = "fp32"
    # Free adversarial training (Shafahi et al. 2019): the number of steps in a row on each batch.
    # Perturbations are carried from step to step. 0: train against the attack itself.
    replays: int = 0


@dataclass(frozen=True)
class SourceRecipe(Addressed):
    """A trained network: a source or a reference, which are trained alike."""

    view: ViewRecipe
    model: ModelRecipe
    training: TrainingRecipe
    test: ViewRecipe | None = None  # only for checkpoint: best_on_test

    def label(self) -> str:
        attack = self.training.attack
        training = "natural"
        if attack is not None:
            training = f"{attack.norm}_{format_epsilon(attack.epsilon).replace('/', '_')}"
        classes = f"{len(self.view.classes)}classes"
        return f"{self.model.family}-{self.view.dataset.name}-{classes}-{training}"


def check_replays(training: TrainingRecipe, name: str) -> None:
    """Check that free adversarial training has an attack, and one of a single step.

    Raises:
        UserError: It has no attack or an unsuitable one.
    """
    attack, replays = training.attack, training.replays
    if replays < 0:
        raise UserError(f"{name}: replays must not be negative ({replays}).")
    if not replays:
        return
    if attack is None:
        raise UserError(f"{name}: replays are of adversarial training; add an `attack`.")
    if attack.attack not in FREE_ATTACKS:
        raise UserError(
            f"{name}: with replays the attack is {' or '.join(FREE_ATTACKS)}, not "
            f"'{attack.attack}'. To train against this attack, remove replays."
        )
    if attack.steps > 1 or attack.random_start or attack.restarts > 1:
        raise UserError(
            f"{name}: with replays every use of a batch is one step of its attack, which starts "
            "where the last one ended. Either leave out the attack's steps, random_start and "
            "restarts, or leave out replays."
        )
