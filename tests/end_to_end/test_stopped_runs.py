"""A signal to Snakemake alone ends the run: nothing works on, nothing is half, nothing is lost.

Real trainings, of two networks at once, on images made here. The only stopwatch is the page's
promise: everything is gone within 30 seconds.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
import yaml

from support.plans import dry_run, job_of
from support.signals import hear_signals
from support.workflow import BIN, PLAIN_PROFILE, SMOKE, copy_workflow, snakemake, step

STUDY = "adversarial_to_knowledge"
EPOCHS = 150  # of 0.1 s or more each
PROMISED = 30  # seconds
CONFIG = (*SMOKE, "mine.yaml")
PLAIN = ("--workflow-profile", PLAIN_PROFILE)


def overlay(folder: Path, **changes: object) -> None:
    """A study of two small sources on a pack of noise, and what trains longer than a test lasts."""
    rng = np.random.default_rng(0)
    with h5py.File(folder / "mine.h5", "w") as file:
        file["images"] = rng.integers(0, 255, (400, 32, 32, 3), dtype=np.uint8)
        file["labels"] = np.arange(400) % 4
        file["split"] = np.array([b"train"] * 300 + [b"test"] * 100)
        file.attrs["class_names"] = json.dumps(["cat", "dog", "owl", "fox"])
    sizes = {"images": 120, "transfer_images": 60, "test_images": 20, "attacked_images": 20}
    study = {
        "sources": {
            "dataset": "mine",
            "classes": ["cat", "dog"],
            "images": 120,
            "models": ["mlp", "lenet"],
            "robust": {"models": [], "trainings": []},
            "seeds": [[0]],
        },
        "targets": {"held_out": {"dataset": "mine", "classes": ["owl", "fox"], **sizes}},
        "references": {"models": ["lenet"], "seeds": [[0]]},
        "primary": {"reference": "lenet"},
    }
    config = {
        "label": "mine",
        "data": {"datasets": {"mine": {"pack": str(folder / "mine.h5")}}},
        "evaluation": {"images": 40},
        "trainings": {"natural": {"epochs": EPOCHS}},
        "studies": {"knowledge_to_adversarial": None, STUDY: study},
    }
    (folder / "mine.yaml").write_text(yaml.safe_dump(config | changes))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workflow with its views, no network trained."""
    folder = tmp_path_factory.mktemp("stopping") / "workflow"
    copy_workflow(folder)
    overlay(folder)
    views = snakemake(folder, STUDY, "--until", "make_view", *PLAIN, *CONFIG)
    assert views.returncode == 0, views.stdout
    return folder


@pytest.fixture(scope="module")
def checkpoints(study: Path) -> list[str]:
    """The two sources."""
    plan = dry_run(study, STUDY, config=CONFIG)
    paths = [
        job_of(plan, "train_source", f"sources/{name}-").output[0] for name in ("mlp", "lenet")
    ]
    return sorted(paths)


@pytest.fixture(scope="module")
def undisturbed(study: Path, checkpoints: list[str]) -> Iterator[list[bytes]]:
    """The bytes of the sources of a run that nobody stops."""
    done = snakemake(study, *checkpoints, *PLAIN, *CONFIG)
    assert done.returncode == 0, done.stdout
    yield [(study / path).read_bytes() for path in checkpoints]


class Run:
    """A Snakemake in a session of its own, as a supervisor or a container starts it."""

    def __init__(self, folder: Path, *arguments: str, ignored: Sequence[int] = ()) -> None:
        self.folder = folder
        with open(folder / "output.txt", "w") as output:
            self.process = subprocess.Popen(
                [str(BIN / "snakemake"), *arguments, *CONFIG],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=lambda: hear_signals(but=ignored),
            )

    def wait_for(self, condition: Callable[[], object]) -> None:
        while not condition():
            assert self.process.poll() is None, self.told
            time.sleep(0.05)

    def working(self) -> list[psutil.Process]:
        """Processes of this run, its own included."""
        found = []
        for process in psutil.process_iter():
            try:
                alive = process.status() != psutil.STATUS_ZOMBIE
                if alive and os.getsid(process.pid) == self.process.pid:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def stopped(self) -> int:
        """Its exit status, once nothing of it is left; within the time that the page promises."""
        deadline = time.monotonic() + PROMISED
        while self.process.poll() is None or self.working():
            assert time.monotonic() < deadline, f"{self.working()}\n{self.told}"
            time.sleep(0.05)
        return self.process.returncode

    @property
    def told(self) -> str:
        return (self.folder / "output.txt").read_text()


