"""A study of which everything is there, without a network trained: an empty file for every
artefact, and Snakemake is told that they are up to date."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.plans import DryRun, dry_run
from support.workflow import PLAIN_PROFILE, SMOKE, copy_workflow, restored, snakemake


def finished_study(folder: Path, study: str) -> DryRun:
    """Make a copy of the workflow in which all of the study is there; the plan that made it."""
    copy_workflow(folder)
    plan = dry_run(folder, study)
    for path in plan.outputs:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    done = snakemake(folder, study, "--touch", "--workflow-profile", PLAIN_PROFILE, *SMOKE)
    assert done.returncode == 0, done.stdout
    assert dry_run(folder, study).counts == {}
    return plan


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Inside, the workflow may be changed; afterwards it is as it was, times included: what was
    only touched has no checksums that would tell."""
    times = {
        file: file.stat().st_mtime_ns
        for part in ("workflow_scripts", "rules", "configs")
        for file in (folder / part).rglob("*")
        if file.is_file()
    }
    try:
        with restored(folder):
            yield
    finally:
        for file, time in times.items():
            os.utime(file, ns=(time, time))
