"""Models of torchvision by name, such as ``resnet50``, ``wide_resnet50_2`` or ``densenet161``.

`pretrained` in `checkpoints` takes their official weights (docs/import-a-checkpoint.md).
"""

from __future__ import annotations

from difflib import get_close_matches

from torch import nn

from ...errors import UserError
from ...wording import listed
from ..library import split
from ..network import Blocks


def library(name: str = "resnet18") -> tuple[nn.Module, str]:
    """Return torchvision's model with random weights, and the name of its last layer.

    Raises:
        UserError: There is no such model.
    """
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        near = get_close_matches(str(name), known, 1)
        hint = f"did you mean '{near[0]}'? It" if near else "it"
        raise UserError(f"torchvision has no model '{name}'; {hint} has {listed(known)}.")
    model = models.get_model(name, weights=None)
    if isinstance(
        model, models.DenseNet
    ):  # it has no module for its last ReLU; a second ReLU changes nothing
        model.features.add_module("relu5", nn.ReLU())
    linear = [path for path, module in model.named_modules() if isinstance(module, nn.Linear)]
    last = [path for path, module in model.named_modules() if not list(module.children())][-1]
    return model, linear[-1] if linear else last


def build(size: int, name: str = "resnet18") -> tuple[Blocks, int]:
    """Return the blocks of torchvision's model ``name``; its last linear layer is the head."""
    return split(*library(name), size)
