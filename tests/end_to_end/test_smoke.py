"""One real run of every study: what it leaves, and what happens when it is stopped or fails."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

from support.plans import DryRun, Job, arguments_of, dry_run, job_of
from support.workflow import ROOT, SMOKE, restored, run, snakemake, state, step
from workflow_scripts.advtransfer.addresses import view_path
from workflow_scripts.advtransfer.attacks.block_recipe import AttackBlockRecipe
from workflow_scripts.advtransfer.attacks.recipe import attack_label
from workflow_scripts.advtransfer.recipes import from_plain
from workflow_scripts.studies import folders
from workflow_scripts.studies.plan import Plan, make_plan

FIRST, SECOND = "adversarial_to_knowledge", "knowledge_to_adversarial"
THIRD = "data_efficiency"
Row = dict[str, str]


def rows(file: Path) -> list[Row]:
    with open(file, newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def tables(smoke_run: Path) -> dict[str, list[Row]]:
    """All tables by their names, without `.csv`."""
    return {file.stem: rows(file) for file in (smoke_run / "results/smoke/tables").glob("*.csv")}


@pytest.fixture(scope="module")
def index(smoke_run: Path) -> list[Row]:
    return rows(smoke_run / "results/smoke/index.csv")


@pytest.fixture(scope="module")
def plan(smoke_run: Path) -> Plan:
    """What the configuration of the run asks for."""
    return make_plan(yaml.safe_load((smoke_run / "results/smoke/config.yaml").read_text()))


# What the run leaves -----------------------------------------------------------------------------


def test_index_names_files_that_exist(smoke_run: Path, index: list[Row], plan: Plan) -> None:
    assert {row["study"] for row in index} == set(plan.studies)
    missing = [row["path"] for row in index if not (smoke_run / row["path"]).is_file()]
    assert missing == []


def test_index_names_every_artefact(smoke_run: Path, index: list[Row]) -> None:
    """No network, perturbation or metric is left whose name one would have to guess."""
    named = {row["path"] for row in index}
    stages = ("sources", "evaluations", "transfers", "attacks", "responses", "metrics")
    made = {
        str(file.relative_to(smoke_run))
        for stage in stages
        for file in (smoke_run / "results" / stage).rglob("*")
        if file.is_file() and file.name not in ("history.csv", "recipe.json")
        if not file.name.startswith(".")  # seals
    }
    assert made - named == set()


def test_second_run_has_nothing_to_do(smoke_run: Path) -> None:
    before = state(smoke_run, leave_out=())
    again = snakemake(smoke_run, *SMOKE)
    assert again.returncode == 0, again.stdout
    assert "Nothing to be done" in again.stdout
    assert state(smoke_run, leave_out=()) == before


def documented_columns(study: str) -> set[str]:
    """Columns that docs/results.md, the study's README or another that it links to names."""
    readme = ROOT / "workflow_scripts/studies" / study / "README.md"
    linked = re.findall(r"\]\((\.\./\w+/README\.md)", readme.read_text())
    texts = [ROOT / "docs/results.md", readme, *(readme.parent / link for link in linked)]
    named = re.findall(r"`([^`\n]+)`", " ".join(text.read_text() for text in texts))
    return {column for names in named for column in names.split(", ")}


def test_tables_have_documented_columns(smoke_run: Path, plan: Plan) -> None:
    for study, kind in plan.kinds.items():
        documented = documented_columns(study)
        for table in folders.origins(study, kind):
            file = smoke_run / "results/smoke/tables" / folders.table_file(study, table)
            columns = set(rows(file)[0])
            assert columns <= documented, (file.name, columns - documented)


