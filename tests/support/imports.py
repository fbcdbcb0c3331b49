"""What a module of the workflow imports, read from its source."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from support.workflow import ROOT

PACKAGE = "workflow_scripts"


def modules(folder: str = "") -> list[Path]:
    """The modules in a folder of the package and below, relative to the repository."""
    return sorted(file.relative_to(ROOT) for file in (ROOT / PACKAGE / folder).rglob("*.py"))


@cache
def imported(file: Path, root: Path = ROOT) -> frozenset[str]:
    """Absolute names of the modules, or of the names in modules, that a module of ours imports.

    Of `from ..data import views, folders` these are `workflow_scripts.advtransfer.data.views` and
    `...folders`: whether a name is a module or stands in one makes no difference here.
    """
    found = set()
    for node in ast.walk(ast.parse((root / file).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = file.parent.parts[: len(file.parent.parts) + 1 - node.level]
            parts = [*(above if node.level else ()), *(node.module or "").split(".")]
            base = ".".join(filter(None, parts))
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return frozenset(found)


def below(name: str, *packages: str) -> bool:
    """Whether a name is one of the packages of the workflow, or stands in one."""
    return any(f"{name}.".startswith(f"{PACKAGE}.{package}.") for package in packages)


def ours(file: Path) -> set[str]:
    """What a module imports of the workflow itself."""
    return {name for name in imported(file) if f"{name}.".startswith(f"{PACKAGE}.")}
