"""Where the parts of a study are looked up, and what every part has to declare."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.config import DEFAULTS, ROOT
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.studies import folders
from workflow_scripts.studies.plan import Plan, make_plan

STUDIES = ROOT / folders.STUDIES
SHARED = ("kinds", "tables", "__pycache__")  # folders there that are no study
NAMES = sorted(p.name for p in STUDIES.iterdir() if p.is_dir() and p.name not in SHARED)
CONFIGURED = {name: part.get("kind", name) for name, part in DEFAULTS["studies"].items()}
FIGURES = sorted(STUDIES.glob("**/figures/[!_]*.py"))
FIGURE = 'TABLES = ("table",)\nSETTINGS = ("baseline",)\nLABEL = "{0}"\nALT = "of {0}"\n'


def name_of(file: Path) -> str:
    return str(file.relative_to(STUDIES))


# Small trees -------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of studies of another repository: `mine` extends `middle`, and that `pairs`."""
    monkeypatch.setattr(folders, "HERE", tmp_path)
    kept = (folders.folders, folders.constants, folders.figures)
    for function in kept:
        function.cache_clear()
    here = tmp_path / folders.STUDIES
    for place, name in (
        ("mine", "bars"),
        ("middle", "bars"),
        ("middle", "lines"),
        ("kinds/pairs", "lines"),
        ("kinds/pairs", "points"),
    ):
        file = here / place / "figures" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(FIGURE.format(place))
    (here / "mine/design.py").write_text('BASE = "middle"\n')
    (here / "middle/design.py").write_text('BASE = "pairs"\n')
    (here / "kinds/pairs/design.py").write_text("")
    for place in ("middle", "kinds/pairs"):
        (here / place / "page.py").write_text("")
    (here / "kinds/pairs/tables.py").write_text('TABLES = {"table": "", "sources": "all"}\n')
    yield here
    for function in kept:
        function.cache_clear()


def found(study: str, kind: str, name: str) -> str:
    """Where a part is found, below the folder of studies."""
    file = folders.find(study, kind, name)
    return str(file.relative_to(folders.STUDIES)) if file else ""


def test_its_own_folder_comes_before_that_of_its_kind(tree: Path) -> None:
    assert folders.folders("mine", "mine") == tuple(
        folders.STUDIES / place for place in ("mine", "middle", "kinds/pairs")
    )
    assert found("mine", "mine", "figures/bars.py") == "mine/figures/bars.py"
    assert found("mine", "mine", "page.py") == "middle/page.py"
    assert found("mine", "mine", "tables.py") == "kinds/pairs/tables.py"
    assert found("mine", "mine", "analysis.py") == ""
    # A study that is one entry in the configuration, without and with a folder.
    assert folders.folders("entry", "middle") == folders.folders("mine", "mine")[1:]
    assert folders.folders("mine", "pairs") == tuple(
        folders.STUDIES / place for place in ("mine", "kinds/pairs")
    )
    (tree / "page_only").mkdir()
    (tree / "page_only/page.py").write_text("")
    assert found("page_only", "middle", "page.py") == "page_only/page.py"
    assert found("page_only", "middle", "figures/bars.py") == "middle/figures/bars.py"


def test_figures_are_those_of_all_its_folders(tree: Path) -> None:
    figures = folders.figures("mine", "mine")
    assert {name: figure.label for name, figure in figures.items()} == {
        "bars": "mine",
        "lines": "middle",
        "points": "kinds/pairs",
    }
    bars = figures["bars"]
    assert bars == folders.Figure(
        *("bars", folders.STUDIES / "mine/figures/bars.py", ("table",), ("baseline",)),
        *("mine", "of mine", "svg"),
    )
    assert set(folders.figures("entry", "pairs")) == {"lines", "points"}


def test_a_figure_says_its_format(tree: Path) -> None:
    file = tree / "mine/figures/pictures.py"
    file.write_text(FIGURE.format("mine") + 'FORMAT = "png"\n')
    assert folders.figures("mine", "mine")["pictures"].suffix == "png"


def test_names_of_tables(tree: Path) -> None:
    assert folders.collected_tables("mine", "mine") == {"table": "", "sources": "all"}
    assert folders.analysed_tables("mine", "mine") == {}  # it has no analysis
    assert folders.table_file("mine", "table") == "mine.csv"
    assert folders.table_file("mine", "sources") == "mine_sources.csv"


def test_captions_and_pages(tree: Path) -> None:
    for place in ("tables", "kinds/pairs/tables"):
        (tree / place).mkdir()
        (tree / place / "sources.rst").write_text("caption")
    assert folders.caption("mine", "mine", "tables/sources") == (
        folders.STUDIES / "kinds/pairs/tables/sources.rst"
    )
    (tree / "kinds/pairs/tables/sources.rst").unlink()
    assert folders.caption("mine", "mine", "tables/sources") == (
        folders.STUDIES / "tables/sources.rst"
    )
    assert folders.caption("mine", "mine", "tables/table") is None
    # Without a template there is no page.
    assert not folders.has_page("mine", "mine")
    (tree / "mine/page.html.j2").write_text("")
    assert folders.has_page("mine", "mine") and not folders.has_page("entry", "middle")


def test_constants_are_read_without_import(tree: Path) -> None:
    file = tree / "mine/page.py"
    file.write_text(
        "import no_such_module\n"
        'TABLES = ("table", "sources")\n'
        "COMPUTED = tuple(TABLES)\n"
        "lower = 1\n"
        "SIZES: tuple[int, ...] = (1,)\n"
        'raise RuntimeError("it was run")\n'
    )
    said = folders.constants(folders.STUDIES / "mine/page.py")
    assert said["TABLES"] == ("table", "sources")
    assert not {"COMPUTED", "lower"} & set(said)
    assert folders.declared("mine", "mine", "page", "TABLES") == ("table", "sources")
    assert folders.declared("mine", "mine", "page", "SETTINGS") == ()  # it asks for none
    assert folders.declared("mine", "mine", "analysis", "TABLES") is None  # there is none


