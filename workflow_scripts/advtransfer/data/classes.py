"""Whether views name classes that their datasets have."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from ..errors import UserError
from .known import description
from .view_recipe import ViewRecipe


def check_classes(views: Iterable[ViewRecipe]) -> None:
    """Refuse a class that a known dataset does not have, before anything is fetched.

    A pack is there already: `views.select` tells the same for it.

    Raises:
        UserError: with the nearest class and all that there are.
    """
    for view in views:
        if view.dataset.path is not None:
            continue
        known = description(view.dataset.name).class_names
        for name in view.classes:
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f"Did you mean '{near[0]}'? " if near else ""
                raise UserError(
                    f"studies: dataset '{view.dataset.name}' has no class '{name}'. {hint}Its "
                    f"classes are {', '.join(known)}."
                )
