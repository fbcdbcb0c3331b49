"""Faults of the machine in the middle of a study: a message, nothing lost, and right tables after.

Every fault is a real one: a process killed, a full or read-only file system, a second run, a clock
set back, a damaged pack. They hit a copy of the finished smoke run whose study is partly taken
away; afterwards the same command makes the same bytes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
import yaml

from support.plans import Job, arguments_of, dry_run, job_of, step_of
from support.skips import skip_loudly
from support.workflow import BIN, PLAIN_PROFILE, SMOKE, run, snakemake, step

FIRST = "adversarial_to_knowledge"
TABLE = f"results/smoke/tables/{FIRST}.csv"
PLAIN = (*SMOKE, "--workflow-profile", PLAIN_PROFILE)
SMALL = 192 << 10  # bytes of the small disk


@pytest.fixture(scope="module")
def copied(smoke_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the smoke run for this module; the downloads are not copied."""
    folder = tmp_path_factory.mktemp("faults") / "workflow"
    shutil.copytree(smoke_run, folder, ignore=shutil.ignore_patterns("downloads"))
    return folder


@pytest.fixture
def study(copied: Path, smoke_run: Path) -> Iterator[Path]:
    """The copy, whose tables are as the undisturbed run made them: before a test and after it."""
    yield copied
    for table in sorted((copied / "results/smoke/tables").glob(f"{FIRST}*.csv")):
        undisturbed = smoke_run / table.relative_to(copied)
        if not table.name.endswith("_sources.csv"):  # has the seconds that training took
            assert table.read_bytes() == undisturbed.read_bytes(), table.name


@pytest.fixture(scope="module")
def jobs(copied: Path) -> Callable[..., Job]:
    plan = dry_run(copied, "--forceall")
    return lambda rule, *contains: job_of(plan, rule, *contains)


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A Snakemake that runs beside the test."""
    return subprocess.Popen(
        [str(BIN / "snakemake"), *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def steps_of(process: subprocess.Popen[str], name: str) -> list[int]:
    """Processes of a step that this Snakemake started."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], stdout=subprocess.PIPE, text=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()[1:]]
    ours = {process.pid}
    while more := {int(pid) for pid, parent, _ in rows if int(parent) in ours} - ours:
        ours |= more
    return [
        int(pid)
        for pid, _, command in rows
        if int(pid) in ours and command.startswith(f"python -m workflow_scripts.{name} ")
    ]


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)


def lives(process: int) -> bool:
    return psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE


def made_anew(folder: Path, *targets: str) -> None:
    """The same command again: it ends well, and then there is nothing left to do."""
    again = snakemake(folder, *targets, *PLAIN)
    assert again.returncode == 0, again.stdout
    assert dry_run(folder, *targets).counts == {}


# Two runs, a killed job --------------------------------------------------------------------------


def training_of(jobs: Callable[..., Job]) -> Job:
    return jobs("train_source", "sources/mlp-")


def test_second_run_in_the_same_folder_is_refused(study: Path, jobs: Callable[..., Job]) -> None:
    """At once; the first ends well."""
    job = training_of(jobs)
    checkpoint = study / job.output[0]
    before = checkpoint.read_bytes()
    checkpoint.unlink()
    first = start(study, job.output[0], *PLAIN)
    try:
        wait_for(lambda: steps_of(first, "train_source"), first)
        second = snakemake(study, job.output[0], *PLAIN)
    finally:
        output, _ = first.communicate(timeout=600)
    assert second.returncode == 1, second.stdout
    assert "Directory cannot be locked" in second.stdout
    assert "no other Snakemake process" in " ".join(second.stdout.split())
    assert first.returncode == 0, output
    assert checkpoint.read_bytes() == before


