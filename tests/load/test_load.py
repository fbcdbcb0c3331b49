"""A thousand jobs, and a hundred interruptions: `make test-load`, half an hour to two hours.

Its figures are printed as `LOAD ...` lines; docs/reliability.md has those of the last run.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from support.slurm import Cluster, missing_programs, temporary_folder
from support.workflow import BIN, SMOKE, run, snakemake, without_results

pytestmark = pytest.mark.long
SEEDS = 167  # six jobs each
SEED = 20261120
INTERRUPTIONS = 100
LONGEST = 9.0  # seconds before an interruption: planning, the first jobs, the middle of the study
TABLE = "results/smoke/tables/adversarial_to_knowledge.csv"


# A thousand jobs ---------------------------------------------------------------------------------


def thousand_jobs(folder: Path) -> None:
    """An overlay with one small network, many seeds, and a job for each of their six stages."""
    study = {
        "sources": {
            "models": ["mlp"],
            "robust": {"models": [], "trainings": []},
            "seeds": [[seed] for seed in range(SEEDS)],
        }
    }
    overlay = {"label": "load", "studies": {"adversarial_to_knowledge": study}}
    (folder / "load.yaml").write_text(yaml.safe_dump(overlay))


def seconds_of_steps(folder: Path) -> list[float]:
    """What the steps say that they took, from their own logs."""
    logs = (path.read_text() for path in (folder / "results/logs").rglob("*.log"))
    return [float(found) for log in logs for found in re.findall(r"done in ([\d.]+) s", log)]


def report(what: str, jobs: int, wall: float, steps: list[float], workers: int) -> None:
    busy = sum(steps)
    print(
        f"LOAD {what}: {jobs} jobs in {wall:.0f} s, {wall / jobs:.2f} s a job; steps took "
        f"{busy / jobs:.2f} s each on {workers} at a time; overhead "
        f"{wall * workers / jobs - busy / jobs:.2f} s of a worker's time a job"
    )


def jobs_planned(folder: Path, *target: str) -> int:
    planned = run([BIN / "snakemake", *target, "-n", *SMOKE, "load.yaml"], folder)
    assert planned.returncode == 0, planned.stdout
    return int(re.findall(r"^\s*total\s+(\d+)", planned.stdout, re.M)[0])


TARGET = "results/load/tables/adversarial_to_knowledge.csv"


def test_thousand_jobs_locally(smoke_run: Path, tmp_path: Path) -> None:
    folder = without_results(smoke_run, tmp_path / "workflow")
    thousand_jobs(folder)
    jobs = jobs_planned(folder, TARGET)
    assert jobs >= 1000
    started = time.monotonic()
    done = subprocess.run(
        [BIN / "snakemake", TARGET, *SMOKE, "load.yaml"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    wall = time.monotonic() - started
    report("local", jobs, wall, seconds_of_steps(folder), os.cpu_count() or 1)
    rows = (folder / TARGET).read_text().splitlines()
    assert len(rows) > SEEDS


@pytest.mark.parametrize("profile", ["cluster-generic", "slurm"])
def test_thousand_jobs_on_slurm(profile: str, smoke_run: Path, tmp_path: Path) -> None:
    """The plugin starts two Snakemakes a job, the generic profile one."""
    if missing := missing_programs():
        pytest.skip(f"SLURM is not installed: {missing}")
    folder = without_results(smoke_run, tmp_path / "workflow")
    thousand_jobs(folder)
    jobs = jobs_planned(folder, TARGET)
    cluster = Cluster(temporary_folder())
    cpus = 1  # of each node: four jobs at a time on this machine
    try:
        cluster.start(cpus=cpus)
        options = ("--latency-wait", "10")
        if profile == "slurm":
            options += ("--slurm-init-seconds-before-status-checks", "1")
        started = time.monotonic()
        done = subprocess.run(
            [
                BIN / "snakemake",
                TARGET,
                "--workflow-profile",
                f"profiles/{profile}",
                *options,
                *SMOKE,
                "load.yaml",
            ],
            cwd=folder,
            env=os.environ | cluster.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wall = time.monotonic() - started
    finally:
        cluster.stop()
        shutil.rmtree(cluster.folder, ignore_errors=True)
    assert done.returncode == 0, done.stdout[-5000:]
    report(f"SLURM, {profile}", jobs, wall, seconds_of_steps(folder), 4 * cpus)
    assert len((folder / TARGET).read_text().splitlines()) > SEEDS


# A hundred interruptions -------------------------------------------------------------------------


def test_hundred_interruptions(smoke_run: Path, tmp_path: Path) -> None:
    """Whatever is killed, however, whenever: the tables are those of an undisturbed run."""
    folder = without_results(smoke_run, tmp_path / "workflow")
    dice = random.Random(SEED)
    command = [BIN / "python", "-m", "workflow_scripts.resume", "--", TABLE, *SMOKE]
    kinds = {"the whole group": 0, "Snakemake alone": 0, "SIGINT": 0, "SIGTERM": 0}
    interrupted = finished = 0
    while interrupted < INTERRUPTIONS:
        kind, delay = dice.choice(list(kinds)), dice.uniform(0, LONGEST)
        with open(folder / "run.log", "w") as log:
            going = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        try:
            code = going.wait(delay)
        except subprocess.TimeoutExpired:
            interrupt(going, kind)
            kinds[kind] += 1
            interrupted += 1
            continue
        assert code == 0, (folder / "run.log").read_text()
        compare(folder, smoke_run)
        finished += 1
        for name in ("sources", "attacks", "evaluations", "transfers", "responses", "metrics"):
            shutil.rmtree(folder / "results" / name)
        (folder / TABLE).unlink()
    done = run(command, folder)
    assert done.returncode == 0, done.stdout
    compare(folder, smoke_run)
    assert "Nothing to be done" in snakemake(folder, TABLE, "-n", *SMOKE).stdout
    print(f"LOAD interruptions: {kinds}, seed {SEED}; {finished + 1} times to the end")


def interrupt(going: subprocess.Popen[bytes], kind: str) -> None:
    """By a signal to Snakemake, or to all that it started; a signal that asks must be obeyed."""
    if kind == "the whole group":
        os.killpg(going.pid, signal.SIGKILL)
        going.wait()
    elif kind == "Snakemake alone":
        going.kill()
        going.wait()
    else:
        going.send_signal(signal.SIGINT if kind == "SIGINT" else signal.SIGTERM)
        try:
            going.wait(120)
        except subprocess.TimeoutExpired:
            os.killpg(going.pid, signal.SIGKILL)
            pytest.fail(f"Snakemake hangs after {kind}")


def compare(folder: Path, smoke_run: Path) -> None:
    for name in (TABLE, TABLE.replace(".csv", "_curves.csv")):
        assert (folder / name).read_bytes() == (smoke_run / name).read_bytes(), name
