"""Addresses and paths of artefacts.

An address is ``<readable name>-<digest>``; the name follows from the recipe alone, so two studies
that need the same artefact share the file.
"""

from __future__ import annotations

from typing import Any

from .recipes import (
    AttackBlockRecipe,
    DatasetRecipe,
    DetectionDataRecipe,
    DetectorRecipe,
    EvaluationRecipe,
    FeaturesRecipe,
    GranularityRecipe,
    ImportedRecipe,
    MetricsRecipe,
    PairingRecipe,
    SimilarityRecipe,
    SourceRecipe,
    SubsetsRecipe,
    TransferRecipe,
    ViewRecipe,
    digest,
    format_epsilon,
)
from .seals import RESULTS

Network = SourceRecipe | ImportedRecipe
# What has an address.
ADDRESSED = (
    DatasetRecipe,
    ViewRecipe,
    SourceRecipe,
    ImportedRecipe,
    EvaluationRecipe,
    FeaturesRecipe,
    SubsetsRecipe,
    SimilarityRecipe,
    GranularityRecipe,
    TransferRecipe,
    AttackBlockRecipe,
    PairingRecipe,
    MetricsRecipe,
    DetectionDataRecipe,
    DetectorRecipe,
)
Seeds = tuple[int, ...]  # a block: one job transfers, attacks and compares all of it


def name_of(recipe: Any) -> str:
    """Readable part of an address: a function of the recipe alone."""
    if isinstance(recipe, DatasetRecipe):
        return recipe.name
    if isinstance(recipe, ViewRecipe):
        return f"{recipe.dataset.name}-{recipe.split}-{len(recipe.classes)}classes"
    if isinstance(recipe, SourceRecipe):
        attack = recipe.training.attack
        training = "natural"
        if attack is not None:
            training = f"{attack.norm}_{format_epsilon(attack.epsilon).replace('/', '_')}"
        view = recipe.view
        classes = f"{len(view.classes)}classes"
        return f"{recipe.model.family}-{view.dataset.name}-{classes}-{training}"
    if isinstance(recipe, ImportedRecipe):
        # The rules tell by it who makes a source.
        return f"{'pretrained' if recipe.pretrained else 'imported'}-{recipe.name}"
    if isinstance(recipe, (AttackBlockRecipe, EvaluationRecipe, GranularityRecipe)):
        return name_of(recipe.view)
    if isinstance(recipe, (TransferRecipe, FeaturesRecipe, SubsetsRecipe)):
        return name_of(recipe.train)
    if isinstance(recipe, SimilarityRecipe):
        return name_of(recipe.target)
    if isinstance(recipe, PairingRecipe):
        return name_of(recipe.reference)
    if isinstance(recipe, MetricsRecipe):
        return name_of(recipe.pairing)
    if isinstance(recipe, DetectionDataRecipe):
        return recipe.name
    if isinstance(recipe, DetectorRecipe):
        return f"{'mask' if recipe.masks else 'faster'}_rcnn-{recipe.data.name}"
    raise TypeError(f"no address for {type(recipe).__name__}")


def address(recipe: Any) -> str:
    """``<readable name>-<digest>``."""
    return f"{name_of(recipe)}-{digest(recipe)}"


def dataset_path(recipe: DatasetRecipe) -> str:
    return f"{RESULTS}/data/datasets/{address(recipe)}.h5"


def view_path(recipe: ViewRecipe) -> str:
    return f"{RESULTS}/data/views/{address(recipe)}.h5"


def source_path(recipe: Network, seed: int, file: str) -> str:
    return f"{RESULTS}/sources/{address(recipe)}/seed{seed}/{file}"


def seeds_name(seeds: Seeds) -> str:
    """A block of seeds in a path: ``seeds0-1-2``."""
    return "seeds" + "-".join(map(str, seeds))


def block_path(stage: str, source: Network, seeds: Seeds, recipe: Any, suffix: str) -> str:
    """Artefact of a stage for a block of a source's seeds; what else decides it is ``recipe``."""
    where = f"{RESULTS}/{stage}/{address(source)}/{seeds_name(seeds)}"
    return f"{where}/{address(recipe)}.{suffix}"


def detection_data_path(recipe: DetectionDataRecipe) -> str:
    return f"{RESULTS}/data/detection/{address(recipe)}.h5"


def detector_path(source: Network, seed: int, recipe: DetectorRecipe, file: str) -> str:
    return f"{RESULTS}/detectors/{address(source)}/seed{seed}/{address(recipe)}/{file}"
