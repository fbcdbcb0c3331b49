"""How a study was run, in the words of its page: what the facts of several studies share."""

from __future__ import annotations

from collections.abc import Iterable

from ..advtransfer.attacks.recipe import attack_label
from ..advtransfer.training.recipe import SourceRecipe, TrainingRecipe
from .sources import Source


def training_in_words(training: TrainingRecipe) -> str:
    """Epochs and attack of a source's training."""
    text = f"{training.epochs} epochs"
    if training.attack is None:
        return text
    attack = attack_label(training.attack).replace("_", "/")
    return f"{text}, {attack}" + (f", {training.replays} replays" if training.replays else "")


def trainings_of(sources: Iterable[Source]) -> list[TrainingRecipe]:
    """How the sources were trained that are trained here."""
    recipes = [source.recipe for source in sources]
    return [recipe.training for recipe in recipes if isinstance(recipe, SourceRecipe)]


def selection_warning(trainings: Iterable[TrainingRecipe]) -> dict[str, str]:
    """The fact that a page states where a training was stopped by test images."""
    if all(training.checkpoint != "best_on_test" for training in trainings):
        return {}
    return {"warning": "checkpoints were selected on test data, as in the papers"}
