"""Which jobs of a killed run still work, and that no run starts beside them.

Processes are real; squeue is a script that prints what a test has it print. The real one is asked
in tests/cluster.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workflow_scripts.advtransfer import runs
from workflow_scripts.advtransfer.artifacts.json_files import write_json
from workflow_scripts.advtransfer.errors import UserError

DEAD = "1@0"  # process 1 did not start at tick 0
SLEEP = "import time; time.sleep(60)"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no SLURM."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("SLURM_JOB_ID", runs.VARIABLE):
        monkeypatch.setenv(name, "")  # so that it is as before afterwards, whatever a test sets
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def squeue(folder: Path) -> Callable[[str], None]:
    """Make squeue print a text, or (with `exit 1`) fail."""

    def prints(text: str) -> None:
        script = folder / "bin" / "squeue"
        script.parent.mkdir(exist_ok=True)
        (folder / "told").write_text(text)
        ending = f'while read -r line; do echo "$line"; done < {folder / "told"}'
        script.write_text(f"#!/bin/sh\n{'exit 1' if text == 'exit 1' else ending}\n")
        script.chmod(0o755)

    return prints


@pytest.fixture
def process(folder: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a process in the folder that a run started."""
    started = []

    def start(run: str, *command: str) -> subprocess.Popen[bytes]:
        words = command or (sys.executable, "-c", SLEEP, "workflow_scripts.train_source")
        one = subprocess.Popen(words, env={runs.VARIABLE: run}, cwd=folder)
        started.append(one)
        time.sleep(0.3)  # its environment can be read once it runs
        return one

    yield start
    for one in started:
        one.kill()
        one.wait()


def record(name: str, run: str, host: str = "", on_cluster: bool = True) -> None:
    content = {"host": host or socket.gethostname(), "run": run, "on_cluster": on_cluster}
    write_json(runs.RECORDS / name, content)


def test_a_run_leaves_nothing() -> None:
    runs.begin(on_cluster=True)
    assert runs.going() == [(socket.gethostname(), os.getpid())]
    runs.end()
    assert runs.going() == []


def test_orphan_is_found_and_ended(process: Callable[..., subprocess.Popen[bytes]]) -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{SLEEP}'])"
    orphan = process(DEAD, sys.executable, "-c", child, "workflow_scripts.attack_source")
    time.sleep(0.5)
    (found,) = runs.leftovers()  # its child is part of it
    assert str(found) == f"process {orphan.pid} (attack_source)"
    with pytest.raises(UserError, match=r"attack_source.*\n.*workflow_scripts\.resume"):
        runs.begin(on_cluster=True)
    found.cancel()
    orphan.wait()
    deadline = time.monotonic() + 30
    while runs.leftovers():  # what was killed takes a moment to go
        assert time.monotonic() < deadline
        time.sleep(0.05)
    runs.begin(on_cluster=True)


def test_processes_of_a_living_run_are_its_own(
    process: Callable[..., subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.name_jobs()
    own = process(os.environ[runs.VARIABLE])
    assert runs.leftovers() == []
    process(DEAD)
    assert [one.pid for one in runs.own_steps()] == [own.pid]


def test_the_same_number_is_not_the_same_process() -> None:
    """As in a container, where every Snakemake may be process 7."""
    record("a.json", f"{os.getpid()}@1")
    assert runs.going() == []
    runs.begin(on_cluster=True)
    assert len(list(runs.RECORDS.iterdir())) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": 1}'])
def test_a_damaged_record_is_that_of_a_dead_run(
    text: str, squeue: Callable[[str], None], folder: Path
) -> None:
    runs.RECORDS.mkdir(parents=True)
    (runs.RECORDS / "a.json").write_text(text)
    squeue(f"7|RUNNING|advtransfer_x|{folder}\n")
    assert [str(one) for one in runs.leftovers()] == ["SLURM job 7 (running)"]


def test_jobs_of_slurm(
    squeue: Callable[[str], None], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not this one, nor one of another folder or of no profile; an array counts once."""
    lines = [
        f"1|RUNNING|advtransfer_x|{folder}",
        f"2|PENDING|advtransfer|{folder}",
        f"2|RUNNING|advtransfer|{folder}",
        f"3|RUNNING|advtransfer_y|{folder.parent}",
        f"4|RUNNING|jupyter|{folder}",
        f"5|RUNNING|advtransfer_master|{folder}",
    ]
    squeue("\n".join(lines) + "\n")
    monkeypatch.setenv("SLURM_JOB_ID", "5")
    assert runs.leftovers() == []  # no run died here
    record("a.json", DEAD)
    assert [str(one) for one in runs.leftovers()] == [
        "SLURM job 1 (running)",
        "SLURM job 2 (pending)",
    ]


def test_no_answer_is_not_no_job(squeue: Callable[[str], None]) -> None:
    squeue("exit 1")
    runs.leftovers()  # nothing died, so nobody is asked
    record("a.json", DEAD, on_cluster=False)
    runs.leftovers()  # nor where no job was on a cluster
    record("a.json", DEAD)
    with pytest.raises(UserError, match="SLURM does not say"):
        runs.begin(on_cluster=True)


def test_of_another_machine_nothing_is_known() -> None:
    record("a.json", DEAD, host="elsewhere")
    assert runs.going() == [("elsewhere", 1)]
    runs.forget()
    assert runs.going() == []
