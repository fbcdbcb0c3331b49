"""Names and paths of a configuration or of a user's pack stay text: in a shell, a path, a page.

Keys and the label are closed by the schema. Paths and class names are free, so they go through a
real Snakemake here, with everything in them that a shell, a wildcard or a page could act upon.
"""

from __future__ import annotations

import base64
import csv
import html
import json
import os
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

from support.plans import DryRun, arguments_of, job_of, option_of
from support.workflow import SMOKE, snakemake, step
from workflow_scripts.config.load import load

FIRST, SECOND = "adversarial_to_knowledge", "knowledge_to_adversarial"
# What each of these would leave if a shell ran it.
MARKER = "marker"
HOSTILE_NAMES = [
    "..",
    "../../x",
    "/etc",
    "-rf",
    ".hidden",
    f"$(touch {MARKER})",
    f"`touch {MARKER}`",
    f"x; touch {MARKER}",
    f"x\ntouch {MARKER}",
    "x\n",
    "x\0",
    "it's",
    '"x"',
    "{study}",
    "{x",
    "[/bold]",
    "=1+1",
    "a b",
    "é",
    "\u202ecod",
    "\N{FULLWIDTH SOLIDUS}",
    "a" * 300,
    "",
]
HOSTILE_FOLDER = (
    f'it\'s "a" $(touch {MARKER}) `touch {MARKER}`; touch {MARKER} #{{study}} {{x}} é😀'
)
HOSTILE_CLASSES = [
    "<script>alert(1)</script>",
    "../../x",
    f"$(touch {MARKER})",
    "$a$ \\frac$ [/bold]",
    "=1+1",
    "c" * 300,
    "😀",
    '{study} {x} it\'s "x" & --output',
]


def made_by_a_shell(folder: Path) -> list[Path]:
    """Marker files anywhere beside or in the workflow."""
    return [path for path in folder.parent.rglob("*") if path.name == MARKER]


def test_hostile_keys_are_refused(workflow: Path) -> None:
    """Every name in every section at once: all are told, by key, and nothing is run."""
    config = load(root=workflow)
    targets = config["studies"][FIRST]["targets"]
    mixtures = config["studies"][SECOND]["sources"]["mixtures"]
    sections = {
        "data.datasets": config["data"]["datasets"],
        "models": config["models"],
        "trainings": config["trainings"],
        "transfers": config["transfers"],
        "attacks": config["attacks"],
        f"studies.{FIRST}.targets": targets,
        f"studies.{SECOND}.sources.mixtures": mixtures,
    }
    for section in sections.values():
        good = next(iter(section.values()))
        section.update((name, good) for name in HOSTILE_NAMES)
    (workflow / "config.yaml").write_text(yaml.safe_dump(config))
    told = snakemake(workflow, "-n")
    assert told.returncode == 1, told.stdout
    assert "Traceback" not in told.stdout, told.stdout
    for key in sections:
        lines = re.findall(rf"^  - {re.escape(key)}: .* does not fit\. A name: ", told.stdout, re.M)
        assert len(lines) == len(HOSTILE_NAMES), (key, told.stdout)
    assert os.listdir(workflow / "results") == ["README.md"]
    assert made_by_a_shell(workflow) == []


@pytest.mark.parametrize("label", ["../../x", f"$(touch {MARKER})", "{study}[/bold]", "-x"])
def test_a_hostile_label_is_refused(label: str, workflow: Path) -> None:
    before = sorted(workflow.parent.iterdir())
    told = snakemake(workflow, "-n", "--config", f"label='{label}'", *SMOKE)
    assert told.returncode == 1, told.stdout
    assert "Traceback" not in told.stdout, told.stdout
    assert f"label: '{label}' does not fit. Subfolder of results/" in told.stdout
    assert sorted(workflow.parent.iterdir()) == before
    assert os.listdir(workflow / "results") == ["README.md"]
    assert made_by_a_shell(workflow) == []


def write_pack(path: Path, class_names: list[str]) -> None:
    """12 training and 6 test images of every class."""
    each, count = 18, len(class_names)
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        shape = (each * count, 8, 8, 3)
        file["images"] = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        file["labels"] = np.repeat(np.arange(count), each)
        file["split"] = np.tile([b"train"] * 12 + [b"test"] * 6, count)
        file.attrs["class_names"] = json.dumps(class_names)


