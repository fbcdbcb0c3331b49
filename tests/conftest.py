"""Copies of the workflow to break and to run, and what Snakemake says it would do in them.

The smoke run is real: both studies on real CIFAR-10 with configs/smoke.yaml, once a session, some
three minutes on two cores. Two environment variables spare time between sessions:

ADVTRANSFER_TEST_DATA   a folder that keeps the downloaded dataset
ADVTRANSFER_SMOKE_RUN   a folder that keeps the run itself, brought up to date instead of made anew
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
SMOKE = ("--configfile", "configs/smoke.yaml")
# The default profile less its progress bars: the plain log lists every job with its files.
PLAIN_PROFILE = "profiles/plain"
TIMEOUT = 1800  # seconds: ends what hangs; nothing here is about speed

_not_tested: list[str] = []


def skip_loudly(reason: str) -> None:
    """Skip, and say so once more at the very end, where nobody overlooks it."""
    if reason not in _not_tested:
        _not_tested.append(reason)
    pytest.skip(reason)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`-m "not network"` leaves out what needs the smoke run, whose images are downloaded."""
    for item in items:
        if "smoke_run" in getattr(item, "fixturenames", ()):
            item.add_marker("network")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reason in _not_tested:
        terminalreporter.write_line(f"NOT TESTED: {reason}", red=True, bold=True)


def run(
    command: Sequence[str | Path], folder: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run to the end, stdout and stderr as one text; ``variables`` join the environment."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=TIMEOUT,
    )


def snakemake(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The snakemake beside this Python, as a user calls it: targets before ``--configfile``."""
    return run([BIN / "snakemake", *arguments], folder, **variables)


def step(
    folder: Path, name: str, *arguments: str | Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """One step by hand, as its rule calls it."""
    command = [sys.executable, "-m", f"workflow_scripts.{name}", *arguments]
    return run(command, folder, **variables)


@dataclass(frozen=True)
class Job:
    """One job of a dry run."""

    rule: str
    input: tuple[str, ...]
    output: tuple[str, ...]
    reason: str
    command: str


@dataclass(frozen=True)
class DryRun:
    """The jobs of a dry run; rules that only name targets are left out."""

    jobs: tuple[Job, ...] = field(default=())

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(job.rule for job in self.jobs))

    @property
    def outputs(self) -> set[str]:
        return {path for job in self.jobs for path in job.output}

    @property
    def reasons(self) -> str:
        """For messages of failed assertions."""
        return "\n".join(
            f"{job.rule} {', '.join(job.output)}: {job.reason[:300]}" for job in self.jobs
        )


_JOB = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)(?:Shell command: (.*))?", re.MULTILINE)


def dry_run(folder: Path, *arguments: str, config: Sequence[str] = SMOKE) -> DryRun:
    """What ``snakemake <arguments>`` would do in ``folder``, job by job."""
    done = snakemake(folder, *arguments, "-n", "-p", "--workflow-profile", PLAIN_PROFILE, *config)
    assert done.returncode == 0, done.stdout
    jobs = []
    for rule, block, command in _JOB.findall(done.stdout):
        parts = dict(line.strip().partition(": ")[::2] for line in block.splitlines())
        paths = {key: tuple(parts.get(key, "").split(", ")) for key in ("input", "output")}
        if parts.get("output"):
            jobs.append(Job(rule, reason=parts["reason"], command=command, **paths))
    # Either the parser found the jobs, or there are none: a changed log format is no empty plan.
    assert jobs or "Nothing to be done" in done.stdout, done.stdout
    return DryRun(tuple(jobs))


def copy_workflow(folder: Path) -> None:
    """Every file that git tracks or would track, and the default profile without progress bars."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():  # a deleted file is listed until the deletion is committed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    profile = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())
    profile.pop("logger", None)
    (folder / PLAIN_PROFILE).mkdir(parents=True, exist_ok=True)
    (folder / PLAIN_PROFILE / "config.yaml").write_text(yaml.safe_dump(profile))


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


def make_smoke_run(folder: Path) -> None:
    """Bring a folder up to date with this tree, and run configs/smoke.yaml there to the end."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():  # of a kept run, all but what was computed
        if old.name not in ("results", ".snakemake"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    copy_workflow(folder)
    if data := os.environ.get("ADVTRANSFER_TEST_DATA"):
        downloads = folder / "results/data/downloads"
        downloads.parent.mkdir(parents=True, exist_ok=True)
        if not downloads.exists():
            Path(data).mkdir(parents=True, exist_ok=True)
            downloads.symlink_to(Path(data).resolve(), target_is_directory=True)
    done = snakemake(folder, "all", "all_studies", *SMOKE)
    if done.returncode != 0 and "could not be had from any provider" in done.stdout:
        reason = done.stdout[done.stdout.index("the dataset ") :].split("Ways to supply it")[0]
        skip_loudly(f"everything on the smoke run: {reason}")
    assert done.returncode == 0, done.stdout


def without_results(smoke_run: Path, folder: Path) -> Path:
    """The workflow of the smoke run and its images in ``folder``, nothing computed."""
    done = shutil.ignore_patterns(".snakemake", "results", "__pycache__")
    shutil.copytree(smoke_run, folder, symlinks=True, ignore=done)
    shutil.copytree(smoke_run / "results/data", folder / "results/data", symlinks=True)
    return folder


@contextmanager
def edited(*files: Path) -> Iterator[None]:
    """Inside, the files may be changed, made or removed; afterwards they are as they were."""
    before = {file: file.read_bytes() if file.exists() else None for file in files}
    try:
        yield
    finally:
        for file, content in before.items():
            if content is None:
                file.unlink(missing_ok=True)
            elif not file.exists() or file.read_bytes() != content:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)


@contextmanager
def restored(folder: Path) -> Iterator[None]:
    """Inside, the workflow may be changed; afterwards it is as it was, but for its results."""

    def files() -> set[Path]:
        ours = (part for part in folder.iterdir() if part.name not in ("results", ".snakemake"))
        found = (file for part in ours for file in (part.rglob("*") if part.is_dir() else [part]))
        return {file for file in found if file.is_file() and file.suffix != ".pyc"}

    before = files()
    with edited(*before):
        try:
            yield
        finally:
            for made in files() - before:
                made.unlink()


def state(folder: Path, *, leave_out: Sequence[str] = ("logs",)) -> Mapping[str, tuple[int, int]]:
    """Size and time of every artefact: equal before and after means that nothing was lost."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted((folder / "results").rglob("*"))
        if path.is_file() and path.relative_to(folder / "results").parts[0] not in leave_out
    }


