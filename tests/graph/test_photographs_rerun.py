"""Targets of photographs in the graph: what one adds, and what a plan of them costs to import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.plans import dry_run, job_of
from support.workflow import ROOT, SMOKE

STUDY = "data_efficiency"


def overlay(folder: Path, dataset: str, entry: dict[str, Any]) -> tuple[str, ...]:
    target = {"dataset": dataset, "classes": "all", "images": 120, "test_images": 60, "size": 32}
    config = {
        "data": {"datasets": {dataset: entry}},
        "studies": {STUDY: {"targets": {dataset: target}}},
    }
    (folder / "more.yaml").write_text(yaml.safe_dump(config))
    return (*SMOKE, "more.yaml")


@pytest.mark.parametrize("dataset", ["food", "sun397", "birds"])
def test_a_target_makes_its_own_cells_and_nothing_else(workflow: Path, dataset: str) -> None:
    """101 dishes, 397 places, or a folder of one's own: one fetch, two views, the transfers."""
    entry: dict[str, Any] = {"size": 224}
    if dataset == "birds":
        for name in ("jay/1.jpg", "jay/2.jpg", "wren/1.jpg", "wren/2.jpg"):
            (workflow / "my birds" / name).parent.mkdir(parents=True, exist_ok=True)
            (workflow / "my birds" / name).write_bytes(b"not opened by a plan")
        entry = {"folder": "my birds", "size": 64, "split": 1}
    before = dry_run(workflow, STUDY)
    after = dry_run(workflow, STUDY, config=overlay(workflow, dataset, entry))
    new = [job for job in after.jobs if not set(job.output) & before.outputs]
    assert before.outputs <= after.outputs
    stages: dict[str, int] = {}
    for job in new:
        stages[job.rule] = stages.get(job.rule, 0) + 1
    assert stages.pop("fetch_dataset") == 1 and stages.pop("make_view") == 2
    assert stages.pop("compare_views") == 1
    assert set(stages) <= {"extract_features", "transfer_subsets", "measure_similarity"}, stages
    assert stages["transfer_subsets"] > 0
    fetch = next(job for job in new if job.rule == "fetch_dataset")
    name = "image_folder" if dataset == "birds" else dataset
    assert f"datasets/{name}-" in fetch.output[0]
    assert f"data/datasets/{name}.py" in " ".join(fetch.input)
    assert all(len(job.command) < 128 << 10 for job in after.jobs)


def test_another_size_is_another_dataset(workflow: Path) -> None:
    paths = []
    for size in (224, 64):
        plan = dry_run(workflow, STUDY, config=overlay(workflow, "food", {"size": size}))
        paths.append(job_of(plan, "fetch_dataset", "food").output)
    assert paths[0] != paths[1]


PLAN = """
import json, sys
from workflow_scripts.advtransfer.data.known import class_names
from workflow_scripts.config.load import load
from workflow_scripts.studies.plan import make_plan
config = load()
config["data"]["datasets"]["food"] = {"size": 224}
target = config["studies"]["data_efficiency"]["targets"]["near"]
target |= {"dataset": "food", "classes": "all"}
plan = make_plan(config, class_names)
print(json.dumps([len(plan.recipes), sorted({name.split(".")[0] for name in sys.modules})]))
"""


def test_a_plan_with_all_classes_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PLAN], cwd=ROOT, capture_output=True, text=True, check=True
    )
    recipes, modules = json.loads(done.stdout)
    assert recipes > 100
    heavy = {"torch", "torchvision", "scipy", "h5py", "pandas", "PIL"}
    assert heavy.isdisjoint(modules), heavy & set(modules)
