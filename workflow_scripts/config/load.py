"""Read the configuration as the Snakefile does: every study's settings, config.yaml, overlays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
STUDIES = "workflow_scripts/studies"


def study_files(root: Path = ROOT) -> list[Path]:
    """Files with the settings of a study each."""
    return sorted((root / STUDIES).glob("*/config.yaml"))


def load(*overlays: str | Path, root: Path = ROOT) -> dict[str, Any]:
    """The configuration of the workflow in ``root`` with files laid over it.

    Args:
        overlays: files like those given with --configfile, relative to ``root``.
    """
    config: dict[str, Any] = {}
    for file in (*study_files(root), root / "config.yaml", *(root / name for name in overlays)):
        merge(config, yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    return config


def merge(config: dict[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``overlay`` over ``config``, in place: mappings key by key, everything else whole."""
    for key, value in overlay.items():
        if isinstance(value, Mapping):
            below = config.get(key)
            config[key] = merge(below if isinstance(below, dict) else {}, value)
        else:
            config[key] = value
    return config
