"""A check that networks are given images of the size that they take, before anything is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from ..advtransfer.data.known import image_size
from ..advtransfer.data.view_recipe import ViewRecipe
from ..advtransfer.errors import UserError
from ..advtransfer.training.imported_recipe import ImportedRecipe
from .base import Artefact, Study
from .sources import Source


def check_sizes(studies: Iterable[Study]) -> None:
    """Refuse a source whose images have another size than those of a target.

    Raises:
        UserError: with the keys of both sizes.
    """
    for study in studies:
        for source in study.sources:
            recipe = source.recipe
            own = recipe.size if isinstance(recipe, ImportedRecipe) else image_size(recipe.view)
            for artefact in study.artefacts(source):
                for view in _views(artefact):
                    given = image_size(view)
                    if own is not None and given not in (None, own):
                        raise _other_size(study, source, view, own, given)


def _views(artefact: Artefact) -> Iterator[ViewRecipe]:
    """The images that a network is given for an artefact."""
    for item in dataclasses.fields(artefact.recipe):
        value = getattr(artefact.recipe, item.name)
        if isinstance(value, ViewRecipe):
            yield value


def _other_size(
    study: Study, source: Source, view: ViewRecipe, own: int, given: int | None
) -> UserError:
    key = f"studies.{study.name}.sources"
    if isinstance(source.recipe, ImportedRecipe):
        key = f"checkpoints.{source.recipe.name}.size"
    names = (t.name for t in study.targets if view in (t.train, t.test, t.attacked))
    target = next(names, "")
    where = f"studies.{study.name}.targets.{target}" if target else f"studies.{study.name}"
    return UserError(
        f"{key}: '{source.label}' takes images of {own}x{own} pixels, and {where} would give it "
        f"{given}x{given} ones of {view.dataset.name}. Both need the same `size`: set "
        f"`size: {own}` in {where}, which resizes the images, or `size: {given}` in "
        f"{key.removesuffix('.size')}."
    )
