"""What Snakemake does when it is told to stop: while it plans, and with jobs on a cluster.

The cluster is a script: jobs are processes of this machine in sessions of their own, which only the
cancelling command ends. A real SLURM is asked in tests/cluster.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.signals import hear_signals
from support.workflow import BIN

ROOT = Path(__file__).parents[2]
PROMISED = 30  # seconds
SNAKEFILE = f"""
import sys
sys.path.insert(0, "{ROOT}")
from workflow_scripts.advtransfer import failures, runs, stopping

if workflow.is_main_process:
    runs.name_jobs()
    stopping.leave_tidily()

def planned(wildcards):
    open("planning", "w").close()
    import time
    time.sleep(300)

rule all:
    input: "slow.txt", "told.txt"

rule slow:
    output: "slow.txt"
    log: "logs/slow.log"
    shell: "sleep 300; touch {{output}}"

rule told:
    output: "told.txt"
    log: "logs/told.log"
    shell: "echo 'error: 9 is too many. Lower it.' > {{log}}; exit 1"

rule never:
    input: planned
    output: "never.txt"

onstart:
    runs.begin(workflow.non_local_exec)
    stopping.obey(workflow)
    failures.explain(workflow)

onerror:
    stopping.end(workflow)
"""
SUBMIT = """#!/bin/sh
setsid sh -c "sh $1; echo \\$? > jobs/\\$\\$.code" > jobs/out.log 2>&1 < /dev/null &
echo $!
"""
STATUS = """#!/bin/sh
if [ ! -f jobs/$1.code ]; then echo running
elif [ "$(cat jobs/$1.code)" = 0 ]; then echo success
else echo failed; fi
"""
CANCEL = """#!/usr/bin/env bash
for job in "$@"; do echo "$job" >> jobs/cancelled; kill -9 -- "-$job"; done
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    for name, text in (("submit", SUBMIT), ("status", STATUS), ("cancel", CANCEL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    yield tmp_path
    for process in working(tmp_path):
        process.kill()


def working(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


CLUSTER = ["--executor", "cluster-generic", "--jobs", "4"]
for name in ("submit", "status", "cancel"):
    CLUSTER += [f"--cluster-generic-{name}-cmd", f"./{name}"]


def start(folder: Path, target: str, *options: str) -> subprocess.Popen[bytes]:
    command = [BIN / "snakemake", target, *options]
    with open(folder / "told", "wb") as told:
        return subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=told, stderr=told,
            start_new_session=True, preexec_fn=hear_signals,
        )  # fmt: skip


def test_a_failed_job_of_a_cluster(folder: Path) -> None:
    ended = start(folder, "told.txt", *CLUSTER, "--seconds-between-status-checks", "1")
    assert ended.wait(300) == 1
    told = (folder / "told").read_text()
    assert told.count("error: 9 is too many. Lower it.\n    failed: told for told.txt\n") == 1
    assert "external_jobid: " in told
    assert "echo 'error" in (folder / "logs/told.log").read_text().partition("command: ")[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_jobs_of_a_cluster_are_cancelled(number: signal.Signals, folder: Path) -> None:
    run = start(folder, "slow.txt", *CLUSTER, "--seconds-between-status-checks", "300")
    # Snakemake itself would wait for its next look at the jobs.
    while not any("sleep" in process.name() for process in working(folder)):
        assert run.poll() is None, (folder / "told").read_text()
        time.sleep(0.1)
    os.kill(run.pid, number)
    assert run.wait(PROMISED) == 1, (folder / "told").read_text()
    assert len((folder / "jobs/cancelled").read_text().split()) == 1
    deadline = time.monotonic() + PROMISED
    while left := working(folder):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    assert not list((folder / ".snakemake/locks").glob("*"))
    assert list((folder / ".snakemake/runs").glob("*"))  # so that the next run asks for leftovers


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_while_it_plans(number: signal.Signals, folder: Path) -> None:
    run = start(folder, "never.txt", "--cores", "1")
    while not (folder / "planning").exists():
        assert run.poll() is None, (folder / "told").read_text()
        time.sleep(0.05)
    os.kill(run.pid, number)
    assert run.wait(PROMISED) == 128 + number
    assert "Traceback" not in (folder / "told").read_text()
    assert not list((folder / ".snakemake/locks").glob("*"))
