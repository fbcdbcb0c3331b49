"""Models of timm (Wightman 2019) by name, such as ``resnet50`` or ``tf_efficientnet_lite0``.

`pretrained` in `checkpoints` takes their official weights (docs/import-a-checkpoint.md).
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from torch import nn

from ...errors import UserError
from ..library import split
from ..network import Blocks


def library(name: str = "resnet18") -> tuple[nn.Module, str]:
    """Return timm's model with random weights, and the name of its last layer.

    Raises:
        UserError: There is no such model.
    """
    import timm

    if not timm.is_model(name) or "." in name:
        near = get_close_matches(name.partition(".")[0], timm.list_models(), 3)
        raise UserError(
            f"timm has no model '{name}'"
            + (f"; near are {', '.join(near)}." if near else ".")
            + (" A tag behind a dot names weights, not a model." if "." in name else "")
        )
    model: Any = timm.create_model(name, pretrained=False)
    last = model.get_classifier()
    return model, next((path for path, part in model.named_modules() if part is last), "")


def build(size: int, name: str = "resnet18") -> tuple[Blocks, int]:
    """Return the blocks of timm's model ``name``; its classifier is the head."""
    return split(*library(name), size)