@pytest.fixture
def start(study: Path, checkpoints: list[str]) -> Iterator[Callable[..., Run]]:
    """Start the two trainings, both at work after some epochs; whatever is left is killed."""
    runs = []

    def both(ignored: Sequence[int] = ()) -> Run:
        for path in checkpoints:
            shutil.rmtree((study / path).parent, ignore_errors=True)
        run = Run(study, *checkpoints, *PLAIN, "--cores", "2", ignored=ignored)
        runs.append(run)
        run.wait_for(lambda: all((study / f"{path}.resume").exists() for path in checkpoints))
        return run

    yield both
    for run in runs:
        for process in run.working():
            process.kill()
        run.process.wait()


def nothing_half(folder: Path) -> None:
    results = [path.name for path in (folder / "results").rglob("*") if path.is_file()]
    assert not [name for name in results if name.endswith(".tmp")]
    for kept in ("locks", "runs"):
        assert not list((folder / ".snakemake" / kept).glob("*"))


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_signal_to_snakemake_alone(
    number: str, study: Path, checkpoints: list[str], start: Callable[..., Run]
) -> None:
    """Trainings end in mid-epoch, and keep what they have."""
    run = start()
    run.process.send_signal(signal.Signals[number])
    assert run.stopped() == 1, run.told
    assert f"{number}: the jobs are being ended" in run.told
    assert "error:" not in run.told and "workflow_scripts.train_source" not in run.told
    assert all((study / f"{path}.resume").exists() for path in checkpoints)
    assert not any((study / path).exists() for path in checkpoints)
    nothing_half(study)


def test_the_same_command_goes_on(
    study: Path, checkpoints: list[str], undisturbed: list[bytes], start: Callable[..., Run]
) -> None:
    """After the last whole epoch, to the same bytes."""
    run = start()
    run.process.send_signal(signal.SIGTERM)
    assert run.stopped() == 1, run.told
    again = snakemake(study, *checkpoints, *PLAIN, *CONFIG)
    assert again.returncode == 0, again.stdout
    for log in (study / "results/logs/train_source").rglob("*.log"):
        assert "going on after epoch" in log.read_text()
    assert [(study / path).read_bytes() for path in checkpoints] == undisturbed


def test_ctrl_c_in_a_terminal_counts_once(study: Path, start: Callable[..., Run]) -> None:
    """It reaches all processes, and Snakemake asks its jobs to end beside it."""
    run = start()
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.stopped() == 1, run.told
    logs = [log.read_text() for log in (study / "results/logs/train_source").rglob("*.log")]
    assert len(logs) == 2
    assert all(log.count("interrupted; run the same command again") == 1 for log in logs)
    assert not any("Traceback" in log for log in logs)
    nothing_half(study)


def test_signals_without_patience(study: Path, start: Callable[..., Run]) -> None:
    """Once more, and another: nothing is interrupted in its clearing up."""
    run = start()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        run.process.send_signal(number)
        time.sleep(0.05)
    assert run.stopped() != 0, run.told
    assert "Traceback" not in run.told
    nothing_half(study)


def test_a_job_that_does_not_listen_is_killed(study: Path, start: Callable[..., Run]) -> None:
    run = start()
    deaf = [p for p in run.working() if p.cmdline()[1:3] == ["-m", "workflow_scripts.train_source"]]
    assert len(deaf) == 2
    deaf[0].suspend()
    run.process.send_signal(signal.SIGTERM)
    assert run.stopped() == 1, run.told


def test_nohup_survives_its_terminal(start: Callable[..., Run]) -> None:
    run = start(ignored=[signal.SIGHUP])
    steps = len(run.working())
    os.killpg(run.process.pid, signal.SIGHUP)
    time.sleep(1)
    assert run.process.poll() is None and len(run.working()) == steps, run.told
    run.process.send_signal(signal.SIGTERM)
    assert run.stopped() == 1, run.told


def test_stop_command(study: Path, start: Callable[..., Run]) -> None:
    """From another terminal; where nothing runs, it says so."""
    run = start()
    stopped = step(study, "stop")
    assert stopped.returncode == 0 and "stopped" in stopped.stdout, stopped.stdout
    assert run.process.wait(PROMISED) == 1, run.told
    assert not run.working()
    nothing_half(study)
    again = step(study, "stop")
    assert again.returncode == 0 and "nothing of this folder is running" in again.stdout
