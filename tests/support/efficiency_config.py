"""Parts of the section of data_efficiency, and overlays as Snakemake merges them."""

from __future__ import annotations

from typing import Any

from support.config import DEFAULTS
from workflow_scripts.config.load import load

STUDY = "data_efficiency"
KEY = f"studies.{STUDY}"
SOURCES, TARGETS, GRIDS = (f"{KEY}.{part}" for part in ("sources", "targets", "grids"))
PART = DEFAULTS["studies"][STUDY]


def with_overlay(name: str) -> dict[str, Any]:
    """The configuration as Snakemake merges it."""
    return load(f"configs/{name}.yaml")
