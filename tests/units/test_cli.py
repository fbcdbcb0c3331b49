"""Command lines: numbers that cannot be meant, and an output that cannot be written."""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.workflow import ROOT
from workflow_scripts.advtransfer.cli import finite, radius, whole_number

STEPS = sorted(
    file.stem for file in (ROOT / "workflow_scripts").glob("*.py") if file.stem != "__init__"
)


def numeric_options() -> Iterator[tuple[str, str]]:
    """Every option of every step whose default or name says that it is a number."""
    for step in STEPS:
        parser = importlib.import_module(f"workflow_scripts.{step}").parser()
        for action in parser._actions:
            if action.type not in (None, Path):
                yield step, action.option_strings[0]


NUMERIC = list(numeric_options())


def refusal(step: str, option: str, value: str, capsys: pytest.CaptureFixture[str]) -> str:
    parser: argparse.ArgumentParser = importlib.import_module(f"workflow_scripts.{step}").parser()
    for action in parser._actions:
        action.required = False
    for group in parser._mutually_exclusive_groups:
        group.required = False
    with pytest.raises(SystemExit) as end:
        parser.parse_args([f"{option}={value}"])
    assert end.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_numeric_options_are_found() -> None:
    found = {option for _, option in NUMERIC}
    assert {"--threads", "--images", "--seed", "--seeds", "--steps", "--size", "--mean"} <= found
    assert {"--epsilon", "--processes", "--workers", "--std"} <= found


@pytest.mark.parametrize(("step", "option"), NUMERIC)
def test_no_number_is_nan_infinite_or_a_word(
    step: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in ("nan", "inf", "-inf", "banana", ""):
        told = refusal(step, option, value, capsys)
        assert f"argument {option}: " in told and "expected a" in told, value


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--images", ("0", "-3", "1.5")),
        ("--threads", ("0", "-1")),
        ("--steps", ("0",)),
        ("--seed", ("-1", "1000000000")),
        ("--epsilon", ("0", "-8/255", "8/0", "1e-400", "8/255/2", "½", "８/255", "8 255", "1_0")),
    ],
)
def test_numbers_that_cannot_be_meant(
    option: str, values: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for value in values:
        told = refusal("compare_checkpoints", option, value, capsys)
        assert f"argument {option}: " in told, value
        assert value in told


def test_numbers_that_can_be_meant() -> None:
    assert radius("8/255") == radius(" 8 / 255 ") == 8 / 255
    assert radius("0.5") == radius(".5") == radius("5e-1") == 0.5
    assert whole_number(0)("0") == 0
    assert finite("-1.5") == -1.5


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder of results with more files than a pipe holds."""
    (tmp_path / "tables").mkdir()
    (tmp_path / "report.html").touch()
    for k in range(1000):
        (tmp_path / "tables" / f"{k:0100d}.csv").touch()
    return tmp_path


def started(*words: str | Path, stdout: int, stderr: int = subprocess.PIPE) -> subprocess.Popen:
    command = [sys.executable, "-m", "workflow_scripts.show_results", *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdout=stdout, stderr=stderr, text=True)


@pytest.mark.parametrize("words", [("--help",), ()])
def test_a_reader_that_is_gone(results: Path, words: tuple[str, ...]) -> None:
    """`| head`: no traceback, and the exit code of SIGPIPE."""
    reader, writer = os.pipe()
    os.close(reader)
    process = started(*(words or (results,)), stdout=writer)
    os.close(writer)
    _, told = process.communicate()
    assert (process.returncode, told) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("words", [("--help",), ()])
def test_an_output_that_is_full(results: Path, words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        process = started(*(words or (results,)), stdout=full.fileno())
        _, told = process.communicate()
    assert process.returncode == 1
    assert told == "error: the output cannot be written: No space left on device.\n"


def test_a_closed_output(results: Path) -> None:
    command = f"{sys.executable} -m workflow_scripts.show_results {results} >&-"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
