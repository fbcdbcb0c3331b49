"""Copies of a finished run: files with new times and the same content re-run nothing.

Snakemake compares small files by content. Here everything above 10 kB counts as large, as datasets
and checkpoints do in a real run (tests/graph/test_rerun.py copies one).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from support.workflow import snakemake
from workflow_scripts.advtransfer.artifacts.hdf5 import write_hdf5
from workflow_scripts.advtransfer.artifacts.tensors import save_tensors
from workflow_scripts.advtransfer.seals import fingerprint

ROOT = Path(__file__).parents[2]
LARGE = "10000"
SEALS = "large_files.compare_by_seal()"
TINY = """
import sys
sys.path.insert(0, "{root}")
from workflow_scripts.advtransfer import large_files
{line}

rule small:
    input: "results/large.{ending}"
    output: "results/small.txt"
    shell: "touch {{output}}"
"""


def write(folder: Path, ending: str, value: float) -> None:
    """A large artefact in the results of ``folder``, with its seal (``txt``: without)."""
    with pytest.MonkeyPatch.context() as context:
        context.chdir(folder)
        path = Path("results") / f"large.{ending}"
        path.parent.mkdir(exist_ok=True)
        if ending == "h5":
            write_hdf5(path, {"images": np.full(9000, value)}, {})
        elif ending == "safetensors":
            save_tensors(path, {"weight": torch.full((9000,), value)}, {})
        else:
            path.write_text(str(value) * 9000)


def tiny(folder: Path, ending: str, line: str = SEALS) -> Path:
    """A finished run of one job, whose input is large."""
    folder.mkdir()
    (folder / "Snakefile").write_text(TINY.format(root=ROOT, line=line, ending=ending))
    write(folder, ending, 1.0)
    assert planned(folder, "--quiet") == ""
    return folder


def planned(folder: Path, *arguments: str) -> str:
    """Run the tiny workflow, or plan it with -n; return the names of the jobs planned."""
    limit = ("--cores", "1", "--max-checksum-file-size", LARGE)
    done = snakemake(folder, "results/small.txt", *limit, *arguments)
    assert done.returncode == 0, done.stdout
    return "small" if "rule small:" in done.stdout else ""


def touch(folder: Path, ending: str) -> None:
    later = (folder / "results/small.txt").stat().st_mtime + 10
    os.utime(folder / f"results/large.{ending}", (later, later))


@pytest.mark.parametrize("ending", ["h5", "safetensors"])
def test_a_large_artefact_with_a_new_time_re_runs_nothing(ending: str, tmp_path: Path) -> None:
    folder = tiny(tmp_path / "run", ending)
    touch(folder, ending)
    assert planned(folder, "-n") == ""
    copy = tmp_path / "another name"
    shutil.copytree(folder, copy)
    touch(copy, ending)
    assert planned(copy, "-n") == ""


@pytest.mark.parametrize("ending", ["h5", "safetensors"])
def test_a_large_artefact_with_other_content_re_runs(ending: str, tmp_path: Path) -> None:
    folder = tiny(tmp_path / "run", ending)
    write(folder, ending, 2.0)
    touch(folder, ending)
    assert planned(folder, "-n") == "small"
    write(folder, ending, 1.0)  # what was there before
    touch(folder, ending)
    assert planned(folder, "-n") == ""


def test_a_large_file_without_a_seal_is_compared_by_its_time(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "run", "txt")
    touch(folder, "txt")
    assert planned(folder, "-n") == "small"


def test_without_seals_a_new_time_re_runs(tmp_path: Path) -> None:
    """Fails when an update of Snakemake mends it: then remove `large_files.compare_by_seal`."""
    folder = tiny(tmp_path / "run", "h5", line="")
    touch(folder, "h5")
    assert planned(folder, "-n") == "small"


@pytest.mark.parametrize("ending", ["h5", "safetensors"])
def test_the_fingerprint_reads_the_seal_alone(ending: str, tmp_path: Path) -> None:
    """A flipped bit is no other artefact: it is damage, which whoever reads the file refuses."""
    write(tmp_path, ending, 1.0)
    path = tmp_path / f"results/large.{ending}"
    before = fingerprint(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert fingerprint(path) == before is not None
    path.write_bytes(content[:-1])
    assert fingerprint(path) != before


def test_the_workflow_compares_by_seal() -> None:
    assert SEALS in (ROOT / "rules/common.smk").read_text()
