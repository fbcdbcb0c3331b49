"""Every figure and page from small tables: made, readable, byte-stable, and clear when it fails."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support import parts
from support.figure_tables import FIRST, RECIPES, SECOND, Row, make_tables, write
from support.workflow import ROOT
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.plotting.labels import epsilon_label, interval
from workflow_scripts.advtransfer.plotting.save import save
from workflow_scripts.advtransfer.report.page import embedded
from workflow_scripts.advtransfer.report.words import verdict
from workflow_scripts.studies import folders

# step, study, texts that the figure has to show
FIGURES = [
    (
        "transfer_scatter",
        FIRST,
        ["α₁", "α₂", "α₁∘α₂ (squared form)", "source → reference", "reference → source", "n = 7"],
    ),
    ("mixture_bars", SECOND, ["Target animals: bird, cat, deer, dog", "100 %", "(4)"]),
    ("mixture_scatter", SECOND, ["target vehicles", "75 % animals", "n = 5"]),
    ("per_image", FIRST, ["ResNet-50", "n = 249"]),
    ("correlations_over_epsilon", FIRST, ["PGD ℓ₂", "FGSM ℓ∞", "8/255", "primary test"]),
    ("correlations_over_epsilon", SECOND, ["0.25", "primary test"]),
    ("published", FIRST, ["r = 0.93, n = 5", "Fully connected", "Ours: target STL-10"]),
    ("sources", FIRST, ["robust ℓ₂ training", "clean", "PGD ℓ∞, ε = 4/255"]),
    ("sources", SECOND, ["50 % animals"]),
    ("transfer_curves", FIRST, ["epoch", "MobileNet"]),
    ("transfer_curves", SECOND, ["Target animals: bird, cat, deer, dog"]),
]
PAGE = "page"  # in the place of a figure's name


def known_tables(study: str, folder: Path) -> dict[str, str]:
    """Every table of a study; correlations are those of both studies."""
    names = ("table", "curves", "per_image", "sources")
    tables = parts.paths(folder, study, names)
    return {**tables, "correlations": str(folder / "correlations.csv")}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    make_tables(folder)
    return folder


def draw(name: str, study: str, tables: Path, output: Path, **settings: object) -> str:
    """All that a figure says."""
    own = {**RECIPES[study], **settings}
    return parts.draw(study, name, known_tables(study, tables), output, own)


@pytest.mark.parametrize(("name", "study", "expected"), FIGURES)
def test_figure(name: str, study: str, expected: list[str], tables: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.svg", tmp_path / "second.svg"
    said = draw(name, study, tables, first)
    draw(name, study, tables, second)
    for text in expected:
        assert text in said
    assert first.read_bytes() == second.read_bytes()
    assert b"<dc:date>" not in first.read_bytes()


@pytest.mark.parametrize("name", ["transfer_scatter", "transfer_curves"])
def test_robust_sources_are_in_the_legend(name: str, tables: Path, tmp_path: Path) -> None:
    said = draw(name, FIRST, tables, tmp_path / "figure.svg")
    assert "ResNet-18, robust ℓ∞" in said
    assert "ResNet-18, robust ℓ₂" in said


def test_another_process_writes_the_same_bytes(tables: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here.svg", tmp_path / "there.svg"
    draw("sources", FIRST, tables, here)
    program = (
        "import sys; from pathlib import Path; from support.parts import draw; "
        "draw(sys.argv[1], 'sources', {'sources': sys.argv[2]}, Path(sys.argv[3]), {})"
    )
    table = known_tables(FIRST, tables)["sources"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    command = [sys.executable, "-c", program, FIRST, table, str(there)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    assert here.read_bytes() == there.read_bytes()


def test_png_and_other_endings(tables: Path, tmp_path: Path) -> None:
    draw("sources", FIRST, tables, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    figure = parts.figure(FIRST, "sources", known_tables(FIRST, tables), RECIPES[FIRST])
    with pytest.raises(UserError, match=r"figure\.gif.*\.svg or \.png"):
        save(figure, tmp_path / "figure.gif")


NAMES = sorted({name for name, _, _ in FIGURES} | {PAGE})


def with_copy(name: str, tables: Path, folder: Path) -> tuple[str, dict[str, str], Path]:
    """A part's study and tables, the first of them a copy in ``folder`` that a test may spoil."""
    study = next((study for figure, study, _ in FIGURES if figure == name), FIRST)
    module = folders.load(study, study, PAGE if name == PAGE else f"figures.{name}")
    known = known_tables(study, tables)
    first = module.TABLES[0]
    copy = folder / "spoilt.csv"
    copy.write_bytes(Path(known[first]).read_bytes())
    return study, {**known, first: str(copy)}, copy


def make(name: str, study: str, tables: dict[str, str]) -> Any:
    """A figure, or the page."""
    if name == PAGE:
        return parts.page(study, tables, RECIPES[study])
    return parts.figure(study, name, tables, RECIPES[study])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("empty", [True, False], ids=["empty", "header only"])
def test_empty_table(name: str, empty: bool, tables: Path, tmp_path: Path) -> None:
    study, known, copy = with_copy(name, tables, tmp_path)
    copy.write_text("" if empty else copy.read_text().partition("\n")[0] + "\n")
    with pytest.raises(UserError, match=r"spoilt\.csv.*column 'study'"):
        make(name, study, known)


