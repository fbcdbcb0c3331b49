"""Edits of a copy of the workflow: its code, its configuration, times of its files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.config.load import merge, study_files

LIBRARY = "workflow_scripts/advtransfer"
STUDIES = "workflow_scripts/studies"
FIRST, SECOND = "adversarial_to_knowledge", "knowledge_to_adversarial"
Edit = Callable[[Path], None]


def append(*files: str) -> Edit:
    """Other bytes that mean the same."""

    def edit(folder: Path) -> None:
        for file in files:
            with open(folder / file, "a") as handle:
                handle.write("\n# edited\n")

    return edit


def touch(folder: Path) -> None:
    """What a checkout does: new times, same bytes."""
    for file in folder.rglob("*.py"):
        os.utime(file)


def overlay(**changes: Any) -> Edit:
    """Keys of configs/smoke.yaml set to other values."""

    def edit(folder: Path) -> None:
        file = folder / "configs/smoke.yaml"
        file.write_text(yaml.safe_dump(merge(yaml.safe_load(file.read_text()), changes)))

    return edit


def study(name: str, **changes: Any) -> Edit:
    return overlay(studies={name: changes})


def other_key_order(folder: Path) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return value

    for file in (folder / "config.yaml", *study_files(folder), folder / "configs/smoke.yaml"):
        file.write_text(yaml.safe_dump(turned(yaml.safe_load(file.read_text())), sort_keys=False))


def new_family(folder: Path) -> None:
    """A model in a module of its own, as docs/add-a-model.md says."""
    families = folder / LIBRARY / "models/families"
    (families / "tiny.py").write_text((families / "mlp.py").read_text())
    overlay(models={"tiny": {"family": "tiny", "widths": [8]}})(folder)


def new_source_of_new_family(folder: Path) -> None:
    new_family(folder)
    study(FIRST, sources={"models": ["mlp", "lenet", "alexnet", "resnet8", "tiny"]})(folder)


def nothing(folder: Path) -> None:
    pass