@pytest.mark.parametrize("retries", [0, 1])
def test_a_job_that_the_system_kills(retries: int, study: Path, jobs: Callable[..., Job]) -> None:
    """As out of memory does, in an epoch after the first: it goes on from its resume file."""
    job = training_of(jobs)
    checkpoint = study / job.output[0]
    before = checkpoint.read_bytes()
    checkpoint.unlink()
    resume = checkpoint.with_name(f"{checkpoint.name}.resume")
    process = start(study, job.output[0], "--retries", str(retries), *PLAIN)

    def kill() -> bool:
        found = steps_of(process, "train_source") if resume.exists() else []
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        return bool(found)

    wait_for(kill, process)
    output, _ = process.communicate(timeout=600)
    if retries:
        assert process.returncode == 0, output
        assert "Trying to restart job" in output, output
    else:
        assert process.returncode == 1, output
        assert re.search(r"exit status (137|-9)|died with <Signals.SIGKILL: 9>", output), output
        assert not checkpoint.exists()
        made_anew(study, job.output[0])
    log = study / "results/logs/train_source" / checkpoint.parents[1].name / "seed0.log"
    assert "going on after epoch" in log.read_text()
    assert checkpoint.read_bytes() == before
    assert not resume.exists()


def test_killed_snakemake_and_its_orphans(study: Path) -> None:
    """Its processes run on. Nothing starts beside them; `resume` ends them and goes on."""
    (study / "slow.yaml").write_text("trainings: {natural: {epochs: 50}}")
    slow = (*PLAIN[:2], "slow.yaml", *PLAIN[2:])
    plan = dry_run(study, TABLE, config=(*SMOKE, "slow.yaml"))
    target = job_of(plan, "train_source", "sources/mlp-").output[0]
    calm = snakemake(study, target, *slow)
    assert calm.returncode == 0, calm.stdout
    before = (study / target).read_bytes()
    shutil.rmtree((study / target).parent)

    killed = start(study, target, *slow)
    wait_for((study / f"{target}.resume").exists, killed)
    (orphan,) = steps_of(killed, "train_source")
    os.kill(orphan, signal.SIGSTOP)  # it lasts until the end of this test
    killed.kill()
    killed.wait()
    unlocked = snakemake(study, target, *slow, "--unlock")
    assert unlocked.returncode == 0, unlocked.stdout
    refused = snakemake(study, target, *slow)
    assert refused.returncode == 1, refused.stdout
    assert "jobs of an earlier run of this folder" in " ".join(refused.stdout.split())
    assert "(train_source)" in refused.stdout
    assert "python -m workflow_scripts.resume" in refused.stdout

    resumed = step(study, "resume", "--", target, *slow)
    assert resumed.returncode == 0, resumed.stdout
    assert not lives(orphan)
    log = study / "results/logs/train_source" / Path(target).parents[1].name / "seed0.log"
    assert "going on after epoch" in log.read_text()
    assert (study / target).read_bytes() == before


# Clock and file systems --------------------------------------------------------------------------


def test_clock_set_back(study: Path) -> None:
    """Snakemake refuses what would be older than its input; with the right clock all is well."""
    faketime = shutil.which("faketime")
    if faketime is None:
        skip_loudly("a clock set back (apt-get install faketime)")
    (study / TABLE).unlink()
    command = [faketime or "", "-f", "-1d", BIN / "snakemake", TABLE, *PLAIN]
    # Python's own waits stay on the real clock, as they do when a system's clock is set back.
    for _ in range(3):
        told = run(command, study, FAKETIME_DONT_FAKE_MONOTONIC="1")
        # faketime makes a short sleep fail once in a while, before Snakemake has begun.
        if "OSError: [Errno 22] Invalid argument" not in told.stdout:
            break
    assert told.returncode == 1, told.stdout
    assert "has older modification time" in told.stdout, told.stdout
    assert "clock skew" in told.stdout
    assert not (study / TABLE).exists()  # nothing that looks finished
    made_anew(study, TABLE)


def test_read_only_results(study: Path) -> None:
    results = study / "results"
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*.h5")}
    index = "results/smoke/index.csv"
    for name in ("index.csv", "config.yaml", "environment.csv"):
        (results / "smoke" / name).unlink(missing_ok=True)
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    mounted = run(["unshare", "-m", "bash", "-c", script, results, "true"], study)
    if mounted.returncode != 0:
        pytest.skip(f"a read-only mount needs root: {mounted.stdout.strip()}")
    command = [BIN / "snakemake", index, *PLAIN]
    told = run(["unshare", "-m", "bash", "-c", script, results, *command], study)
    assert told.returncode == 1, told.stdout
    assert "Traceback" not in told.stdout, told.stdout
    assert f"{results} cannot be written: its disk is mounted read-only" in told.stdout
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*.h5")} == before
    made_anew(study, index)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", folder], tmp_path)
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small disk needs root: {mounted.stdout.strip()}")
    yield folder
    run(["umount", folder], tmp_path)