@pytest.mark.parametrize("name", NAMES)
def test_missing_column(name: str, tables: Path, tmp_path: Path) -> None:
    study, known, copy = with_copy(name, tables, tmp_path)
    copy.write_text(copy.read_text().replace("epsilon", "eps", 1).replace("image,", "picture,", 1))
    if name == "transfer_curves":
        copy.write_text(copy.read_text().replace("epoch", "round", 1))
    with pytest.raises(UserError, match=r"spoilt\.csv: no column '(epsilon|image|epoch)'"):
        make(name, study, known)


def test_condition_that_nothing_meets(tables: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"{FIRST}\.csv: .*epsilon = 0\.5; column 'epsilon' has"):
        draw("transfer_scatter", FIRST, tables, tmp_path / "figure.svg", epsilon=0.5)


def test_metrics_without_values(tables: Path, tmp_path: Path) -> None:
    study, known, copy = with_copy("transfer_scatter", tables, tmp_path)
    with open(copy, newline="") as handle:
        rows: list[Row] = list(csv.DictReader(handle))
    write(copy, [{**row, "value": ""} for row in rows])
    with pytest.raises(UserError, match=r"spoilt\.csv: column 'value'"):
        make("transfer_scatter", study, known)


def make_page(study: str, tables: Path, figures: dict[str, Path] | None = None) -> str:
    known = known_tables(study, tables)
    return parts.page(study, known, RECIPES[study], {"images": 20000}, figures)


@pytest.mark.parametrize("study", [FIRST, SECOND])
def test_page(study: str, tables: Path, tmp_path: Path) -> None:
    draw("sources", study, tables, tmp_path / "figure.svg")
    figures = {"sources": tmp_path / "figure.svg"}
    page = make_page(study, tables, figures)
    with open(tables / "correlations.csv", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["study"] == study]
    (primary,) = (row for row in rows if row["role"] == "primary")
    assert f"{float(primary['value']):.2f} [{float(primary['ci_low']):.2f}, " in page
    assert "The claim is supported:" in page
    assert "<dt>images</dt><dd>20000</dd>" in page
    assert page.count("data:image/svg+xml;base64,") == 1
    assert "http:" not in page and "https:" not in page and "<script" not in page
    sources = re.findall(r'(?:src|href)="(.{5})', page)
    assert sources == ["data:"]
    assert page == make_page(study, tables, figures)


def test_page_of_mixtures_has_overlap_and_floor(tables: Path) -> None:
    page = make_page(SECOND, tables)
    assert "2/120 = 0.017" in page
    assert "100 % animals: bird, cat, deer, horse" in page
    assert "Target animals: bird, cat, deer, dog" in page


@pytest.mark.parametrize(
    ("low", "value", "high", "sentence"),
    [
        (0.1, 0.614, 0.9, "The claim is supported:"),
        (-0.9, -0.614, -0.1, "The claim is not supported: opposite sign."),
        (-0.2, 0.414, 0.8, "Inconclusive: interval includes 0."),
    ],
)
def test_verdicts(
    low: float, value: float, high: float, sentence: str, tables: Path, tmp_path: Path
) -> None:
    with open(tables / "correlations.csv", newline="") as handle:
        rows: list[Row] = list(csv.DictReader(handle))
    for row in rows:
        if row["role"] == "primary":
            row |= {"value": value, "ci_low": low, "ci_high": high}
    for path in tables.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "correlations.csv").unlink()
    write(tmp_path / "correlations.csv", rows)
    page = make_page(FIRST, tmp_path)
    assert sentence in page
    assert f"{value:.2f}".replace("-", "−") in page
    others = {"The claim is supported:", "opposite sign.", "Inconclusive:"}
    assert sum(other in page for other in others) == 1


def test_verdict_without_interval() -> None:
    nan = float("nan")
    assert verdict(0.9, nan, nan)["reason"].startswith("there are too few")
    assert verdict(nan, nan, nan)["headline"] == "Not measurable:"


def test_page_needs_its_figures_and_captions(tmp_path: Path) -> None:
    figure, caption = tmp_path / "figure.svg", tmp_path / "figure.rst"
    with pytest.raises(UserError, match=r"figure\.svg: there is no such file"):
        embedded(figure, "", caption)
    figure.write_text("<svg/>")
    with pytest.raises(UserError, match=r"figure\.rst: there is no such file"):
        embedded(figure, "", caption)


def test_missing_intervals_are_named() -> None:
    nan = float("nan")
    assert interval({"value": -0.414, "ci_low": -0.8, "ci_high": 0.001}) == ("−0.41 [−0.80, 0.00]")
    assert interval({"value": 0.5, "ci_low": nan, "ci_high": nan}) == "0.50 (no interval)"
    assert interval({"value": nan, "ci_low": nan, "ci_high": nan}) == "undefined"


@pytest.mark.parametrize(
    ("epsilon", "norm", "label"),
    [(0.06274509804, "linf", "16/255"), (0.1, "linf", "0.1"), (1.0, "l2", "1")],
)
def test_epsilon_labels(epsilon: float, norm: str, label: str) -> None:
    assert epsilon_label(epsilon, norm) == label