def test_tables_have_a_row_for_everything(tables: dict[str, list[Row]], plan: Plan) -> None:
    documented = (
        (ROOT / f"workflow_scripts/studies/{FIRST}/README.md")
        .read_text()
        .split("Metrics: ")[1]
        .split("\n\n")[0]
    )
    metrics = set(re.findall(r"`(\w+)`", documented))
    for name in (FIRST, SECOND):
        study = plan.studies[name]
        seeds = sum(len(block) for s in study.sources for block in s.seed_blocks)
        pairs = sum(
            seeds * len(block)
            for target in study.targets
            for reference in target.references
            for block in reference.seed_blocks
        )
        attacks = sum(map(len, study.blocks))
        counted = Counter(row["metric"] for row in tables[name])
        assert counted == dict.fromkeys(metrics, pairs * attacks * 2)
        tests = 1 + len(study.evaluation_attacks)
        assert len(tables[f"{name}_sources"]) == seeds * tests
        found = {(row["source"], row["source_seed"]) for row in tables[f"{name}_sources"]}
        assert len(found) == seeds
        modes = Counter(row["mode"] for row in tables[f"{name}_curves"])
        assert modes["last_layer"] == seeds * len(study.targets)
        assert modes["full_network"] == seeds * len(study.targets) * 2  # epochs
        primary = [r for r in tables[f"{name}_correlations"] if r["role"] == "primary"]
        assert len(primary) == 1
        assert primary[0]["metric"] == study.primary["metric"]
        assert primary[0]["direction"] == study.primary["direction"]
    both = tables[f"{FIRST}_correlations"] + tables[f"{SECOND}_correlations"]
    assert tables["correlations"] == both


def test_every_accuracy_is_a_share(tables: dict[str, list[Row]]) -> None:
    seen: Counter[str] = Counter()
    for name, found in tables.items():
        for row in found:
            for column, value in row.items():
                if column.endswith("accuracy") and value:
                    assert 0 <= float(value) <= 1, (name, row)
                    seen[column] += 1
                elif column.endswith("loss") and value:
                    assert float(value) >= 0, (name, row)
    assert {"accuracy", "test_accuracy", "source_accuracy", "last_layer_accuracy"} <= set(seen)


def test_robust_accuracy_is_never_above_clean(tables: dict[str, list[Row]]) -> None:
    """An attack that counts only images the source got right cannot make it better."""
    for study in (FIRST, SECOND):
        clean = {
            (row["source"], row["source_seed"]): float(row["accuracy"])
            for row in tables[f"{study}_sources"]
            if row["attack"] == "none"
        }
        for row in tables[f"{study}_sources"]:
            assert float(row["accuracy"]) <= clean[row["source"], row["source_seed"]]


def test_perturbations_stay_in_the_ball_and_the_images_in_range(smoke_run: Path) -> None:
    files = sorted((smoke_run / "results/attacks").rglob("*.h5"))
    assert files
    largest: dict[str, float] = {}
    (used,) = (smoke_run / "results/data/datasets").glob("cifar10-*.h5")  # by all that are attacked
    with h5py.File(used) as dataset:
        for file in files:
            with h5py.File(file) as stored:
                recipe = from_plain(AttackBlockRecipe, json.loads(stored.attrs["recipe"]))
                with h5py.File(smoke_run / view_path(recipe.view)) as view:
                    indices, labels = view["indices"][()], view["labels"][()]
                images = dataset[f"{recipe.view.split}/images"][()][indices]
                pixels = images.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
                assert np.array_equal(stored["labels"][()], labels)
                for attack in recipe.attacks:
                    label = attack_label(attack)
                    delta = stored[f"seed0/{label}/delta"][()]
                    assert delta.dtype == np.float16
                    assert delta.shape == pixels.shape
                    flat = delta.astype(np.float64).reshape(len(delta), -1)
                    power = {"linf": np.inf, "l2": 2.0}[attack.norm]
                    size = float(np.linalg.norm(flat, ord=power, axis=1).max())
                    assert size <= attack.epsilon, file
                    largest[label] = max(largest.get(label, 0), size / attack.epsilon)
                    moved = pixels + delta.astype(np.float32)
                    assert moved.min() >= 0, file
                    assert moved.max() <= 1, file
    # An attack that does nothing would pass all of the above.
    assert all(share > 0.9 for share in largest.values())