def test_an_unknown_kind_is_told(tree: Path) -> None:
    with pytest.raises(UserError) as told:
        folders.folders("entry", "piars")
    assert str(told.value) == (
        "studies.entry: there is no kind of study 'piars'; give it one of the kinds middle, mine, "
        "pairs (`kind: ...`)."
    )


def test_a_missing_part_is_told(tree: Path) -> None:
    with pytest.raises(UserError, match=r"^study 'mine' has no figures/cost\.py in ") as told:
        folders.load("mine", "mine", "figures.cost")
    for place in ("mine", "middle", "kinds/pairs"):
        assert str(folders.STUDIES / place) in str(told.value)


# The studies that are there ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(copy.deepcopy(DEFAULTS))


def declared(study: str, part: str, constant: str) -> Any:
    return folders.declared(study, CONFIGURED[study], part, constant) or ()


def known_tables(study: str) -> set[str]:
    kind = CONFIGURED[study]
    return {*folders.collected_tables(study, kind), *folders.analysed_tables(study, kind)}


@pytest.mark.parametrize("name", NAMES)
def test_every_study_has_its_settings(name: str) -> None:
    assert (STUDIES / name / "config.yaml").is_file()
    assert name in folders.with_settings() and name in CONFIGURED


@pytest.mark.parametrize("file", FIGURES, ids=name_of)
def test_every_figure_declares_what_the_rules_ask_for(file: Path) -> None:
    said = folders.constants(file.relative_to(ROOT))
    assert isinstance(said["TABLES"], tuple) and isinstance(said["SETTINGS"], tuple)
    assert said["TABLES"] or said["FILES"]
    for text in (said["LABEL"], said["ALT"]):
        assert isinstance(text, str) and text.strip() == text != ""
    assert said.get("FORMAT", "svg") in ("svg", "png")
    assert file.with_suffix(".rst").read_text().strip(), "it has no caption"


def test_every_caption_is_of_a_figure() -> None:
    for file in STUDIES.glob("**/figures/*.rst"):
        assert file.with_suffix(".py") in FIGURES, file


@pytest.mark.parametrize("study", CONFIGURED)
def test_tables_that_parts_read_are_made(study: str) -> None:
    collected = set(folders.collected_tables(study, CONFIGURED[study]))
    assert "table" in collected
    assert set(declared(study, "analysis", "READS")) <= collected
    assert not collected & set(folders.analysed_tables(study, CONFIGURED[study]))
    for figure in folders.figures(study, CONFIGURED[study]).values():
        assert set(figure.tables) <= known_tables(study), figure.name
    assert set(declared(study, "page", "TABLES")) <= known_tables(study)


@pytest.mark.parametrize("study", CONFIGURED)
def test_settings_that_parts_ask_for_are_there(study: str, plan: Plan) -> None:
    known = set(plan.studies[study].settings(plan.config))
    for part in ("analysis", "page"):
        assert set(declared(study, part, "SETTINGS")) <= known, part
    for figure in folders.figures(study, CONFIGURED[study]).values():
        assert set(figure.settings) <= known, figure.name


@pytest.mark.parametrize("study", CONFIGURED)
def test_what_the_report_shows_has_a_caption(study: str) -> None:
    kind = CONFIGURED[study]
    labels = {**folders.collected_tables(study, kind), **folders.analysed_tables(study, kind)}
    shown = [f"tables/{table}" for table, label in labels.items() if label]
    shown += [f"figures/{figure}" for figure in folders.figures(study, kind)]
    shown += ["page"] if folders.has_page(study, kind) else []
    for name in shown:
        assert folders.caption(study, kind, name), name


@pytest.mark.parametrize("study", CONFIGURED)
def test_parts_can_be_loaded(study: str) -> None:
    kind = CONFIGURED[study]
    assert folders.load(study, kind, "design").Reader
    assert folders.load(study, kind, "tables").collect
    if folders.find(study, kind, "analysis.py"):
        assert folders.load(study, kind, "analysis").analyse
    if folders.has_page(study, kind):
        assert folders.load(study, kind, "page").context
    for figure in folders.figures(study, kind):
        assert folders.load(study, kind, f"figures.{figure}").draw


def test_all_studies_but_one_have_a_page() -> None:
    assert {name for name, kind in CONFIGURED.items() if folders.has_page(name, kind)} == (
        set(CONFIGURED) - {"pretrained"}
    )


def test_kinds_are_listed() -> None:
    own = [name for name in NAMES if (ROOT / folders.STUDIES / name / "design.py").is_file()]
    assert {"granularity", "detection"} < set(own)
    assert folders.kinds() == sorted([*own, "pairs", "whole_targets"])


def test_a_figure_that_says_too_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / folders.STUDIES / "mine/figures/one.py"
    module.parent.mkdir(parents=True)
    module.write_text('LABEL = "one"\nTABLES = ("table",)\nSETTINGS = tuple("ab")\n')
    (module.parents[1] / "design.py").touch()
    monkeypatch.setattr(folders, "HERE", tmp_path)
    for cached in (folders.folders, folders.constants, folders.figures):
        cached.cache_clear()
    try:
        with pytest.raises(UserError, match=r"figures/one\.py lacks ALT and SETTINGS, literals"):
            folders.figures("mine", "mine")
    finally:
        for cached in (folders.folders, folders.constants, folders.figures):
            cached.cache_clear()
