"""Where the parts of a study stand: its own folder first, then the folder of its kind.

A kind is a folder here or in `kinds/` with a `design.py`; a design whose `BASE` names another kind
takes from there what its own folder lacks. Parts are loaded by name, so the generic steps import no
study, and the rules list as code just the modules that a step loads. What the rules must know of a
module (the tables it reads, its label in the report) are constants in it, read without importing.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from ..advtransfer.errors import UserError

STUDIES = Path("workflow_scripts", "studies")  # relative: a moved repository re-runs nothing
HERE = Path(__file__).parents[2]  # the folder that it is relative to
TEMPLATES = Path("rules", "report")  # that all pages share
DECLARED = ("ALT", "LABEL", "TABLES", "SETTINGS")  # by the module of a figure
TABLE = "table"  # the study's main table, `<study>.csv`; others are `<study>_<name>.csv`


class Origin(NamedTuple):
    """Where the numbers of a table come from."""

    file: str  # name of the CSV
    module: str  # that makes it
    functions: tuple[str, ...]  # of the library, that compute what it holds

    def __str__(self) -> str:
        library = f", by {' and '.join(self.functions)}" if self.functions else ""
        return f"{self.file}, made in {self.module}{library}"


class Figure(NamedTuple):
    """A figure of a study, as its module declares it."""

    name: str
    module: Path
    tables: tuple[str, ...]  # that it reads
    settings: tuple[str, ...]  # of the study, that decide it besides the tables
    label: str  # in the report
    alt: str  # instead of the picture, on the page
    suffix: str  # of its file: svg or png


def kinds() -> list[str]:
    """Names of all kinds of studies."""
    designs = [
        *(HERE / STUDIES).glob("*/design.py"),
        *(HERE / STUDIES / "kinds").glob("*/design.py"),
    ]
    return sorted(design.parent.name for design in designs)


def with_settings() -> list[str]:
    """Names of the studies that come with settings, configured or not."""
    return sorted(file.parent.name for file in (HERE / STUDIES).glob("*/config.yaml"))


@cache
def folders(study: str, kind: str) -> tuple[Path, ...]:
    """The folders that a study's parts are looked up in, in this order.

    Raises:
        UserError: there is no such kind.
    """
    found = [STUDIES / study] if (HERE / STUDIES / study).is_dir() else []
    while kind:
        places = (STUDIES / kind, STUDIES / "kinds" / kind)
        folder = next((place for place in places if (HERE / place / "design.py").is_file()), None)
        if folder is None:
            raise UserError(
                f"studies.{study}: there is no kind of study '{kind}'; give it one of the kinds "
                f"{', '.join(kinds())} (`kind: ...`)."
            )
        if folder not in found:
            found.append(folder)
        kind = constants(folder / "design.py").get("BASE", "")
    return tuple(found)


def find(study: str, kind: str, name: str) -> Path | None:
    """The file of a part, such as ``page.py`` or ``figures/cost.rst``; None: the study has none."""
    places = (folder / name for folder in folders(study, kind))
    return next((place for place in places if (HERE / place).is_file()), None)


def caption(study: str, kind: str, name: str) -> Path | None:
    """The caption of a figure, table or page, which for a table may be one that studies share."""
    shared = STUDIES / f"{name}.rst"
    return find(study, kind, f"{name}.rst") or (shared if (HERE / shared).is_file() else None)


def has_page(study: str, kind: str) -> bool:
    """Whether a study has a page: a template, and the module that says what to fill in."""
    return None not in (find(study, kind, "page.py"), find(study, kind, "page.html.j2"))


def load(study: str, kind: str, part: str) -> ModuleType:
    """The module of a part, such as ``design``, ``analysis`` or ``figures.cost``.

    Raises:
        UserError: the study has no such part.
    """
    file = find(study, kind, part.replace(".", "/") + ".py")
    if file is None:
        where = " or ".join(map(str, folders(study, kind)))
        raise UserError(f"study '{study}' has no {part.replace('.', '/')}.py in {where}.")
    return importlib.import_module(".".join(file.with_suffix("").parts))


@cache
def constants(module: Path) -> dict[str, Any]:
    """The literals that a module assigns to names in capitals, read without importing it."""
    found = {}
    for node in ast.parse((HERE / module).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name.isupper():
                try:
                    found[name] = ast.literal_eval(node.value)
                except ValueError:
                    continue  # it is computed, so it is none of what the rules ask for
    return found


@cache
def figures(study: str, kind: str) -> dict[str, Figure]:
    """Every figure of a study, by name: a module in `figures/` each, with its caption beside it.

    Raises:
        UserError: a module does not say what the rules must know of it.
    """
    found: dict[str, Figure] = {}
    for folder in folders(study, kind):
        for module in sorted((HERE / folder / "figures").glob("[!_]*.py")):
            name = module.stem
            if name in found:
                continue
            file = folder / "figures" / module.name
            said = constants(file)
            if missing := [key for key in DECLARED if key not in said]:
                raise UserError(
                    f"{file} lacks {' and '.join(missing)}, literals that the rules read from each "
                    "figure's module; CONTRIBUTING.md (Add a figure) says what they hold."
                )
            found[name] = Figure(
                name=name,
                module=file,
                tables=said["TABLES"],
                settings=said["SETTINGS"],
                label=said["LABEL"],
                alt=said["ALT"],
                suffix=said.get("FORMAT", "svg"),
            )
    return found


def declared(study: str, kind: str, part: str, constant: str) -> Any:
    """A constant of a part's module, or None where the study has no such part."""
    module = find(study, kind, f"{part}.py")
    return None if module is None else constants(module).get(constant, ())


def collected_tables(study: str, kind: str) -> Mapping[str, str]:
    """Tables that are gathered from artefacts, with their labels ("": not in the report)."""
    return declared(study, kind, "tables", "TABLES") or {}


def analysed_tables(study: str, kind: str) -> Mapping[str, str]:
    """Tables that are computed from those, with their labels."""
    return declared(study, kind, "analysis", "TABLES") or {}


def origins(study: str, kind: str) -> dict[str, Origin]:
    """Where the numbers of each of a study's tables come from, by the table's name."""
    found = {}
    for part in ("tables", "analysis"):
        module = find(study, kind, f"{part}.py")
        if module is None:
            continue
        library = library_of(study, kind, part)
        for table in constants(module)["TABLES"]:
            file = table_file(study, table)
            found[table] = Origin(file, module.as_posix(), tuple(library.get(table, ())))
    return found


def library_of(study: str, kind: str, part: str) -> dict[str, tuple[str, ...]]:
    """Functions that compute a study's tables: its own module's ``LIBRARY``, over its kind's."""
    found: dict[str, tuple[str, ...]] = {}
    for folder in reversed(folders(study, kind)):
        module = folder / f"{part}.py"
        if (HERE / module).is_file():
            found |= constants(module).get("LIBRARY", {})
    return found


def table_file(study: str, table: str) -> str:
    """Name of a table's file."""
    return f"{study}.csv" if table == TABLE else f"{study}_{table}.csv"


def templates(study: str, kind: str) -> list[Path]:
    """Folders of the templates of a study's page, and of what they include, in this order."""
    return [HERE / place for place in (*folders(study, kind), TEMPLATES)]
