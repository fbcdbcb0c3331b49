"""From the configuration to recipes: everything that the studies need, by address.

The Snakefile asks this module what to make. No step that makes a table, a figure or a page imports
it, so that a new study re-runs nothing. No torch here: it runs at every start of Snakemake.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from ..advtransfer.addresses import address
from ..advtransfer.data.text_lists import composed
from ..advtransfer.errors import UserError
from ..advtransfer.recipes import Addressed, to_json
from ..config.check import Config, check_config, without_nulls
from ..config.named import resolved
from . import folders
from .base import Study
from .checkpoints import check_checkpoints

ALL_CLASSES = "all"
ClassNames = Callable[[str, Mapping[str, Any]], Sequence[str]]
MAX_RECIPE = 112 << 10  # bytes, quoted: a command of at most 128 KiB, to Linux, has more to say


@dataclass
class Plan:
    """All studies of a configuration, and every recipe by its address."""

    config: Config
    studies: dict[str, Study]
    kinds: dict[str, str]  # of every study
    slices: dict[str, str]  # what of the configuration decides a study's tables, canonical JSON
    recipes: dict[str, Any] = field(default_factory=dict)

    def register(self, recipe: Any) -> str:
        """Address of a recipe, which is remembered with all that it is made from; two recipes at
        one address are an error."""
        where = address(recipe)
        if where not in self.recipes:
            _check_length(to_json(recipe), f"the recipe of '{where}'")
            self.recipes[where] = recipe
            for part in _with_address(recipe):
                self.register(part)
        elif self.recipes[where] != recipe:
            raise UserError(f"two different recipes share the address '{where}': rename one model.")
        return where

    @property
    def main(self) -> list[str]:
        """Studies of plain `snakemake`; all, where none of those is configured."""
        return [s for s in self.config["main_job"] if s in self.studies] or list(self.studies)

    def json(self, where: str) -> str:
        """Canonical JSON of the recipe at an address.

        Raises:
            UserError: the configuration asks for no such artefact.
        """
        return to_json(self.get(where))

    def get(self, where: str) -> Any:
        """The recipe at an address."""
        if where not in self.recipes:
            raise UserError(
                f"'{where}' is not made by this configuration; results/index.csv lists what is."
            )
        return self.recipes[where]


def check_writable(folder: str | Path) -> None:
    """Refuse a folder for results that cannot be written, which Snakemake would tell at length."""
    if os.path.isdir(folder) and not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(
            f"{Path(folder).absolute()} cannot be written: its disk is mounted read-only, or you "
            "lack the permission. Nothing was changed; make it writable and run the same command "
            "again, or run in a copy of the workflow."
        )


# From the configuration --------------------------------------------------------------------------


def make_plan(config: Config, class_names: ClassNames | None = None) -> Plan:
    """Check a configuration and expand it.

    Args:
        class_names: gives all classes of a dataset, by its name and entry in ``data.datasets``,
            where ``classes: all`` asks for them; a step never does: it is given their names.

    Raises:
        UserError: a problem, by key.
    """
    config = without_nulls(resolved(config))
    # Names of classes are compared with those of datasets, which `text_lists` composes.
    if "studies" in config:
        config["studies"] = composed(config["studies"])
    check_config(config)
    check_checkpoints(config)
    _check_length(json.dumps(config), "the configuration")
    config = with_class_names(config, class_names)
    known = [*config["studies"], *folders.with_settings()]  # an overlay may have removed one
    unknown = [name for name in config["main_job"] if name not in known]
    if unknown:
        raise UserError(
            f"main_job: no study '{unknown[0]}'; there are {', '.join(config['studies'])}."
        )
    plan = Plan(config, {}, {}, {})
    for name, part in config["studies"].items():
        kind = part.get("kind", name)
        reader = folders.load(name, kind, "design").Reader(config, name)
        study: Study = reader.study()
        text = _canonical(reader.slice())
        _check_length(text, f"the configuration of study '{name}'")
        plan.studies[name], plan.kinds[name], plan.slices[name] = study, kind, text
        for recipe in study.recipes():
            plan.register(recipe)
    _check_tables(plan)
    return plan


def _check_tables(plan: Plan) -> None:
    """Refuse two studies whose names make one file of two tables."""
    owners: dict[str, str] = {}
    for name, kind in plan.kinds.items():
        for table in folders.origins(name, kind):
            file = folders.table_file(name, table)
            if file in owners:
                raise UserError(
                    f"studies.{name}: its tables and those of '{owners[file]}' would both be "
                    f"written to {file}; give one of the two studies another name."
                )
            owners[file] = name


def with_class_names(config: Config, class_names: ClassNames | None) -> Config:
    """The configuration with ``classes: all`` replaced by the names of the classes.

    Raises:
        UserError: they cannot be known.
    """
    datasets = config["data"]["datasets"]

    def expanded(part: Any, path: str) -> Any:
        if not isinstance(part, Mapping):
            return part
        found = {key: expanded(value, f"{path}.{key}") for key, value in part.items()}
        if found.get("classes") == ALL_CLASSES:
            name = str(found.get("dataset"))
            if name not in datasets:
                return found  # which the reader of the study tells
            if class_names is None:
                raise UserError(f"{path}.classes: here `all` is not known; name the classes.")
            try:
                found["classes"] = list(class_names(name, datasets[name]))
            except UserError as error:
                raise UserError(f"{path}.classes: all of '{name}'? {error}") from None
        return found

    return {**config, "studies": expanded(config["studies"], "studies")}


def _with_address(recipe: Any) -> list[Any]:
    """Recipes that stand in a recipe and have an address of their own."""
    found: list[Any] = []
    for item in dataclasses.fields(recipe):
        value = getattr(recipe, item.name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Addressed):
                found.append(part)
    return found


def _check_length(text: str, what: str) -> None:
    """Refuse a recipe that no command could be given."""
    if len(quote(text)) > MAX_RECIPE:
        raise UserError(
            f"{what} is {len(text)} characters long, more than the {MAX_RECIPE} that a "
            "command can be given. Shorten its class names, or name fewer classes."
        )


def index_rows(plan: Plan) -> list[dict[str, Any]]:
    """Names in the configuration and the paths of their artefacts, without repeats."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for study in plan.studies.values():
        for item in study.index():
            text = " ".join(map(str, item.seeds))
            row = {"study": study.name, **item._asdict(), "seeds": text}
            rows.setdefault((study.name, item.path), row)
    return list(rows.values())


def settings_recipe(plan: Plan, study: str, names: Sequence[str]) -> str:
    """What decides an analysis or a figure besides its tables: the study's settings ``names``."""
    settings = plan.studies[study].settings(plan.config)
    return _canonical({name: settings[name] for name in names})


def page_recipe(plan: Plan, study: str, names: Sequence[str]) -> str:
    """What decides a study's page besides its tables and figures."""
    settings = plan.studies[study].settings(plan.config)
    facts = plan.studies[study].facts(plan.config)
    return _canonical({**{name: settings[name] for name in names}, "facts": facts})


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
