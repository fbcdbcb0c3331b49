"""The default configuration with values replaced, and what planning says about it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from support.workflow import ROOT
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.plan import make_plan

OVERLAYS = sorted((ROOT / "configs").glob("*.yaml"))
FIRST, SECOND = "adversarial_to_knowledge", "knowledge_to_adversarial"
DEFAULTS = yaml.safe_load((ROOT / "config.yaml").read_text())
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
