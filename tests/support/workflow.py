"""Copies of the workflow to break and to run, and the commands that a user runs in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from support import calls
from support.skips import skip_loudly

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SMOKE = ("--configfile", "configs/smoke.yaml")
# The default profile less its progress bars: the plain log lists every job with its files.
PLAIN_PROFILE = "profiles/plain"
TIMEOUT = 1800  # seconds: ends what hangs; nothing here is about speed


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


def snakemake(
    folder: Path, *arguments: str, python: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """The snakemake beside this Python, as a user calls it: targets before ``--configfile``.

    ``python`` runs its jobs; by default, one that forks.
    """
    if not calls.FORK:
        return run([BIN / "snakemake", *arguments], folder, **variables)
    command = ["snakemake", *map(str, arguments)]
    python = python or calls.interpreter()
    return calls.call(command, folder, os.environ | variables, TIMEOUT, python)


def step(
    folder: Path, name: str, *arguments: str | Path, fork: bool = True, **variables: str
) -> subprocess.CompletedProcess[str]:
    """One step by hand, as its rule calls it; without ``fork``, in an interpreter of its own."""
    command = ["-m", f"workflow_scripts.{name}", *map(str, arguments)]
    if fork and calls.FORK:
        return calls.call(["python", *command], folder, os.environ | variables, TIMEOUT)
    return run([sys.executable, *command], folder, **variables)


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
    variables = calls.recording(records(folder), folder / ".snakemake/site")
    python = (
        calls.interpreter(first=Path(tempfile.mkdtemp(prefix="first-"))) if calls.FORK else None
    )
    done = snakemake(folder, "all", "all_studies", *SMOKE, python=python, **variables)
    if done.returncode != 0 and "could not be had from any provider" in done.stdout:
        reason = done.stdout[done.stdout.index("the dataset ") :].split("Ways to supply it")[0]
        skip_loudly(f"everything on the smoke run: {reason}")
    assert done.returncode == 0, done.stdout


def records(folder: Path) -> Path:
    """Where the steps of a smoke run say which files of ours they imported."""
    return folder / ".snakemake/modules"


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
