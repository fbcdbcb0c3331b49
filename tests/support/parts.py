"""Parts of a study called in this process, as the generic steps call them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from workflow_scripts.advtransfer.artifacts.table_writer import write_rows
from workflow_scripts.advtransfer.data.comparison_recipe import SHARED_COLUMNS
from workflow_scripts.advtransfer.plotting.save import save
from workflow_scripts.advtransfer.recipes import from_plain
from workflow_scripts.studies import folders

from .steps import run_step, texts


def paths(folder: Path, study: str, names: Sequence[str]) -> dict[str, str]:
    """Tables in a folder, under their real names."""
    return {name: str(folder / folders.table_file(study, name)) for name in names}


def chosen(module: Any, study: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a part asks for, of all that a study has."""
    return {
        "study": study,
        **{k: v for k, v in settings.items() if k in ("study", *module.SETTINGS)},
    }


def analyse(study: str, folder: Path, settings: Mapping[str, Any]) -> None:
    """Make the tables of a study's analysis beside those that it reads."""
    module = folders.load(study, study, "analysis")
    made = module.analyse(paths(folder, study, module.READS), chosen(module, study, settings))
    for name, path in paths(folder, study, list(module.TABLES)).items():
        columns, rows = made[name]
        write_rows(path, rows, columns)


def figure(
    study: str,
    name: str,
    tables: Mapping[str, str],
    settings: Mapping[str, Any],
    files: Mapping[str, str] | None = None,
) -> Any:
    """A figure, not saved. ``tables`` and ``settings`` may hold more than it reads."""
    module = folders.load(study, study, f"figures.{name}")
    own = from_plain(module.Settings, chosen(module, study, settings))
    read = {table: tables[table] for table in module.TABLES}
    return module.draw(read, own, files) if files else module.draw(read, own)


def draw(
    study: str,
    name: str,
    tables: Mapping[str, str],
    output: Path,
    settings: Mapping[str, Any],
    files: Mapping[str, str] | None = None,
) -> str:
    """Save a figure; all that it says, if it is an SVG."""
    save(figure(study, name, tables, settings, files), output)
    return texts(output) if output.suffix == ".svg" else ""


def page(
    study: str,
    tables: Mapping[str, str],
    settings: Mapping[str, Any],
    facts: Mapping[str, Any] | None = None,
    figures: Mapping[str, Path] | None = None,
) -> str:
    """A study's page. ``figures``: files of its figures by name; the others are left out. A main
    table that is not given has no rows."""
    module = folders.load(study, study, "page")
    told = {**chosen(module, study, settings), "facts": dict(facts or {})}
    with TemporaryDirectory() as folder:
        empty = Path(folder, "table.csv")
        write_rows(empty, [], SHARED_COLUMNS)
        tables = {"table": str(empty), **tables}
        named = {
            "--tables": {table: tables[table] for table in module.TABLES},
            "--figures": figures or {},
        }
        output = Path(folder, "page.html")
        line = ["--study", study, "--kind", study, "--recipe", json.dumps(told)]
        for option, paths in named.items():
            line += [option, *(f"{name}={path}" for name, path in paths.items())]
        run_step("write_page", [*line, "--output", str(output)])
        return output.read_text(encoding="utf-8")
