"""Import closures of steps: the files of the package that determine what a step does.

The rules list these files as input, so that an edit re-runs exactly the steps that import the
edited file. Closures are read from the source, so imports must be static. The exception are modules
that a recipe names (families, attacks, datasets); `recipe_modules` returns these.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from .recipes import NamesModule, once_per_recipe

PACKAGE = Path("workflow_scripts")  # relative, so that a moved repository re-runs nothing
LIBRARY = PACKAGE / "advtransfer"


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
    found = []
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = file.parents[node.level - 1]
            elif node.module and node.module.split(".")[0] == PACKAGE.name:
                base = PACKAGE.parent
            else:
                continue
            base = base.joinpath(*(node.module or "").split("."))
            # `from .package import a, b` may name several files; `from .module import a` names one.
            candidates = [base.with_suffix(".py"), *(base / f"{a.name}.py" for a in node.names)]
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
