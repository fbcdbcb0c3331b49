"""Which studies and kinds of studies there are: the folders of workflow_scripts/studies.

A folder with `settings.py` is a kind: it says what a study is, and a configuration may have any
number of studies of it. A folder with `config.yaml` is a study that comes with its settings.
Nothing is imported here: it runs at every start of Snakemake.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

STUDIES = Path(__file__).parents[1] / "studies"


@cache
def kinds() -> Mapping[str, Path]:
    """Folder of every kind of study, by its name, sorted."""
    found = [*STUDIES.glob("*/settings.py"), *STUDIES.glob("kinds/*/settings.py")]
    return {file.parent.name: file.parent for file in sorted(found, key=lambda f: f.parent.name)}


@cache
def known_studies() -> tuple[str, ...]:
    """Studies that have a folder, configured or not, sorted."""
    return tuple(sorted(file.parent.name for file in STUDIES.glob("*/config.yaml")))


def kind_of(config: Mapping[str, Any], study: str) -> str:
    """What a configured study is: its `kind`, or its own name."""
    return str(config["studies"][study].get("kind", study))
