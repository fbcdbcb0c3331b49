"""A check that a network is given images of the size that it takes, while jobs are planned."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from ..advtransfer.data.known import image_size
from ..advtransfer.data.view_recipe import ViewRecipe
from ..advtransfer.errors import UserError
from ..advtransfer.training.imported_recipe import ImportedRecipe, Network
from .base import Study


def check_size(network: Network, recipe: Any, studies: Iterable[Study]) -> None:
    """Refuse an artefact whose images have another size than its network takes.

    Args:
        network: the network that the images are given to.
        recipe: the artefact.
        studies: the studies of the plan, which know the keys of both sizes.

    Raises:
        UserError: They differ; the message names the keys of both sizes.
    """
    own = network.size if isinstance(network, ImportedRecipe) else image_size(network.view)
    for view in _views(recipe):
        given = image_size(view)
        if own is None or given in (None, own):
            continue
        key, where = _keys(network, view, studies)
        raise UserError(
            f"{key}: this network takes images of {own}x{own} pixels, and {where} would give it "
            f"{given}x{given} ones of {view.dataset.name}. Both need the same `size`: set "
            f"`size: {own}` in {where}, which resizes the images, or `size: {given}` in "
            f"{key.removesuffix('.size')}."
        )


def _views(recipe: Any) -> Iterator[ViewRecipe]:
    """Yield the views that an artefact is made from."""
    for item in dataclasses.fields(recipe):
        value = getattr(recipe, item.name)
        if isinstance(value, ViewRecipe):
            yield value


def _keys(network: Network, view: ViewRecipe, studies: Iterable[Study]) -> tuple[str, str]:
    """Return the key that holds a network's size, and that of the target with these images."""
    used = [s for s in studies if any(source.recipe == network for source in s.sources)]
    targets = (
        f"studies.{study.name}.targets.{target.name}"
        for study in used
        for target in study.targets
        if view in (target.train, target.test, target.attacked)
    )
    key = f"studies.{used[0].name}.sources" if used else "studies"
    if isinstance(network, ImportedRecipe):
        key = f"checkpoints.{network.name}.size"
    return key, next(targets, "its target")
