"""Modes of transfer on a small scale."""

from __future__ import annotations

import dataclasses

from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.training.recipe import TrainingRecipe
from workflow_scripts.advtransfer.transfer.recipe import ModeRecipe

SOLVED = ModeRecipe("last_layer", solver="lbfgs", regularization=0.01)
TRAINING = TrainingRecipe(4, 16, 0.02, schedule="one_cycle", batch_norm="frozen")
ITERATED = ModeRecipe("last_layer", training=dataclasses.replace(TRAINING, learning_rate=0.2))
BLOCKS = ModeRecipe("unfrozen_blocks", training=TRAINING, blocks=1)
FULL = ModeRecipe("full_network", training=dataclasses.replace(TRAINING, batch_norm="adapt"))
CLASSES = 4
DEEPER = ModelRecipe("resnet", {"width": 8, "blocks": [1, 1, 1], "stem_stride": 2})


def with_training(mode: ModeRecipe, **changes) -> ModeRecipe:
    return dataclasses.replace(mode, training=dataclasses.replace(mode.training, **changes))
