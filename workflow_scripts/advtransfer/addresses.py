"""Addresses and paths of artefacts.

An address is ``<readable name>-<digest>``. The name follows from the recipe alone, so two studies
that need the same artefact share its file.
"""

from __future__ import annotations

from .recipes import Addressed, digest
from .seals import RESULTS

Seeds = tuple[int, ...]  # a block of seeds that one job transfers, attacks or compares


def address(recipe: Addressed) -> str:
    """Return the address of a recipe, ``<readable name>-<digest>``."""
    return f"{recipe.label()}-{digest(recipe)}"


def dataset_path(recipe: Addressed) -> str:
    return f"{RESULTS}/data/datasets/{address(recipe)}.h5"


def view_path(recipe: Addressed) -> str:
    return f"{RESULTS}/data/views/{address(recipe)}.h5"


def comparison_path(recipe: Addressed) -> str:
    return f"{RESULTS}/data/comparisons/{address(recipe)}.h5"


def source_path(source: Addressed, seed: int, file: str) -> str:
    return f"{RESULTS}/sources/{address(source)}/seed{seed}/{file}"


def seeds_name(seeds: Seeds) -> str:
    """Return the name of a block of seeds in a path, such as ``seeds0-1-2``."""
    return "seeds" + "-".join(map(str, seeds))


def block_path(stage: str, source: Addressed, seeds: Seeds, recipe: Addressed, suffix: str) -> str:
    """Return the path of a stage's artefact for a block of a source's seeds and a recipe."""
    where = f"{RESULTS}/{stage}/{address(source)}/{seeds_name(seeds)}"
    return f"{where}/{address(recipe)}.{suffix}"
