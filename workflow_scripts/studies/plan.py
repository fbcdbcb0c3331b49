"""From the configuration to recipes: everything that the studies need, by address.

The Snakefile asks this module what to make; the steps that collect tables ask it where things are.
No torch here: it runs at every start of Snakemake.
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

from ..advtransfer.addresses import ADDRESSED, address
from ..advtransfer.errors import UserError
from ..advtransfer.recipes import to_json
from ..config.check import Config, check_config, without_nulls
from ..config.kinds import kind_of, known_studies
from ..config.named import resolved
from .accuracy_and_robustness.design import AccuracyReader, AccuracyStudy
from .checkpoints import check_checkpoints
from .data_efficiency.design import EfficiencyReader, EfficiencyStudy
from .detection.design import DetectionReader, DetectionStudy
from .granularity.design import GranularityReader
from .kinds.pairs.design import PairReader, PairStudy
from .kinds.whole_targets.design import TransferReader, TransferStudy
from .reader import Study

ALL_CLASSES = "all"
ClassNames = Callable[[str, Mapping[str, Any]], Sequence[str]]
MAX_RECIPE = 112 << 10  # bytes, quoted: a command of at most 128 KiB, to Linux, has more to say
AnyReader = PairReader | EfficiencyReader | TransferReader | DetectionReader
# By kind of study.
READERS: dict[str, type[AnyReader]] = {
    "adversarial_to_knowledge": PairReader,
    "knowledge_to_adversarial": PairReader,
    "data_efficiency": EfficiencyReader,
    "fixed_vs_full": TransferReader,
    "granularity": GranularityReader,
    "accuracy_and_robustness": AccuracyReader,
    "detection": DetectionReader,
    "pairs": PairReader,
    "whole_targets": TransferReader,
}


@dataclass
class Plan:
    """All studies of a configuration, and every recipe by its address."""

    config: Config
    studies: dict[str, Study]
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

    @property
    def pairs(self) -> dict[str, PairStudy]:
        """The studies of sources against references."""
        return {n: s for n, s in self.studies.items() if isinstance(s, PairStudy)}

    @property
    def efficiency(self) -> dict[str, EfficiencyStudy]:
        """The studies of transfer to few images."""
        return {n: s for n, s in self.studies.items() if isinstance(s, EfficiencyStudy)}

    @property
    def transfers(self) -> dict[str, TransferStudy]:
        """The studies of transfer to whole targets."""
        return {n: s for n, s in self.studies.items() if isinstance(s, TransferStudy)}

    @property
    def detection(self) -> dict[str, DetectionStudy]:
        """The studies of detectors."""
        return {n: s for n, s in self.studies.items() if isinstance(s, DetectionStudy)}

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
    check_config(config)
    check_checkpoints(config)
    _check_length(json.dumps(config), "the configuration")
    config = with_class_names(config, class_names)
    known = {*known_studies(), *config["studies"]}
    unknown = [name for name in config["main_job"] if name not in known]
    if unknown:
        raise UserError(
            f"main_job: no study '{unknown[0]}'; there are {', '.join(config['studies'])}."
        )
    studies: dict[str, Study] = {
        name: READERS[kind_of(config, name)](config, name).study() for name in config["studies"]
    }
    plan = Plan(config, studies)
    for name, study in studies.items():
        _check_length(study_config(config, name), f"the configuration of study '{name}'")
        for recipe in study.recipes():
            plan.register(recipe)
    return plan


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


def study_config(config: Config, study: str) -> str:
    """The part of the configuration that decides a study's tables, as canonical JSON.

    Of the named parts (models, trainings, ...) only those that the study uses: another one re-runs
    nothing.
    """
    own = config["studies"][study]
    used = READERS[kind_of(config, study)].used(config, own)
    datasets, scenes = used.pop("datasets"), used.pop("detection", set())
    every = config["data"]["datasets"]
    own_datasets = _only(every, datasets) or every  # the schema wants one
    part = {
        "label": "",
        "main_job": [study],
        "data": {"datasets": own_datasets, "providers": ["local"]},
        **{section: _only(config.get(section, {}), names) for section, names in used.items()},
        "precision": config["precision"],
        "evaluation": config["evaluation"],
        "statistics": {"bootstrap": 1, "permutations": 1},  # no table has any
        "studies": {study: own},
    }
    if scenes:
        part["data"]["detection"] = _only(config["data"]["detection"], scenes)
    return json.dumps(part, sort_keys=True, separators=(",", ":"))


def _only(section: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in section.items() if name in names}


def _with_address(recipe: Any) -> list[Any]:
    """Recipes that stand in a recipe and have an address of their own."""
    found: list[Any] = []
    for item in dataclasses.fields(recipe):
        value = getattr(recipe, item.name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, ADDRESSED):
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


def statistics_recipe(plan: Plan, study: str) -> str:
    """What decides a study's table of correlations, as canonical JSON."""
    recipe = {
        "study": study,
        "primary": dict(plan.pairs[study].primary),
        **plan.config["statistics"],
    }
    return json.dumps(recipe, sort_keys=True, separators=(",", ":"))


def summary_recipe(plan: Plan, study: str) -> str:
    """What decides the tables that summarise a study of transfer to whole targets."""
    own = plan.transfers[study]
    recipe = {
        "study": study,
        "baseline": own.baseline,
        "metrics": {target.name: target.metric for target in own.targets},
        **plan.config["statistics"],
    }
    return json.dumps(recipe, sort_keys=True, separators=(",", ":"))


def relation_recipe(plan: Plan, study: str) -> str:
    """What decides the tables that relate transfer to accuracy and robustness of the sources."""
    own = plan.studies[study]
    assert isinstance(own, AccuracyStudy)
    recipe = {"study": study, **own.relation(), **plan.config["statistics"]}
    return json.dumps(recipe, sort_keys=True, separators=(",", ":"))


def figure_recipe(plan: Plan, study: str, keys: list[str]) -> str:
    """What decides a figure beside its tables: the study's values for ``keys``."""
    values = plan.studies[study].figure_values()
    recipe = {"study": study, **{key: values[key] for key in keys}}
    return json.dumps(recipe, sort_keys=True, separators=(",", ":"))


def page_recipe(plan: Plan, study: str) -> str:
    """What decides a study's page beside its tables and figures."""
    recipe = {"study": study, **plan.studies[study].page_values(plan.config)}
    return json.dumps(recipe, sort_keys=True, separators=(",", ":"))
