"""Names of studies that would make one file, or one target, of two."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from support.workflow import ROOT, snakemake
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.config.load import load
from workflow_scripts.studies.plan import make_plan

LIKE = "fixed_vs_full"


def another(name: str) -> dict:
    """The entry of a second study of whole targets."""
    return {name: {**copy.deepcopy(load()["studies"][LIKE]), "kind": LIKE}}


def test_two_tables_in_one_file() -> None:
    config = load()
    config["studies"] |= another("granularity_best")
    with pytest.raises(UserError, match=r"of 'granularity' would both be written to granularity_b"):
        make_plan(config)


@pytest.mark.parametrize("name", ["train_source", "report"])
def test_the_name_of_a_rule(name: str, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(yaml.safe_dump({"studies": another(name)}))
    done = snakemake(ROOT, "-n", "--nolock", "--configfile", str(overlay))
    assert done.returncode != 0
    assert f"studies.{name}: the workflow has a target of this name already" in done.stdout
