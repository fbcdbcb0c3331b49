"""Which part of the code may import which: an edit re-runs little because the layers are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.imports import PACKAGE, below, imported, modules, ours
from support.workflow import ROOT
from workflow_scripts.advtransfer.closure import step_code
from workflow_scripts.config.load import load
from workflow_scripts.studies import folders

STUDIES = Path(PACKAGE, "studies")
SHARED = ("kinds", "tables", "__pycache__")  # folders there that are no study
NAMES = sorted(p.name for p in (ROOT / STUDIES).iterdir() if p.is_dir() and p.name not in SHARED)
KINDS = sorted(p.parent.name for p in (ROOT / STUDIES / "kinds").glob("*/design.py"))
GENERIC = {  # steps that all studies share, and the parts of a study that each loads
    "collect_tables": ("design", "tables"),
    "analyse_tables": ("analysis",),
    "draw_figure": (),
    "write_page": ("page",),
}
# Each may import those before it; metrics and detection do not know each other.
STAGES = ("data", "models", "attacks", "training", "transfer", "metrics", "detection")


def names(pattern: str) -> list[str]:
    """Modules of what studies share."""
    return [f"studies.{file.stem}" for file in (ROOT / STUDIES).glob(pattern)]


def test_imports_are_resolved(tmp_path: Path) -> None:
    """Else nothing below would be found."""
    folder = tmp_path / PACKAGE / "studies" / "one" / "figures"
    folder.mkdir(parents=True)
    file = folder / "bars.py"
    file.write_text(
        "import json, workflow_scripts.resume\n"
        "from . import lines\n"
        "from .. import page as shown\n"
        "from ..page import context\n"
        "from ....advtransfer.data import views, folders\n"
        "from workflow_scripts.studies import two\n"
        "def late():\n    from ...plan import make_plan\n"
    )
    assert imported(file.relative_to(tmp_path), tmp_path) == {
        "json",
        f"{PACKAGE}.resume",
        f"{PACKAGE}.studies.one.figures.lines",
        f"{PACKAGE}.studies.one.page",
        f"{PACKAGE}.studies.one.page.context",
        f"{PACKAGE}.advtransfer.data.views",
        f"{PACKAGE}.advtransfer.data.folders",
        f"{PACKAGE}.studies.two",
        f"{PACKAGE}.studies.plan.make_plan",
    }


# The library -------------------------------------------------------------------------------------


def test_the_library_imports_nothing_but_itself() -> None:
    files = modules("advtransfer")
    assert len(files) > 100
    outside = {
        str(file): wrong
        for file in files
        if (wrong := {name for name in ours(file) if not below(name, "advtransfer")})
    }
    assert outside == {}


def test_the_library_knows_no_study() -> None:
    """Names of one word (granularity, detection, pretrained) are words of the stages too."""
    compound = [name for name in (*NAMES, *KINDS) if "_" in name]
    assert len(compound) > 4
    known = [*compound, *(f"studies{mark}{name}" for name in NAMES for mark in "./")]
    for file in modules("advtransfer"):
        text = (ROOT / file).read_text()
        assert [name for name in known if name in text] == [], file


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_imports_a_later_one(stage: str) -> None:
    later = {*STAGES[STAGES.index(stage) + 1 :], "detection"} - {stage}
    if stage == "detection":
        later = {"metrics"}
    files = modules(f"advtransfer/{stage}")
    assert files
    for file in files:
        packages = [f"advtransfer.{name}" for name in later]
        assert [name for name in imported(file) if below(name, *packages)] == [], file


# Studies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("study", NAMES)
def test_no_study_imports_another(study: str) -> None:
    may = ("advtransfer", "config", f"studies.{study}", "studies.kinds", *names("*.py"))
    for file in modules(f"studies/{study}"):
        assert [name for name in ours(file) if not below(name, *may)] == [], file


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_imports_no_study_and_no_other_kind(kind: str) -> None:
    may = ("advtransfer", "config", f"studies.kinds.{kind}", *names("*.py"))
    files = modules(f"studies/kinds/{kind}")
    assert files
    for file in files:
        assert [name for name in ours(file) if not below(name, *may)] == [], file


def test_what_studies_share_imports_none_of_them() -> None:
    may = ("advtransfer", "config", *names("*.py"))
    for file in sorted((ROOT / STUDIES).glob("*.py")):
        wrong = [name for name in ours(file.relative_to(ROOT)) if not below(name, *may)]
        assert wrong == [], file


@pytest.mark.parametrize("step", GENERIC)
def test_generic_steps_import_no_study(step: str) -> None:
    found = {name for name in imported(Path(PACKAGE, f"{step}.py")) if below(name, "studies")}
    assert found == {f"{PACKAGE}.studies.folders"}
    held = {Path(file) for file in step_code(step)}
    assert {file for file in held if file.is_relative_to(STUDIES)} == {STUDIES / "folders.py"}


def test_other_steps_know_no_study_and_no_configuration() -> None:
    """A stage is told its recipe; the index alone goes by the whole configuration."""
    steps = [file.stem for file in (ROOT / PACKAGE).glob("*.py") if file.stem != "__init__"]
    others = {*steps} - {*GENERIC, "record_run"}
    assert len(others) > 15
    for step in sorted(others):
        held = [Path(file) for file in step_code(step)]
        config = Path(PACKAGE, "config")
        wrong = [f for f in held if f.is_relative_to(STUDIES) or f.is_relative_to(config)]
        assert wrong == [], step


def parts() -> list[tuple[str, str, Path]]:
    """Every study, with a generic step and a part that it loads."""
    found = []
    for study, section in load()["studies"].items():
        kind = section.get("kind", study)
        drawn = [f"figures/{figure}" for figure in folders.figures(study, kind)]
        for step, loaded in GENERIC.items():
            for part in (*loaded, *(drawn if step == "draw_figure" else ())):
                file = folders.find(study, kind, f"{part}.py")
                assert file or step != "collect_tables", study
                if file:
                    found.append((study, step, file))
    return found


@pytest.mark.parametrize(("study", "step", "part"), parts(), ids=str)
def test_no_part_knows_the_plan_or_another_study(study: str, step: str, part: Path) -> None:
    """A new study, or an edit of the plan, re-runs nothing that was there."""
    held = {Path(code) for code in step_code(step, [part])}
    assert STUDIES / "plan.py" not in held
    own = folders.folders(study, load()["studies"][study].get("kind", study))
    below_studies = {
        code
        for code in held
        if code.is_relative_to(STUDIES) and code.parent not in (STUDIES, STUDIES / "kinds")
    }
    assert {c for c in below_studies if not any(c.is_relative_to(place) for place in own)} == set()