@pytest.mark.parametrize("rule", ["compute_metrics", f"{FIRST}_tables"])
def test_disk_full_while_a_table_is_written(
    rule: str, study: Path, jobs: Callable[..., Job], small_disk: Path
) -> None:
    """Tables are larger than what is left: the old one stays, whole."""
    job = jobs(rule)
    result = small_disk / Path(job.output[0]).name
    result.write_bytes(b"what was there")
    with open(small_disk / "filler", "wb") as filler:
        filler.write(bytes(SMALL - (4 << 10)))  # the rest holds what was there
    told = step(study, step_of(job), *arguments_of(job, small_disk))
    assert told.returncode == 1, told.stdout
    assert "Traceback" not in told.stdout, told.stdout
    flat = " ".join(told.stdout.split())
    assert f"{small_disk}/" in flat and "the disk is full. Nothing was replaced" in flat
    assert result.read_bytes() == b"what was there"
    left = sorted(path.name for path in small_disk.iterdir())
    assert left == sorted(["filler", result.name]), told.stdout


def test_disk_full_at_a_later_epoch(
    study: Path, jobs: Callable[..., Job], small_disk: Path
) -> None:
    """The resume file of the epochs that fitted stays, and the training goes on from it."""
    job = jobs("train_source", "-linf_")
    words = arguments_of(job)
    recipe = json.loads(words[words.index("--recipe") + 1])
    recipe["training"]["epochs"] = 8
    options = arguments_of(job, small_disk, recipe=json.dumps(recipe))
    command = [sys.executable, "-m", "workflow_scripts.train_source", *options]
    resume = small_disk / "model.safetensors.resume"
    run(["mount", "-o", f"remount,size={8 * SMALL}", small_disk], study)
    process = subprocess.Popen(
        command, cwd=study, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_for(resume.exists, process)
    process.send_signal(signal.SIGSTOP)
    free = shutil.disk_usage(small_disk).free - resume.stat().st_size // 2
    (small_disk / "filler").write_bytes(bytes(free))  # room for half a resume file
    process.send_signal(signal.SIGCONT)
    told, _ = process.communicate(timeout=600)
    assert process.returncode == 1, told
    assert "Traceback" not in told, told
    assert "the disk is full. Nothing was replaced" in told
    assert resume.exists() and not (small_disk / "model.safetensors").exists()
    (small_disk / "filler").unlink()
    again = step(study, "train_source", *options)
    assert again.returncode == 0, again.stdout
    assert re.search(r"going on after epoch [1-7] ", again.stdout), again.stdout


# A user's pack -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "content", "says"),
    [
        ("labels", np.array([0.0, np.nan] * 10), "'labels' is float64 (20,); expected one integer"),
    ],
)
def test_a_bad_pack_is_told_through_snakemake(
    part: str, content: np.ndarray, says: str, workflow: Path
) -> None:
    pack = workflow.parent / "mine.h5"
    arrays = {
        "images": np.zeros((20, 32, 32, 3), np.uint8),
        "labels": np.arange(20) % 2,
        "split": np.array([b"train"] * 15 + [b"test"] * 5),
    }
    with h5py.File(pack, "w") as file:
        for name, array in (arrays | {part: content}).items():
            file[name] = array
        file.attrs["class_names"] = json.dumps(["cat", "dog"])
    overlay = {
        "data": {"datasets": {"mine": {"pack": str(pack)}}},
        "studies": {
            "knowledge_to_adversarial": None,
            FIRST: {
                "sources": {"dataset": "mine", "classes": ["cat"]},
                "targets": {"held_out": {"dataset": "mine", "classes": ["dog"]}},
            },
        },
    }
    (workflow / "mine.yaml").write_text(yaml.safe_dump(overlay))
    told = snakemake(workflow, "tables", "--until", "make_view", *SMOKE, "mine.yaml")
    flat = " ".join(told.stdout.split())
    assert told.returncode == 1, told.stdout
    assert "Traceback" not in told.stdout, told.stdout
    assert "mine.h5:" in flat.replace("mine.h5 :", "mine.h5:"), told.stdout
    assert says in flat, told.stdout
    assert not list((workflow / "results/data").rglob("*.h5"))