def test_recipes_stand_beside_the_sources(smoke_run: Path, plan: Plan) -> None:
    files = sorted((smoke_run / "results/sources").glob("*/seed*/recipe.json"))
    networks = {file.parents[1].name for file in files}
    assert networks == {
        where for where, recipe in plan.recipes.items() if type(recipe).__name__ == "SourceRecipe"
    }
    for file in files:
        assert json.loads(file.read_text()) == json.loads(plan.json(file.parents[1].name))


def test_sources_and_targets_share_no_image(smoke_run: Path, plan: Plan) -> None:
    def indices(recipe: Any) -> set[int]:
        with h5py.File(smoke_run / view_path(recipe)) as view:
            return set(view["indices"][()].tolist())

    pairs = 0
    for study in (plan.studies[FIRST], plan.studies[SECOND]):
        for source in study.sources:
            for target in study.targets:
                for view in (target.train, target.transfers[0].train):
                    assert view.split == source.recipe.view.split == "train"
                    assert not indices(source.recipe.view) & indices(view)
                    pairs += 1
                assert target.attacked.split == "test"
    assert pairs == 2 * (5 + 5 * 3)
    for source in plan.studies[THIRD].sources:
        for target in plan.studies[THIRD].targets:
            assert not indices(source.recipe.view) & indices(target.train)
    # Nor do the views of different classes, whatever they are for.
    views = {source.recipe.view for study in plan.studies.values() for source in study.sources}
    for first, second in combinations(views, 2):
        if not set(first.classes) & set(second.classes):
            assert not indices(first) & indices(second)


def test_report_and_pages_load_nothing(smoke_run: Path, plan: Plan) -> None:
    pages = sorted((smoke_run / "results/smoke/pages").glob("*.html"))
    assert [page.stem for page in pages] == sorted(plan.studies)
    for page in pages:
        text = page.read_text()
        assert not re.search(r"<script|(?:src|href)=[\"']?https?:", text)
    assert (smoke_run / "results/smoke/report.html").stat().st_size > 100_000


# Stopped, repeated, diverged ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def training(smoke_plan: DryRun) -> tuple[Job, str]:
    """The job of the adversarial training, and a recipe of it with more epochs."""
    job = job_of(smoke_plan, "train_source", "-linf_")
    words = arguments_of(job)
    recipe = json.loads(words[words.index("--recipe") + 1])
    recipe["training"]["epochs"] = 8
    return job, json.dumps(recipe, sort_keys=True, separators=(",", ":"))


def history(folder: Path) -> list[Row]:
    """The history less what differs from run to run: the seconds."""
    return [
        {key: value for key, value in row.items() if key != "seconds"}
        for row in rows(folder / "history.csv")
    ]


def twin(folder: Path, *stages: str, of: Path) -> Path:
    """A folder with the workflow and some stages' results of ``of``, the others still to make.

    A file says at which path it belongs, so only the same path can get the same bytes.
    """
    for part in of.iterdir():
        if part.name not in ("results", ".snakemake"):
            (folder / part.name).symlink_to(part)
    (folder / "results").mkdir()
    for stage in stages:
        (folder / "results" / stage).symlink_to(of / "results" / stage)
    return folder


def test_killed_training_goes_on_to_the_same_bytes(
    smoke_run: Path, training: tuple[Job, str], tmp_path: Path
) -> None:
    job, recipe = training
    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    calm = step(smoke_run, "train_source", *arguments_of(job, undisturbed, recipe=recipe))
    assert calm.returncode == 0, calm.stdout
    assert len(history(undisturbed)) == 8

    arguments = arguments_of(job, killed, recipe=recipe)
    process = subprocess.Popen(
        [sys.executable, "-m", "workflow_scripts.train_source", *arguments],
        cwd=smoke_run,
        stderr=subprocess.DEVNULL,
    )
    resume = killed / "model.safetensors.resume"
    while not resume.exists() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    assert resume.exists()
    assert not (killed / "model.safetensors").exists()

    again = step(smoke_run, "train_source", *arguments)
    assert again.returncode == 0, again.stdout
    assert re.search(r"going on after epoch [1-7] ", again.stdout), again.stdout
    for file in ("model.safetensors", "recipe.json"):
        assert (killed / file).read_bytes() == (undisturbed / file).read_bytes()
    assert history(killed) == history(undisturbed)
    assert not resume.exists()


