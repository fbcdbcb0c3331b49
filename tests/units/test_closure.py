"""Import closures are narrow: a step has in its own only what decides what it makes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from workflow_scripts.advtransfer.closure import _imports, step_code

LIBRARY = Path("workflow_scripts/advtransfer")
STEPS = sorted(
    file.stem
    for file in (Path(__file__).parents[2] / "workflow_scripts").glob("*.py")
    if file.stem != "__init__"
)


def held(step: str) -> set[str]:
    """The library's files in the closure of a step."""
    return {
        str(Path(file).relative_to(LIBRARY))
        for file in step_code(step)
        if Path(file).is_relative_to(LIBRARY)
    }


@pytest.mark.parametrize("step", ["train_source", "evaluate_source", "attack_source", "respond"])
def test_networks_are_made_without_transfer(step):
    assert not [file for file in held(step) if file.startswith(("transfer/", "detection/"))]


@pytest.mark.parametrize(
    ("file", "steps"),
    [
        ("training/imported_recipe.py", {"train_source", "transfer_source", "attack_source"}),
        ("transfer/recipe.py", {"train_source", "attack_source", "respond", "compute_metrics"}),
        ("artifacts/table_writer.py", {"train_source", "transfer_source", "compute_metrics"}),
        ("artifacts/table_reader.py", {"train_source", "transfer_source", "train_detector"}),
        ("training/fit.py", {"extract_features", "measure_similarity", "measure_granularity"}),
        ("closure.py", set(STEPS)),
    ],
)
def test_steps_do_without(file, steps):
    assert steps <= set(STEPS) and (LIBRARY / file).is_file()
    assert [step for step in steps if file in held(step)] == []


@pytest.mark.parametrize(
    ("step", "modules"),
    [
        ("analyse_tables", "analysis.py"),
        ("draw_figure", "figures/[!_]*.py"),
        ("write_page", "page.py"),
    ],
)
def test_what_reads_tables_does_without_designs(step, modules):
    studies = Path("workflow_scripts/studies")
    designs = {str(studies / f"{name}.py") for name in ("plan", "base", "reader", "sources")}
    found = sorted(studies.glob(f"**/{modules}"))
    assert len(found) >= 6
    for module in found:
        code = step_code(step, [module])
        assert not designs & set(code), module
        assert not [file for file in code if file.endswith("/design.py")], module


def imported(file: Path) -> set[Path]:
    """The files of ours that a module imports, found by parsing it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            own = node.level or (node.module or "").startswith("workflow_scripts")
            base = file.parents[node.level - 1] if node.level else Path()
            base = base.joinpath(*filter(None, (node.module or "").split(".")))
            named = [base.with_suffix(".py"), *(base / f"{alias.name}.py" for alias in node.names)]
            found |= {path for path in named if own and path.is_file()}
    return found


def test_imports_found_in_the_text_are_those_that_parsing_finds():
    for file in Path("workflow_scripts").rglob("*.py"):
        assert set(_imports(file)) == imported(file), file
