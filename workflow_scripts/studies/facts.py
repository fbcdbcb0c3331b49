"""How a study was run, in the words of its page: what the facts of several studies share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..advtransfer.attacks.recipe import attack_label
from ..advtransfer.training.recipe import SourceRecipe, TrainingRecipe
from .sources import Source

# Transfer modes as they are printed.
MODE_WORDS = {"last_layer": "fixed-feature", "full_network": "full-network"}


def mode_in_words(mode: str) -> str:
    """Return the printed name of a transfer mode."""
    return MODE_WORDS.get(mode, mode.replace("_", " "))


def training_in_words(training: TrainingRecipe) -> str:
    """Return epochs and attack of a source's training in words."""
    text = f"{training.epochs} epochs"
    if training.attack is None:
        return text
    attack = attack_label(training.attack).replace("_", "/")
    return f"{text}, {attack}" + (f", {training.replays} replays" if training.replays else "")


def trainings_of(sources: Iterable[Source]) -> list[TrainingRecipe]:
    """Return how the sources were trained that are trained here."""
    recipes = [source.recipe for source in sources]
    return [recipe.training for recipe in recipes if isinstance(recipe, SourceRecipe)]


def selection_warning(trainings: Iterable[TrainingRecipe]) -> dict[str, str]:
    """Return the fact that a page states where test images chose a checkpoint."""
    if all(training.checkpoint != "best_on_test" for training in trainings):
        return {}
    return {"warning": "checkpoints were selected on test data, as in the papers"}


def sources_in_words(part: Mapping[str, Any], sources: Sequence[Source]) -> dict[str, Any]:
    """Return the training images and the models of a study's sources, from its configuration."""
    facts: dict[str, Any] = {}
    if "images" in part["sources"]:
        facts["training images of a source"] = part["sources"]["images"]
    facts["models"] = list(dict.fromkeys(source.model for source in sources))
    return facts