def test_training_again_gives_the_same_bytes(
    smoke_run: Path, training: tuple[Job, str], tmp_path: Path
) -> None:
    """The run's own weights, once more; another seed gives others."""
    job, _ = training
    here = twin(tmp_path, "data", of=smoke_run)
    made, stored = (folder / Path(job.output[0]).parent for folder in (here, smoke_run))
    again = step(here, "train_source", *arguments_of(job), fork=False)
    assert again.returncode == 0, again.stdout
    weights = (made / "model.safetensors").read_bytes()
    assert weights == (stored / "model.safetensors").read_bytes()
    assert history(made) == history(stored)
    other = step(here, "train_source", *arguments_of(job, seed="1"), fork=False)
    assert other.returncode == 0, other.stdout
    assert (made / "model.safetensors").read_bytes() != weights


def test_attacking_again_gives_the_same_bytes(
    smoke_run: Path, smoke_plan: DryRun, tmp_path: Path
) -> None:
    job = job_of(smoke_plan, "attack_source")
    here = twin(tmp_path, "data", "sources", of=smoke_run)
    again = step(here, "attack_source", *arguments_of(job), fork=False)
    assert again.returncode == 0, again.stdout
    assert (here / job.output[0]).read_bytes() == (smoke_run / job.output[0]).read_bytes()


def test_diverging_training_ends_its_own_chain_only(smoke_run: Path) -> None:
    before = state(smoke_run)
    first, second = (f"results/diverging/tables/{study}.csv" for study in (FIRST, SECOND))
    overlay = {"label": "diverging", "models": {"mlp": {"learning_rate": 1e8}}}
    made: list[Path] = []
    try:
        with restored(smoke_run):
            (smoke_run / "diverging.yaml").write_text(yaml.safe_dump(overlay))
            done = snakemake(smoke_run, first, second, *SMOKE, "diverging.yaml")
        made = [smoke_run / path for path in state(smoke_run) if path not in before]
        assert done.returncode != 0, done.stdout
        flat = " ".join(done.stdout.split())
        assert re.search(r"mlp diverged: the loss is (nan|inf) in epoch \d, batch \d", flat), flat
        assert "Lower its learning_rate (now 1e+08) in the config" in flat
        assert "Traceback" not in done.stdout
        # The other study does not need the network: its table is there, as is all that was.
        assert (smoke_run / second).is_file()
        assert not (smoke_run / first).exists()
        after = state(smoke_run)
        assert {path: after.get(path) for path in before} == before
    finally:
        for path in made:
            path.unlink()
    assert dry_run(smoke_run).counts == {}


def test_results_can_be_listed(smoke_run: Path) -> None:
    told = step(smoke_run, "show_results", "results/smoke")
    assert told.returncode == 0
    for path in re.findall(r"^  (\S+)$", told.stdout, re.MULTILINE):
        assert (smoke_run / path).is_file()
    drawn = list((smoke_run / "results/smoke/figures").rglob("*.svg"))
    assert told.stdout.count(".svg") == len(drawn) > 12 + 9
    pages = list((smoke_run / "results/smoke/pages").glob("*.html"))
    assert told.stdout.count(".html") == len(pages) + 1  # and the report


def test_environment_is_recorded(smoke_run: Path) -> None:
    """The environment of the run is recorded: enough to install it again."""
    found = {row["name"]: row["value"] for row in rows(smoke_run / "results/smoke/environment.csv")}
    here = run([sys.executable, "-c", "import platform; print(platform.python_version())"], ROOT)
    assert found["python"] == here.stdout.strip()
    assert {"torch", "snakemake", "numpy"} <= set(found)
