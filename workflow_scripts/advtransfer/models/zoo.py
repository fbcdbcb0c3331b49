"""From a model recipe to a network, and between checkpoints and networks.

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

FAMILIES = Path(__file__).parent / "families"


def known_families() -> list[str]:
    """Names of the families there are."""
    return sorted(path.stem for path in FAMILIES.glob("*.py") if path.stem != "__init__")


def family_module(name: str) -> Any:
    """The module of a known family."""
    return import_module(f".families.{name}", __package__)


def build_network(recipe: ModelRecipe, classes: int, size: int) -> Network:
    """A freshly initialised network (torch's global random state) for square images.

    Args:
        recipe: family and parameters.
        classes: number of logits.
        size: pixels a side of the images.

    Raises:
        UserError: unknown family, unknown or wrong parameters.
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
        with torch.no_grad():  # one black image: pixels or features that run out are found here
            network(torch.zeros(1, 3, size, size))
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise UserError(
            f"model family '{recipe.family}' cannot be built for {size}x{size} images with "
            f"{recipe.parameters}: {error}"
        ) from None
    return network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def save_checkpoint(
    path: str | Path,
    network: Network,
    model: ModelRecipe,
    classes: tuple[str, ...],
    size: int,
    **attributes: Any,
) -> None:
    """Weights, and what is needed to build the network again, as safetensors."""
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
    """The network of a checkpoint in evaluation mode, and its class names.

    Args:
        model: what the caller expects; None takes what the file says.
        size: pixels a side of the images that it is about to see; None: not known yet.

    Raises:
        UserError: damaged file, no model description, another architecture than expected, or
            images of another size than it was trained on.
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
            f"{model.family} {model.parameters} that was asked for."
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
