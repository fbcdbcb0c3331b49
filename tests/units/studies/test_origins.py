"""`LIBRARY`: what computes the numbers of a table, as pages and READMEs print it, is what runs."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from support.readmes import kind_of
from workflow_scripts.advtransfer.closure import import_closure, step_code
from workflow_scripts.studies import folders

PACKAGE = "workflow_scripts"
STEPS = {  # folder of the artefacts that a module reads: the step that makes them
    "detectors": "train_detector",
    "evaluations": "evaluate_source",
    "granularity": "measure_granularity",
    "metrics": "compute_metrics",
    "similarity": "measure_similarity",
    "sources": "train_source",
    "subsets": "transfer_subsets",
    "transfers": "transfer_source",
}
TABLES = [
    (study, part, table)
    for study in folders.with_settings()
    for part in ("tables", "analysis")
    for table in folders.declared(study, kind_of(study), part, "TABLES") or ()
]


def module_of(study: str, part: str) -> Path:
    """The file of the module that makes a study's tables."""
    module = folders.find(study, kind_of(study), f"{part}.py")
    assert module is not None
    return module


def code_behind(module: Path) -> set[str]:
    """What the module imports, and what the steps import that make the artefacts it reads."""
    files = set(import_closure([module]))
    text = {
        word
        for file in files
        for node in ast.walk(ast.parse((folders.HERE / file).read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for word in node.value.split("/")
    }
    for step in (STEPS[folder] for folder in STEPS if folder in text):
        files |= set(step_code(step))
    return files


@pytest.mark.parametrize(("study", "part", "table"), TABLES)
def test_a_table_says_what_computes_it(study: str, part: str, table: str) -> None:
    module = module_of(study, part)
    functions = folders.library_of(study, kind_of(study), part)[table]
    assert functions
    code = code_behind(module)
    for function in functions:
        place, _, name = function.rpartition(".")
        assert callable(getattr(importlib.import_module(f"{PACKAGE}.{place}"), name))
        assert str(Path(PACKAGE, *place.split(".")).with_suffix(".py")) in code


@pytest.mark.parametrize("study", folders.with_settings())
@pytest.mark.parametrize("part", ["tables", "analysis"])
def test_what_is_said_is_said_of_a_table(study: str, part: str) -> None:
    said = folders.declared(study, kind_of(study), part, "LIBRARY")
    assert set(said or ()) <= set(folders.declared(study, kind_of(study), part, "TABLES") or ())
