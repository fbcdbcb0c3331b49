"""A damaged or swapped artefact is never computed with: named, with the command that makes it anew.

Every kind of artefact is truncated, gets one flipped bit, and changes places with another, and the
step that reads it is called; then Snakemake meets a few of them, and what it says is done.
"""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import pytest

from support.plans import DryRun, Job, arguments_of, dry_run, job_of, step_of
from support.workflow import PLAIN_PROFILE, SMOKE, edited, snakemake
from workflow_scripts.advtransfer.artifacts.table_reader import read_rows
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.seals import sidecar

STUDY = "adversarial_to_knowledge"


@dataclass(frozen=True)
class Kind:
    """Files of one kind, and the step that reads them in this test."""

    name: str
    pattern: str  # of paths
    rule: str
    output: str = ""  # part of a name, of the job's files
    array: str = ""  # part of a name, of an HDF5 array that the step reads
    other: str = ""  # what changes places with it; default: another one of the pattern


KINDS = [
    Kind("dataset", "results/data/datasets/*.h5", "make_view", "-train-", "train/images",
         "results/data/views/*.h5"),
    Kind("view", "results/data/views/*-test-*.h5", "attack_source", array="indices"),
    Kind("checkpoint", "results/sources/*/seed*/model.safetensors", "evaluate_source"),
    Kind("history", "results/sources/*/seed*/history.csv", f"{STUDY}_tables", STUDY),
    Kind("evaluation", "results/evaluations/*/*/*.csv", f"{STUDY}_tables", STUDY),
    Kind("transfer logits", "results/transfers/*/*/*.h5", f"{STUDY}_tables", STUDY, "seed0/last"),
    Kind("transfer curves", "results/transfers/*/*/*.csv", f"{STUDY}_tables", STUDY),
    Kind("attacks", "results/attacks/*/*/*.h5", "respond", array="delta"),
    Kind("attacks' logits", "results/attacks/*/*/*.h5", "compute_metrics", array="clean/logits"),
    Kind("responses", "results/responses/*/*/*.h5", "compute_metrics", array="reference"),
    Kind("metrics", "results/metrics/*/*/*.csv", f"{STUDY}_tables", STUDY),
    Kind("metrics by image", "results/metrics/*/*/*.h5", f"{STUDY}_tables", STUDY, "alpha_1"),
    Kind("table", f"results/smoke/tables/{STUDY}.csv", f"{STUDY}_analysis", STUDY,
         other="results/smoke/tables/knowledge_to_adversarial.csv"),
    Kind("table of a figure", f"results/smoke/tables/{STUDY}_sources.csv", f"{STUDY}_sources",
         other="results/smoke/tables/knowledge_to_adversarial_sources.csv"),
    Kind("one of many tables", f"results/smoke/tables/{STUDY}_correlations.csv", "correlations",
         other="results/smoke/tables/knowledge_to_adversarial_correlations.csv"),
]  # fmt: skip


def parts(file: Path) -> list[Path]:
    """The file, and the one that holds its seal, if another one does."""
    return [file, *([sidecar(file)] if sidecar(file).exists() else [])]


