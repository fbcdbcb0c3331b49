"""Parts of the section of data_efficiency, and overlays as Snakemake merges them."""

from __future__ import annotations

import copy
from typing import Any

import yaml
from snakemake.utils import update_config

from support.config import DEFAULTS, ROOT

STUDY = "data_efficiency"
KEY = f"studies.{STUDY}"
SOURCES, TARGETS, GRIDS = (f"{KEY}.{part}" for part in ("sources", "targets", "grids"))
PART = DEFAULTS["studies"][STUDY]


def with_overlay(name: str) -> dict[str, Any]:
    """The configuration as Snakemake merges it."""
    config = copy.deepcopy(DEFAULTS)
    update_config(config, yaml.safe_load((ROOT / f"configs/{name}.yaml").read_text()))
    return config
