"""Lifting Snakemake's limit of started jobs a second: does it work, and is it still needed?"""

from pathlib import Path

import pytest

from support.workflow import snakemake

JOBS = 12
TINY = """
import sys, threading
sys.path.insert(0, "{root}")
from workflow_scripts.advtransfer import runs

def timers():
    return sum(isinstance(thread, threading.Timer) for thread in threading.enumerate())

rule all:
    input: expand("{{k}}.txt", k=range({jobs}))

rule one:
    output: "{{k}}.txt"
    shell: "sleep 0.4; touch {{output}}"

onstart:
    {lift}

onsuccess:
    print("TIMERS", timers())
"""
ROOT = Path(__file__).parents[2]


def timers_left(folder: Path, lift: str) -> int:
    """Timer threads at the end of a run of short jobs, with a line of code at its start."""
    (folder / "Snakefile").write_text(TINY.format(root=ROOT, jobs=JOBS, lift=lift))
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout
    return int(done.stdout.split("TIMERS ")[1].split()[0])


def test_lifting_the_limit_leaves_no_timers(tmp_path: Path) -> None:
    assert timers_left(tmp_path, "runs.lift_rate_limit(workflow)") == 0


def test_without_it_timers_pile_up(tmp_path: Path) -> None:
    """Fails when an update of Snakemake mends it: then remove `runs.lift_rate_limit`."""
    assert timers_left(tmp_path, "pass") > 1


@pytest.mark.parametrize("line", ["runs.lift_rate_limit(workflow)"])
def test_the_workflow_lifts_it_at_its_start(line: str) -> None:
    onstart = (ROOT / "Snakefile").read_text().split("onstart:")[1].split("onsuccess:")[0]
    assert line in onstart
