"""What the steps of a study are told: the part of the configuration, settings and facts."""

from __future__ import annotations

import json
from typing import Any

from workflow_scripts.studies import folders
from workflow_scripts.studies.base import Study
from workflow_scripts.studies.plan import Plan, make_plan, page_recipe, settings_recipe


def slice_of(config: dict[str, Any], name: str) -> str:
    """What of a configuration decides the tables of a study."""
    return make_plan(config).slices[name]


def as_collected(plan: Plan, name: str) -> Study:
    """A study as the step that collects its tables reads it, which knows nothing else."""
    design = folders.load(name, plan.kinds[name], "design")
    study: Study = design.Reader(json.loads(plan.slices[name]), name).study()
    return study


def settings_of(plan: Plan, name: str, part: str) -> dict[str, Any]:
    """The settings that a part (`analysis`, `figures/cost`) is told."""
    names = folders.declared(name, plan.kinds[name], part, "SETTINGS")
    recipe: dict[str, Any] = json.loads(settings_recipe(plan, name, names))
    return recipe


def page_of(plan: Plan, name: str) -> dict[str, Any]:
    """Settings and facts that a study's page is told."""
    names = folders.declared(name, plan.kinds[name], "page", "SETTINGS")
    recipe: dict[str, Any] = json.loads(page_recipe(plan, name, names))
    return recipe


def facts_of(plan: Plan, name: str) -> dict[str, Any]:
    """What a study's page says of how it was run."""
    facts: dict[str, Any] = page_of(plan, name)["facts"]
    return facts
