"""Order among the tests: what they share stands in tests/support/, and no test imports another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from support.workflow import ROOT

TESTS = ROOT / "tests"
FILES = sorted(TESTS.rglob("*.py"))


def imported(file: Path) -> Iterator[str]:
    """The modules that a file imports, wherever it does so."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_no_test_is_imported() -> None:
    """An edit of one test changes no other, and every file can be moved by itself."""
    closed = {file.stem for file in FILES if file.parent != TESTS / "support"} | {"tests"}
    wrong = {
        str(file.relative_to(TESTS)): names
        for file in FILES
        if (names := {part for name in imported(file) for part in name.split(".")} & closed)
    }
    assert wrong == {}


def test_helpers_stand_in_support() -> None:
    """Beside the tests there are conftest.py and tests/support/, nothing else but what says where
    the numbers in a study's README come from."""
    printed = set((TESTS / "units/studies").glob("*/printed.py"))
    others = [
        file
        for file in FILES
        if not file.name.startswith("test_")
        and file.parent != TESTS / "support"
        and file not in printed
    ]
    assert others == [TESTS / "conftest.py"]


def test_conftest_has_fixtures_and_hooks_only() -> None:
    body = ast.parse((TESTS / "conftest.py").read_text()).body
    for node in body:
        if isinstance(node, ast.FunctionDef):
            decorated = any("fixture" in ast.unparse(one) for one in node.decorator_list)
            assert decorated or node.name.startswith("pytest_"), node.name
        else:
            assert isinstance(node, (ast.Import, ast.ImportFrom, ast.Expr)), ast.unparse(node)
