"""Paths of the artefacts of detection."""

from __future__ import annotations

from ..addresses import address
from ..seals import RESULTS
from ..training.imported_recipe import Network
from .data_recipe import DetectionDataRecipe
from .recipe import DetectorRecipe


def detection_data_path(recipe: DetectionDataRecipe) -> str:
    return f"{RESULTS}/data/detection/{address(recipe)}.h5"


def detector_path(source: Network, seed: int, recipe: DetectorRecipe, file: str) -> str:
    return f"{RESULTS}/detectors/{address(source)}/seed{seed}/{address(recipe)}/{file}"