def truncate(file: Path, kind: Kind, other: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def flip(file: Path, kind: Kind, other: Path) -> None:
    """One bit of what the step reads."""
    position = file.stat().st_size // 2
    if kind.array:
        found: list[tuple[int, int]] = []
        with h5py.File(file) as stored:
            stored.visititems(
                lambda name, item: (
                    found.append((item.id.get_offset(), item.nbytes))
                    if isinstance(item, h5py.Dataset) and kind.array in name
                    else None
                )
            )
        position = found[0][0] + found[0][1] // 2
    with open(file, "r+b") as handle:
        handle.seek(position)
        (byte,) = handle.read(1)
        handle.seek(position)
        handle.write(bytes([byte ^ 4]))


def swap(file: Path, kind: Kind, other: Path) -> None:
    for old, new in zip(parts(file), [other, sidecar(other)], strict=False):
        content = old.read_bytes()
        old.write_bytes(new.read_bytes())
        new.write_bytes(content)


DAMAGES: list[Callable[[Path, Kind, Path], None]] = [truncate, flip, swap]


@pytest.fixture(scope="module")
def plan(smoke_run: Path) -> DryRun:
    """All jobs of the studies that plain `snakemake` makes, which is what repairs them here."""
    return dry_run(smoke_run, "--forceall")


@pytest.fixture(scope="module")
def copied_run(smoke_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run once more, to damage."""
    folder = tmp_path_factory.mktemp("damaged") / "workflow"
    shutil.copytree(smoke_run, folder, symlinks=True)
    return folder


def victim(kind: Kind, job: Job, folder: Path) -> tuple[Path, Path]:
    """The first file of the kind that the job reads, and one to change places with."""
    candidates = sorted(path.relative_to(folder) for path in folder.glob(kind.pattern))
    file = next(path for path in candidates if str(path) in job.input)
    others = sorted(path.relative_to(folder) for path in folder.glob(kind.other or kind.pattern))
    return file, next(path for path in others if path != file)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_step_refuses(
    kind: Kind,
    damage: Callable[[Path, Kind, Path], None],
    plan: DryRun,
    copied_run: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Called in this process, which spares the imports; `run` of cli.py makes it one line."""
    job = job_of(plan, kind.rule, kind.output)
    monkeypatch.chdir(copied_run)
    file, other = victim(kind, job, copied_run)
    module = importlib.import_module(f"workflow_scripts.{step_of(job)}")
    arguments = module.parser().parse_args(arguments_of(job))
    before = {path: Path(path).read_bytes() for path in job.output}
    touched = {path: path.stat().st_mtime_ns for path in (*parts(file), *parts(other))}
    with edited(*touched):
        damage(file, kind, other)
        with pytest.raises(UserError) as told:
            module.main(arguments)
    for path, time in touched.items():  # a dataset is too large to be compared by content
        os.utime(path, ns=(time, time))
    message = str(told.value)
    expected = {truncate: "truncated or damaged", flip: "does not have its checksum"}
    assert message.startswith(f"{file}: this file is "), message
    assert expected.get(damage, f"really {other}, put here") in message, message
    assert f"`snakemake --force {file}`, with the --configfile options" in message, message
    assert {path: Path(path).read_bytes() for path in job.output} == before


def tables(folder: Path) -> dict[str, object]:
    """All tables; those of the sources less the seconds that training took."""
    found: dict[str, object] = {}
    for file in sorted((folder / "results/smoke/tables").glob("*.csv")):
        if file.stem.endswith("_sources"):
            found[file.name] = [row | {"seconds": ""} for row in read_rows(file)]
        else:
            found[file.name] = file.read_bytes()
    return found


@pytest.mark.parametrize(
    ("name", "damage"),
    [("checkpoint", truncate), ("attacks", swap), ("table", flip)],
    ids=["checkpoint", "attacks", "table"],
)
def test_what_snakemake_says_repairs_it(
    name: str,
    damage: Callable[[Path, Kind, Path], None],
    smoke_run: Path,
    copied_run: Path,
    plan: DryRun,
) -> None:
    """Its readers fail, the command that the message gives is run, then everything."""
    kind = next(kind for kind in KINDS if kind.name == name)
    file, other = victim(kind, job_of(plan, kind.rule, kind.output), copied_run)
    damage(copied_run / file, kind, copied_run / other)
    commands = []
    for _ in range(3):  # of swapped files, a job that reads both names one
        done = snakemake(copied_run, "--workflow-profile", PLAIN_PROFILE, *SMOKE)
        assert "Traceback" not in done.stdout, done.stdout
        told = set(re.findall(r"`(snakemake --force \S+)`, with the --configfile", done.stdout))
        assert (done.returncode == 0) == (not told), done.stdout
        for command in sorted(told):
            forced = snakemake(copied_run, *shlex.split(command)[1:], *SMOKE)
            assert forced.returncode == 0, forced.stdout
        commands += told
    expected = {file, other} if damage is swap else {file}
    assert sorted(commands) == sorted(f"snakemake --force {path}" for path in expected)
    assert tables(copied_run) == tables(smoke_run)
    assert dry_run(copied_run).counts == {}
