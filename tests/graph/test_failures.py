"""What Snakemake shows of jobs that fail: their own error first and once, the command in the log.

A small workflow whose jobs fail as steps do. An update of Snakemake that prints something else
beside our message fails here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support.workflow import snakemake

ROOT = Path(__file__).parents[2]
MARK = "SECRET_OF_THE_COMMAND"
TINY = """
import sys
sys.path.insert(0, "{root}")
from workflow_scripts.advtransfer import failures

rule all:
    input: expand("{{how}}.txt", how=["told", "bug", "killed", "silent", "fine"])

rule told:
    output: "told.txt"
    log: "logs/told.log"
    shell: "(echo begins; echo 'error: 9 is too many. Lower it.') > {{log}}; exit 1; : {mark}"

rule bug:
    output: "bug.txt"
    log: "logs/bug.log"
    shell: "python -c '{{{{}}}}[1] # {mark}' 2> {{log}}"

rule killed:
    output: "killed.txt"
    log: "logs/killed.log"
    shell: "(echo 'epoch 3') > {{log}}; : {mark}; kill -9 $$"

rule silent:
    output: "silent.txt"
    log: "logs/silent.log"
    shell: "exit 3; : {mark} {{log}}"

rule fine:
    output: "fine.txt"
    log: "logs/fine.log"
    shell: "touch {{output}}; : {mark} {{log}}"

onstart:
    {explain}
"""
EXPLAIN = "failures.explain(workflow)"


def write(folder: Path, explain: str = EXPLAIN) -> None:
    (folder / "Snakefile").write_text(TINY.format(root=ROOT, mark=MARK, explain=explain))


@pytest.mark.parametrize("logger", [[], ["--logger", "rich"]])
def test_error_first_command_in_the_log(logger: list[str], tmp_path: Path) -> None:
    write(tmp_path)
    done = snakemake(tmp_path, "--cores", "4", "--keep-going", "--show-failed-logs", *logger)
    assert done.returncode == 1, done.stdout
    told = done.stdout[done.stdout.index("error: ") :]
    assert MARK not in told and "CalledProcessError" not in told and "Exception" not in told
    assert told.count("error: 9 is too many. Lower it.\n    failed: told for told.txt\n") == 1
    assert "whole log, with the command: logs/told.log" in told
    assert told.count("Traceback (most recent call last):") == told.count("KeyError: 1") == 1
    ended = "ended without a message of its own"
    memory = "SIGKILL: 9>, as happens when the memory runs out)"
    assert f"error: killed {ended} (died with <Signals.{memory}." in told
    assert "Its log ends with:\nepoch 3\n" in told
    assert f"error: silent {ended} (returned non-zero exit status 3).\nIts log is empty." in told
    assert "failed: fine" not in told
    for how in ("told", "bug", "killed", "silent"):
        log = (tmp_path / f"logs/{how}.log").read_text()
        assert log.count("command: ") == 1 and MARK in log.partition("command: ")[2], log
    assert (tmp_path / "logs/fine.log").read_text() == ""
    (whole,) = (tmp_path / ".snakemake/log").iterdir()
    assert MARK in whole.read_text().partition("Error in rule told:")[2]


def test_every_try_is_told_once(tmp_path: Path) -> None:
    write(tmp_path)
    done = snakemake(tmp_path, "told.txt", "--cores", "1", "--retries", "1")
    assert done.returncode == 1, done.stdout
    assert done.stdout.count("error: 9 is too many. Lower it.") == 2
    assert (tmp_path / "logs/told.log").read_text().count("command: ") == 1


def test_without_it_the_command_comes_first(tmp_path: Path) -> None:
    """Fails when an update of Snakemake mends it: then remove `failures.explain`."""
    write(tmp_path, "pass")
    done = snakemake(tmp_path, "told.txt", "--cores", "1", "--show-failed-logs")
    assert done.returncode == 1, done.stdout
    assert MARK in done.stdout.partition("CalledProcessError")[2].partition("begins\n")[0]


def test_the_workflow_explains_its_failures() -> None:
    onstart = (ROOT / "Snakefile").read_text().split("onstart:")[1].split("onsuccess:")[0]
    assert EXPLAIN in onstart
