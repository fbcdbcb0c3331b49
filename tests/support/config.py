"""The default configuration with values replaced, and what planning says about it."""

from __future__ import annotations

import copy
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from support.workflow import ROOT
from workflow_scripts.advtransfer.data.classes import check_classes
from workflow_scripts.advtransfer.data.known import class_names
from workflow_scripts.advtransfer.data.view_recipe import ViewRecipe
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.config.load import load
from workflow_scripts.config.named import resolved
from workflow_scripts.studies.plan import Plan, make_plan
from workflow_scripts.studies.sizes import check_size

OVERLAYS = sorted((ROOT / "configs").glob("*.yaml"))
FIRST, SECOND = "adversarial_to_knowledge", "knowledge_to_adversarial"
DEFAULTS = resolved(load())  # what studies share by name stands in each of them
DELETE = object()


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The default configuration with values replaced, by dotted key."""
    config = copy.deepcopy(DEFAULTS)
    for key, value in changes.items():
        *path, last = (int(part) if part.isdigit() else part for part in key.split("."))
        place = config
        for part in path:
            place = place[part]
        if value is DELETE:
            del place[last]
        else:
            place[last] = value
    return config


def message(config: dict[str, Any]) -> str:
    with pytest.raises(UserError) as told:
        make_plan(config)
    return str(told.value)


def addresses(changes: dict[str, Any]) -> dict[str, set[str]]:
    """Addresses by the type of their recipe."""
    found: dict[str, set[str]] = {}
    for where, recipe in make_plan(changed(changes)).recipes.items():
        found.setdefault(type(recipe).__name__, set()).add(where)
    return found


IMPORTED = {
    "file": "no/such.pth",
    "model": "resnet8",
    "training": "l2_3",
    "classes_file": "no/such.txt",
    "size": 32,
}


def planning_says(*files: Path | str) -> str:
    """What planning says of a configuration with a mistake in it, read as Snakemake reads it.

    ``files`` are overlays, or their text, one over the other; the last one is the mistake.
    """
    config = load()
    for file in files:
        if isinstance(file, str):
            with NamedTemporaryFile("w", suffix=".yaml") as written:
                written.write(file)
                written.flush()
                update_config(config, load_configfile(written.name))
        else:
            update_config(config, load_configfile(str(file)))
    return refusal(config)


def refusal(config: dict[str, Any]) -> str:
    """What rules/common.smk would tell of this configuration."""
    with pytest.raises(UserError) as raised:
        plan = make_plan(config, class_names)
        check_classes([r for r in plan.recipes.values() if isinstance(r, ViewRecipe)])
        check_all_sizes(plan)
    return str(raised.value)


def check_all_sizes(plan: Plan) -> None:
    """What rules/common.smk checks when it plans all jobs that give a source images."""
    for study in plan.studies.values():
        for source in study.sources:
            for artefact in study.artefacts(source):
                check_size(source.recipe, artefact.recipe, plan.studies.values())
