"""A key that stands twice in a file of the configuration, of which YAML keeps the second alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.config import OVERLAYS, ROOT
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.config.load import check_files, load, study_files


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("label: a\nlabel: b\n", ["label, lines 1 and 2"]),
        ("a:\n  b:\n    c: 1\n  d: 2\n  b: {}\n", ["a.b, lines 2 and 5"]),
        ("a:\n- x: 1\n- y: 1\n  z: 2\n  y: 3\n", ["a[1].y, lines 3 and 5"]),
        ("{a: 1, b: 2, a: 1}\n", ["a, lines 1 and 1"]),
        ('{"a": 1,\n"a": 1}\n', ["a, lines 1 and 2"]),
        ("'a': 1\na: 2\n", ["a, lines 1 and 2"]),
        ("a: 1\na: 2\nb: 1\na: 3\nb: 2\n", ["a, lines 1 and 2", "a, lines 1 and 4", "b, lines"]),
        ("\ufefflabel: a\nlabel: b\n", ["label, lines 1 and 2"]),
    ],
    ids=str,
)
def test_a_key_twice(text: str, parts: list[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as told:
        check_files([file])
    for part in parts:
        assert f"{file}: {part}" in str(told.value) or part in str(told.value)


@pytest.mark.parametrize(
    "text",
    [
        "a: {x: 1}\nb: {x: 1}\n",
        "base: &base {x: 1, y: 2}\na: {<<: *base, x: 3}\nb: {x: 4, <<: *base}\n",  # x is meant
        "1: a\n'1': b\n",  # two keys to YAML; that the first is no text, the schema tells
        "a: [\n",  # no YAML, which Snakemake tells
        "",
    ],
)
def test_what_is_no_repetition(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    check_files([tmp_path / "mine.yaml"])


def test_shipped_files_repeat_nothing() -> None:
    check_files([*study_files(), ROOT / "config.yaml", *OVERLAYS])


def test_loading_in_python_refuses_it_too(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("label: a\nlabel: b\n")
    with pytest.raises(UserError, match=r"mine\.yaml: label, lines 1 and 2"):
        load(tmp_path / "mine.yaml")
