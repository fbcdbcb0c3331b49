"""Fixtures and hooks. What tests share beside these stands in tests/support/.

The smoke run is real: every study of configs/smoke.yaml on real CIFAR-10, once a session. Two
environment variables spare time between sessions:

ADVTRANSFER_TEST_DATA   a folder that keeps the downloaded dataset
ADVTRANSFER_SMOKE_RUN   a folder that keeps the run itself, brought up to date instead of made anew
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import pytest

from support.plans import DryRun, dry_run
from support.skips import not_tested
from support.workflow import copy_workflow, make_smoke_run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the network, and put the long files first.

    `-m "not network"` leaves out what needs the smoke run, whose images are downloaded. Of several
    workers, one makes that run while the others plan studies without it; the many short files at
    the end keep all of them busy to the last minute.
    """
    on_the_run = {item.path for item in items if "smoke_run" in getattr(item, "fixturenames", ())}
    for item in items:
        if "smoke_run" in getattr(item, "fixturenames", ()):
            item.add_marker("network")

    def turn(item: pytest.Item) -> int:
        if item.path in on_the_run:
            return 0 if item.path.name == "test_smoke.py" else 2
        return 1 if item.path.parent.name == "graph" else 3

    items.sort(key=turn)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reason in not_tested:
        terminalreporter.write_line(f"NOT TESTED: {reason}", red=True, bold=True)


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    """A copy of the workflow, without results."""
    folder = tmp_path / "workflow"
    copy_workflow(folder)
    return folder


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A copy of the workflow in which every study of configs/smoke.yaml was run to the end.

    Where several workers share the tests, the first that needs the run makes it, and each takes a
    copy of its own to change.
    """
    alone = worker_id == "master"
    base = tmp_path_factory.getbasetemp() if alone else tmp_path_factory.getbasetemp().parent
    folder = Path(os.environ.get("ADVTRANSFER_SMOKE_RUN", base / "smoke")).absolute()
    if alone:
        make_smoke_run(folder)
        return folder
    own = tmp_path_factory.mktemp("smoke") / "workflow"
    with open(base / "smoke.lock", "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not lock.tell():  # nobody has written into it
            make_smoke_run(folder)
            lock.write("made")
        shutil.copytree(folder, own, symlinks=True)
    return own


@pytest.fixture(scope="session")
def smoke_plan(smoke_run: Path) -> DryRun:
    """All jobs of the smoke run, as it would make them anew."""
    return dry_run(smoke_run, "all", "all_studies", "--forceall")


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the workflow, without results, for dry runs: nobody changes it."""
    folder = tmp_path_factory.mktemp("pristine")
    copy_workflow(folder)
    return folder


@pytest.fixture(scope="session")
def planned(pristine: Path) -> Callable[..., DryRun]:
    """`dry_run` in the pristine copy: what was asked before is not planned again."""
    return cache(partial(dry_run, pristine))


@pytest.fixture(scope="module")
def left_finished(smoke_run: Path) -> Iterator[None]:
    """Nothing is left to do before a module's edits, nor when every edit was taken back."""
    assert dry_run(smoke_run, "all", "all_studies").counts == {}
    yield
    assert dry_run(smoke_run, "all", "all_studies").counts == {}