def job_of(plan: DryRun, rule: str, *contains: str) -> Job:
    """The first job of a rule whose files hold all of ``contains`` in their names."""
    for job in plan.jobs:
        files = " ".join((*job.input, *job.output))
        if job.rule == rule and all(text in files for text in contains):
            return job
    raise AssertionError(f"no {rule} with {contains} in the plan")


def arguments_of(
    job: Job, into: Path | None = None, **changed: str | Path | Sequence[str]
) -> list[str]:
    """A step's options as its rule gives them, some changed: ``seed="1"`` for ``--seed 1``.

    With ``into``, what the step writes goes into that folder instead of the results.
    """
    words = shlex.split(job.command.partition(" 2> ")[0])
    assert words[:2] == ["python", "-m"], job.command
    if into is not None:
        moved = {path: str(into / Path(path).name) for path in job.output}
        moved |= {f"{old}.resume": f"{new}.resume" for old, new in moved.items()}
        words = [moved.get(word, word) for word in words]
    options: dict[str, list[str]] = {}
    for word in words[3:]:
        if word.startswith("--"):
            options[word] = []
        else:
            options[next(reversed(options))].append(word)
    for key, value in changed.items():
        option = "--" + key.replace("_", "-")
        assert option in options, f"{option} is none of {list(options)}"
        options[option] = [str(value)] if isinstance(value, (str, Path)) else list(value)
    return [word for option, values in options.items() for word in (option, *values)]


def step_of(job: Job) -> str:
    """Name of the step that a job calls."""
    return shlex.split(job.command)[2].removeprefix("workflow_scripts.")
