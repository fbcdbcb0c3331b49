"""Import closures of steps: the files of the package that determine what a step does.

The rules list these files as input, so that an edit re-runs exactly the steps that import the
edited file. Closures are read from the source, so imports must be static. The exception are modules
that a recipe names (families, attacks, datasets); `recipe_modules` returns these.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from .recipes import NamesModule, once_per_recipe

PACKAGE = Path("workflow_scripts")  # relative, so that a moved repository re-runs nothing
LIBRARY = PACKAGE / "advtransfer"
# Import statements are found by their text, in a tenth of the time that parsing takes: every start
# of Snakemake reads all modules. A sentence in a docstring that looks like one names no file.
_FROM = re.compile(
    r"^[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)", re.MULTILINE
)
_NAME = re.compile(r"\w+")


def import_closure(files: Iterable[Path]) -> list[str]:
    """Return ``files`` and all files of the package that they import, directly or indirectly."""
    return list(_closure(tuple(files)))


def step_code(step: str, modules: Iterable[Path] = ()) -> list[str]:
    """Return the import closure of a step and of the modules that its recipe names."""
    return import_closure([PACKAGE / f"{step}.py", *modules])


@cache  # a plan needs the same few closures for every job
def _closure(files: tuple[Path, ...]) -> tuple[str, ...]:
    seen: set[Path] = set()
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += _imports(file)
    return tuple(sorted(str(file) for file in seen))


@cache
def _imports(file: Path) -> tuple[Path, ...]:
    found: list[Path] = []
    for dots, module, names in _FROM.findall(file.read_text(encoding="utf-8")):
        if dots:
            base = file.parents[len(dots) - 1]
        elif module.split(".")[0] == PACKAGE.name:
            base = PACKAGE.parent
        else:
            continue
        base = base.joinpath(*filter(None, module.split(".")))
        # `from .package import module` names a file each; `from .module import name` one.
        candidates = [
            base.with_suffix(".py"),
            *(base / f"{name}.py" for name in _NAME.findall(names)),
        ]
        found += [candidate for candidate in candidates if candidate.is_file()]
    return tuple(found)


@once_per_recipe
def recipe_modules(recipe: Any) -> tuple[Path, ...]:
    """Return the files of the extension modules that a recipe and its upstream recipes name."""
    found: set[Path] = set()
    if isinstance(recipe, NamesModule):
        found.add(LIBRARY / recipe.module())
    elif dataclasses.is_dataclass(recipe):
        for item in dataclasses.fields(recipe):
            part = getattr(recipe, item.name)
            if not isinstance(part, NamesModule) or part.is_run_downstream():
                found.update(recipe_modules(part))
    elif isinstance(recipe, (list, tuple)):
        for item in recipe:
            found.update(recipe_modules(item))
    return tuple(sorted(found))