def test_hostile_paths_and_class_names_stay_text(workflow: Path) -> None:
    """Dataset and views are made from them; a step that fails repeats them as they are."""
    pack = workflow.parent / HOSTILE_FOLDER / "mine [/bold].h5"
    write_pack(pack, HOSTILE_CLASSES)
    sources = {"dataset": "mine", "classes": HOSTILE_CLASSES[:4], "images": 40, "robust": None}
    target: dict[str, Any] = {"dataset": "mine", "classes": HOSTILE_CLASSES[4:]}
    target |= {"images": 48, "transfer_images": 20, "test_images": 20, "attacked_images": 10}
    overlay = {
        "label": "hostile",
        "data": {"local": f"{pack.parent}/[/bold]", "datasets": {"mine": {"pack": str(pack)}}},
        "evaluation": {"images": 99},  # more than there are: one view fails
        "studies": {SECOND: None, FIRST: {"sources": sources, "targets": {"held_out": target}}},
    }
    (workflow / "hostile.yaml").write_text(yaml.safe_dump(overlay))
    only = ("tables", "--until", "make_view", "record_run")
    done = snakemake(workflow, *only, *SMOKE, "hostile.yaml")
    flat = " ".join(done.stdout.split())
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    assert "asks for 99 images but there are 24" in flat, done.stdout
    assert HOSTILE_CLASSES[3] in flat and HOSTILE_CLASSES[0] in flat
    assert made_by_a_shell(workflow) == []
    # What does not fail is made, and says what was written.
    results = workflow / "results"
    (dataset,) = (results / "data/datasets").glob("*.h5")
    with h5py.File(dataset) as file:
        assert json.loads(file.attrs["class_names"]) == HOSTILE_CLASSES
        assert json.loads(file.attrs["recipe"])["path"] == str(pack)
    views = sorted((results / "data/views").glob("*.h5"))
    assert len(views) == 5
    classes = set()
    for view in views:
        with h5py.File(view) as file:
            classes.add(tuple(json.loads(file.attrs["classes"])))
    assert classes == {tuple(HOSTILE_CLASSES[:4]), tuple(HOSTILE_CLASSES[4:])}
    recorded = yaml.safe_load((results / "hostile/config.yaml").read_text())
    assert recorded["data"]["datasets"]["mine"]["pack"] == str(pack)
    assert recorded["studies"][FIRST]["sources"]["classes"] == HOSTILE_CLASSES[:4]
    with open(results / "hostile/index.csv", newline="") as table:
        cells = [cell for row in csv.DictReader(table) for cell in row.values()]
    assert cells and not [cell for cell in cells if cell.startswith(tuple("=+-@"))]
    # No name of a class and no part of the pack's path became part of a path.
    names = [path.name.removeprefix(".") for path in results.rglob("*")]  # seals are hidden
    assert [
        name for name in names if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}", name)
    ] == []


def test_hostile_class_names_on_a_page_and_in_a_figure(
    smoke_run: Path, smoke_plan: DryRun, tmp_path: Path
) -> None:
    job = job_of(smoke_plan, f"{SECOND}_page")
    recipe = json.loads(option_of(job, "--recipe"))
    recipe["mixtures"] = dict.fromkeys(recipe["mixtures"], HOSTILE_CLASSES)
    recipe["facts"]["<img src=x onerror=alert(1)>"] = HOSTILE_CLASSES
    recipe["targets"] = dict.fromkeys(recipe["targets"], HOSTILE_CLASSES)
    told = step(
        smoke_run,
        "write_page",
        *arguments_of(job, recipe=json.dumps(recipe), output=tmp_path / "page.html"),
    )
    assert told.returncode == 0, told.stdout
    page = (tmp_path / "page.html").read_text()
    assert not re.search(r"<script|<img src=x", page)
    for name in HOSTILE_CLASSES:
        assert name in html.unescape(page)
    assert len(re.findall(r"<dt>&lt;img src=x onerror=alert\(1\)&gt;</dt>", page)) == 1
    for data in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", page):
        assert b"<script" not in base64.b64decode(data)

    job = job_of(smoke_plan, f"{SECOND}_transfer_curves")
    recipe = json.loads(option_of(job, "--recipe"))
    recipe["targets"] = dict.fromkeys(recipe["targets"], HOSTILE_CLASSES)
    told = step(
        smoke_run,
        "draw_figure",
        *arguments_of(job, recipe=json.dumps(recipe), output=tmp_path / "figure.svg"),
    )
    assert told.returncode == 0, told.stdout
    figure = (tmp_path / "figure.svg").read_text()
    assert "<script" not in figure
    assert "=1+1" in figure and "$(touch" in figure  # words, not mathematics
