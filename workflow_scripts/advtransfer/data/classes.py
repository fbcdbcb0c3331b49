"""A check that views name classes of their datasets."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from ..errors import UserError
from ..wording import listed
from .known import description
from .view_recipe import ViewRecipe


def check_classes(views: Iterable[ViewRecipe]) -> None:
    """Refuse a class that a known dataset does not have, before anything is fetched.

    Packs are not checked here, because they need no fetching: `views.select` checks them.

    Raises:
        UserError: A class is unknown; the message names the nearest class and all classes.
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
                    f"classes are {listed(known)}."
                )
