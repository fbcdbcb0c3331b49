"""The study of data efficiency: what a change of it makes, and that what is there stays.

No network is trained (`finished`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.edits import LIBRARY, STUDIES, Edit, append, nothing, overlay, study
from support.finished import finished_study, unchanged
from support.plans import DryRun, dry_run
from support.workflow import ROOT
from workflow_scripts.advtransfer.addresses import address
from workflow_scripts.config.load import load
from workflow_scripts.studies.data_efficiency.design import EfficiencyStudy
from workflow_scripts.studies.plan import make_plan

STUDY = "data_efficiency"
TABLES = (f"{STUDY}_tables", f"{STUDY}_analysis")
MADE = ("fetch_dataset", "make_view", "train_source", "evaluate_source", "extract_features")
MADE += ("transfer_subsets", "measure_similarity")  # the stages before the tables


def planned(folder: Path) -> EfficiencyStudy:
    """The study of configs/smoke.yaml as the folder has it."""
    found = make_plan(load("configs/smoke.yaml", root=folder)).studies[STUDY]
    assert isinstance(found, EfficiencyStudy)
    return found


SMALL = planned(ROOT)
TRAININGS = {source.training: address(source.recipe) for source in SMALL.sources}
SEEDS = sum(len(block) for block in SMALL.sources[0].seed_blocks)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DryRun]:
    """A folder in which all is there, and the plan that made it."""
    folder = tmp_path_factory.mktemp("efficiency")
    return folder, finished_study(folder, STUDY)


def after(everything: tuple[Path, DryRun], *edits: Edit) -> tuple[DryRun, EfficiencyStudy]:
    """What is to be done after the edits, and the study that they ask for."""
    folder, _ = everything
    with unchanged(folder):
        for edit in edits:
            edit(folder)
        return dry_run(folder, STUDY), planned(folder)


def stages(plan: DryRun) -> dict[str, int]:
    return {rule: count for rule, count in plan.counts.items() if rule in MADE}


def outputs(plan: DryRun, rule: str) -> set[str]:
    return {path for job in plan.jobs if job.rule == rule for path in job.output}


def grid(**changes: Any) -> Edit:
    """Parts of the grid, changed."""
    return study(STUDY, grids=changes)


def takes_part(name: str) -> int:
    """How many files a block of sizes of a part of the grid has."""
    (part,) = (part for part in SMALL.grids if part.name == name)
    assert len(part.images) == len(part.subset_seeds) == 1
    return len(part.trainings) * len(part.targets) * len(part.modes)


# What is new -------------------------------------------------------------------------------------

NEW_TARGET = {"dataset": "cifar10", "classes": ["ship", "truck"], "images": 120, "test_images": 60}
ADDITIONS: dict[str, tuple[Edit, dict[str, int]]] = {
    "a block of sizes": (
        grid(heads={"images": [[20, 40], [60]]}),
        {"transfer_subsets": takes_part("heads")},
    ),
    "a block of subset seeds": (
        grid(blocks={"subset_seeds": [[0, 1], [2]]}),
        {"transfer_subsets": takes_part("blocks")},
    ),
    # Every old size with the new seeds, every new size with all seeds.
    "blocks of both": (
        grid(heads={"images": [[20, 40], [60]], "subset_seeds": [[0, 1], [2]]}),
        {"transfer_subsets": 3 * takes_part("heads")},
    ),
    "a part of the grid": (
        grid(
            more={
                "blocks": [0],
                "solver": "lbfgs",
                "regularizations": [1.0],
                "images": [[20]],
                "subset_seeds": [[0]],
                "trainings": ["natural"],
            }
        ),
        {"transfer_subsets": len(SMALL.targets)},
    ),
    "one more number of unfrozen blocks": (
        grid(blocks={"blocks": [1, 2, 3]}),
        {"extract_features": takes_part("blocks") // 2}
        | {"transfer_subsets": takes_part("blocks") // 2},
    ),
}


@pytest.mark.parametrize("name", ADDITIONS)
def test_only_new_cells_are_made(name: str, everything: tuple[Path, DryRun]) -> None:
    edit, expected = ADDITIONS[name]
    plan, there = after(everything, edit)
    assert stages(plan) == expected, plan.reasons
    new = set(there.files()) - set(SMALL.files())
    assert outputs(plan, "transfer_subsets") == {path for path in new if "/subsets/" in path}
    # Then tables, figures and page.
    assert {f"{STUDY}_page", *TABLES} <= set(plan.counts)


def test_a_new_target_is_met_by_all_sources(everything: tuple[Path, DryRun]) -> None:
    plan, there = after(everything, study(STUDY, targets={"vehicles": NEW_TARGET}))
    assert set(stages(plan)) == set(MADE) - {"fetch_dataset", "train_source", "evaluate_source"}
    new = set(there.files()) - set(SMALL.files())
    assert set(SMALL.files()) < set(there.files())
    assert outputs(plan, "transfer_subsets") == {path for path in new if "/subsets/" in path}
    assert {path.split("/")[2] for path in outputs(plan, "transfer_subsets")} == set(
        TRAININGS.values()
    )
    assert plan.counts["make_view"] == 2 and plan.counts["measure_similarity"] == 1
    # Distances are measured in the features of the baseline alone.
    assert all(TRAININGS["natural"] in path for path in outputs(plan, "measure_similarity"))


def test_a_new_source_seed_is_trained_and_transferred(everything: tuple[Path, DryRun]) -> None:
    blocks = [list(block) for block in SMALL.sources[0].seed_blocks]
    plan, _ = after(everything, study(STUDY, sources={"seeds": [*blocks, [7]]}))
    whole = everything[1].counts
    assert stages(plan) == {
        "train_source": len(TRAININGS),
        **{rule: whole[rule] for rule in MADE[3:]},  # as the one block that is there
    }
    made = {path for rule in MADE for path in outputs(plan, rule)}
    assert all("/seed7/" in path or "/seeds7/" in path for path in made)


# What is there -----------------------------------------------------------------------------------


def test_every_source_meets_the_same_subsets(everything: tuple[Path, DryRun]) -> None:
    """The address of a cell, and with it its seeds, does not name the source."""
    cells: dict[str, set[str]] = {}
    for path in outputs(everything[1], "transfer_subsets"):
        *_, source, _, cell = path.split("/")
        cells.setdefault(source, set()).add(cell)
    natural, robust = (cells[TRAININGS[name]] for name in ("natural", "robust_linf"))
    assert natural == robust
    assert len(natural & cells[TRAININGS["untrained"]]) > 0


def test_features_are_an_input_of_what_stays_frozen(everything: tuple[Path, DryRun]) -> None:
    """Where statistics move, or nothing is frozen, the images themselves are read."""
    jobs = [job for job in everything[1].jobs if job.rule == "transfer_subsets"]
    kept = {job.output[0]: [x for x in job.input if "/features/" in x] for job in jobs}
    moves = ('"moving_statistics":true', '"mode":"full_network"')
    without = {job.output[0] for job in jobs if any(text in job.command for text in moves)}
    assert {path for path, found in kept.items() if not found} == without
    assert 0 < len(without) < len(jobs)
    for job in jobs:
        assert ("--features " in job.command) == (job.output[0] not in without)
        assert len(kept[job.output[0]]) < 2 and "--comparison " in job.command
        # The same source and seeds.
        assert all(x.split("/")[2:4] == job.output[0].split("/")[2:4] for x in kept[job.output[0]])
    # Solved heads, heads over epochs, attacked heads: one file of each source, target and seeds.
    used = {found[0] for found in kept.values() if found}
    assert used == outputs(everything[1], "extract_features")
    assert len(used) < len(jobs) - len(without)


def test_an_attack_re_runs_what_uses_it(everything: tuple[Path, DryRun]) -> None:
    """Not the features of natural sources, and of their transfers only those that are attacked."""
    plan, _ = after(everything, append(f"{LIBRARY}/attacks/pgd.py"))
    assert plan.counts["evaluate_source"] == len(TRAININGS)
    assert "measure_similarity" not in plan.counts and "make_view" not in plan.counts
    # The one step of free training is one of PGD's.
    adversarial = [TRAININGS[name] for name in ("robust_linf", "free_linf")]

    def of_adversarial(rule: str) -> set[str]:
        made = outputs(everything[1], rule)
        return {path for path in made if any(source in path for source in adversarial)}

    for rule in ("train_source", "extract_features"):
        assert outputs(plan, rule) == of_adversarial(rule) != set()
    attacked = {
        job.output[0]
        for job in everything[1].jobs
        if job.rule == "transfer_subsets" and '"attacked_images"' in job.command
    }
    again = outputs(plan, "transfer_subsets")
    assert again == attacked | of_adversarial("transfer_subsets")
    assert attacked - of_adversarial("transfer_subsets")
    assert again < outputs(everything[1], "transfer_subsets")


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (nothing, {}),
        (append(f"{STUDIES}/{STUDY}/figures/cost.py"), {f"{STUDY}_cost": 1, f"{STUDY}_page": 1}),
        (append(f"{STUDIES}/{STUDY}/page.html.j2"), {f"{STUDY}_page": 1}),
        (
            append(f"{STUDIES}/{STUDY}/published.py"),
            {f"{STUDY}_published_efficiency": 1, f"{STUDY}_page": 1},
        ),
        # Tables, figures and page are asked for anew: no cell.
        (study(STUDY, robust="free_linf"), None),
        # Another study, and what plain `snakemake` makes.
        (study("adversarial_to_knowledge", mask="all"), {}),
        (overlay(main_job=[STUDY]), {}),
        (append(f"{LIBRARY}/metrics/transferability.py"), {}),
    ],
    ids=["nothing", "figure", "template", "published", "robust", "other study", "main", "metric"],
)
def test_edit_re_runs_no_network(
    edit: Edit, expected: dict[str, int] | None, everything: tuple[Path, DryRun]
) -> None:
    plan, _ = after(everything, edit)
    if expected is None:
        assert stages(plan) == {}, plan.reasons
        assert f"{STUDY}_page" in plan.counts
    else:
        assert plan.counts == expected, plan.reasons


@pytest.mark.parametrize(
    ("file", "rules"),
    [
        (f"{LIBRARY}/transfer/subsets.py", {"transfer_subsets"}),
        (f"{LIBRARY}/transfer/features.py", {"extract_features", "transfer_subsets"}),
        (f"{LIBRARY}/metrics/similarity.py", {"measure_similarity"}),
        (f"{STUDIES}/{STUDY}/tables.py", set()),
    ],
)
def test_edit_re_runs_its_stage(
    file: str, rules: set[str], everything: tuple[Path, DryRun]
) -> None:
    plan, _ = after(everything, append(file))
    assert stages(plan) == {rule: everything[1].counts[rule] for rule in rules}, plan.reasons
    assert set(TABLES) <= set(plan.counts)
