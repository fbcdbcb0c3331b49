"""Building networks from model recipes, and saving and loading their checkpoints.

A family is a module of ``advtransfer.models.families`` with a function
``build(size, **parameters) -> (blocks, features)``; its keyword arguments are the parameters that
the config may set.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from ..artifacts.tensors import load_tensors, save_tensors
from ..artifacts.versions import provenance
from ..errors import UserError
from ..recipes import from_plain, to_plain
from .network import Network
from .recipe import ModelRecipe
from .strided import mend_strided

FAMILIES = Path(__file__).parent / "families"


def known_families() -> list[str]:
    """Return the names of all families, sorted."""
    return sorted(path.stem for path in FAMILIES.glob("*.py") if path.stem != "__init__")


def family_module(name: str) -> Any:
    """Return the module of a known family."""
    return import_module(f".families.{name}", __package__)


def build_network(recipe: ModelRecipe, classes: int, size: int) -> Network:
    """Return a freshly initialised network for square images, from torch's global random state.

    Args:
        recipe: family and parameters.
        classes: number of logits.
        size: pixels a side of the images.

    Raises:
        UserError: The family is unknown, or parameters are unknown or invalid.
    """
    if recipe.family not in known_families():
        raise UserError(
            f"unknown model family '{recipe.family}'; there are {', '.join(known_families())} "
            "(docs/add-a-model.md says how to add one)."
        )
    if classes < 1:
        raise UserError(f"a network needs at least one class, not {classes}.")
    build = family_module(recipe.family).build
    known = [name for name in inspect.signature(build).parameters if name != "size"]
    unknown = sorted(set(recipe.parameters) - set(known))
    if unknown:
        raise UserError(
            f"model family '{recipe.family}' has no parameter {', '.join(unknown)}; it has "
            f"{', '.join(known)}."
        )
    try:
        blocks, features = build(size, **recipe.parameters)
        network = Network(blocks, features, classes).eval()
        with (
            torch.no_grad()
        ):  # a black image shows whether the layers leave any pixels and features
            network(torch.zeros(1, 3, size, size))
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise UserError(
            f"model family '{recipe.family}' cannot be built for {size}x{size} images with "
            f"{recipe.parameters}: {error}"
        ) from None
    mend_strided(network)
    return network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def save_checkpoint(
    path: str | Path,
    network: Network,
    model: ModelRecipe,
    classes: tuple[str, ...],
    size: int,
    **attributes: Any,
) -> None:
    """Write the weights, and the metadata needed to rebuild the network, as safetensors."""
    save_tensors(
        path,
        network.state_dict(),
        {
            "model": to_plain(model),
            "classes": list(classes),
            "size": size,
            "versions": provenance(),
            **attributes,
        },
    )


def load_checkpoint(
    path: str | Path,
    device: torch.device,
    model: ModelRecipe | None = None,
    size: int | None = None,
) -> tuple[Network, tuple[str, ...]]:
    """Return the network of a checkpoint in evaluation mode, and its class names.

    Args:
        model: architecture that the caller expects; None: any.
        size: pixels a side of the images that the network will be used on; None: unknown.

    Raises:
        UserError: The file is damaged, has no model description or another architecture than
            expected, or ``size`` is not the size that the network was trained on.
    """
    tensors, attributes = load_tensors(path)
    missing = [key for key in ("model", "classes", "size") if key not in attributes]
    if missing:
        raise UserError(
            f"{path}: the checkpoint's metadata lacks {missing}, so its architecture is unknown. "
            "Save it with advtransfer.models.zoo.save_checkpoint."
        )
    found = from_plain(ModelRecipe, attributes["model"])
    if model is not None and found != model:
        raise UserError(
            f"{path}: this checkpoint is a {found.family} {found.parameters}, not the "
            f"{model.family} {model.parameters} that was expected."
        )
    trained_on = int(attributes["size"])
    if size is not None and size != trained_on:
        raise UserError(
            f"{path}: this network was trained on {trained_on}x{trained_on} images and is given "
            f"{size}x{size} ones: set `size: {trained_on}` where the config names their dataset."
        )
    network = build_network(found, len(attributes["classes"]), trained_on)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        first = str(error).strip().splitlines()[1:2]
        raise UserError(
            f"{path}: the weights do not fit a {found.family} {found.parameters}: "
            f"{' '.join(first).strip()} The file was damaged or written for another architecture."
        ) from None
    return network.to(device).eval(), tuple(attributes["classes"])
