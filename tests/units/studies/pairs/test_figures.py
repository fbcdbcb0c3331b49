"""Every figure and page from small tables: made, readable, byte-stable, and clear when it fails."""

from __future__ import annotations

import csv
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.figure_tables import FIRST, RECIPES, SECOND, Row, make_tables, write
from support.steps import run_step, texts
from support.workflow import ROOT
from workflow_scripts.advtransfer import plotting, study_page
from workflow_scripts.advtransfer.errors import UserError

# step, study, texts that the figure has to show
FIGURES = [
    (
        "plot_transfer_scatter",
        FIRST,
        ["α₁", "α₂", "α₁∘α₂ (squared form)", "source → reference", "reference → source", "n = 7"],
    ),
    ("plot_mixture_bars", SECOND, ["Target animals: bird, cat, deer, dog", "100 %", "(4)"]),
    ("plot_mixture_scatter", SECOND, ["target vehicles", "75 % animals", "n = 5"]),
    ("plot_per_image", FIRST, ["ResNet-50", "n = 249"]),
    ("plot_correlations_over_epsilon", FIRST, ["PGD ℓ₂", "FGSM ℓ∞", "8/255", "primary test"]),
    ("plot_correlations_over_epsilon", SECOND, ["0.25", "primary test"]),
    ("plot_published", FIRST, ["r = 0.93, n = 5", "Fully connected", "Ours: target STL-10"]),
    ("plot_sources", FIRST, ["robust ℓ₂ training", "clean", "PGD ℓ∞, ε = 4/255"]),
    ("plot_sources", SECOND, ["50 % animals"]),
    ("plot_transfer_curves", FIRST, ["epoch", "MobileNet"]),
    ("plot_transfer_curves", SECOND, ["Target animals: bird, cat, deer, dog"]),
]
TABLES = {
    "--table": "{study}.csv",
    "--correlations": "correlations.csv",
    "--curves": "{study}_curves.csv",
    "--per-image": "{study}_per_image.csv",
    "--sources": "{study}_sources.csv",
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    make_tables(folder)
    return folder


def arguments(step: str, study: str, tables: Path, output: Path, **recipe: object) -> list[str]:
    """The command line of a step: every table that it has an option for."""
    parser = importlib.import_module(f"workflow_scripts.{step}").parser()
    options = {option for action in parser._actions for option in action.option_strings}
    line = ["--recipe", json.dumps({**RECIPES[study], **recipe}), "--output", str(output)]
    for option, name in TABLES.items():
        if option in options:
            line += [option, str(tables / name.format(study=study))]
    return line


@pytest.mark.parametrize(("step", "study", "expected"), FIGURES)
def test_figure(step: str, study: str, expected: list[str], tables: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.svg", tmp_path / "second.svg"
    run_step(step, arguments(step, study, tables, first))
    run_step(step, arguments(step, study, tables, second))
    said = texts(first)
    for text in expected:
        assert text in said
    assert first.read_bytes() == second.read_bytes()
    assert b"<dc:date>" not in first.read_bytes()


@pytest.mark.parametrize("step", ["plot_transfer_scatter", "plot_transfer_curves"])
def test_robust_sources_are_in_the_legend(step: str, tables: Path, tmp_path: Path) -> None:
    run_step(step, arguments(step, FIRST, tables, tmp_path / "figure.svg"))
    said = texts(tmp_path / "figure.svg")
    assert "ResNet-18, robust ℓ∞" in said
    assert "ResNet-18, robust ℓ₂" in said


def test_another_process_writes_the_same_bytes(tables: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here.svg", tmp_path / "there.svg"
    run_step("plot_sources", arguments("plot_sources", FIRST, tables, here))
    line = arguments("plot_sources", FIRST, tables, there)
    command = [sys.executable, "-m", "workflow_scripts.plot_sources", *line]
    subprocess.run(command, cwd=ROOT, check=True)
    assert here.read_bytes() == there.read_bytes()


def test_png_and_other_endings(tables: Path, tmp_path: Path) -> None:
    run_step("plot_sources", arguments("plot_sources", FIRST, tables, tmp_path / "figure.png"))
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    line = arguments("plot_sources", FIRST, tables, tmp_path / "figure.gif")
    with pytest.raises(UserError, match=r"figure\.gif.*\.svg or \.png"):
        run_step("plot_sources", line)


STEPS = sorted({step for step, _, _ in FIGURES} | {"write_study_page"})


def step_with_copies(step: str, tables: Path, folder: Path) -> tuple[list[str], Path]:
    """A step's command line, its first table a copy in ``folder`` that a test may spoil."""
    study = next((study for name, study, _ in FIGURES if name == step), FIRST)
    line = arguments(step, study, tables, folder / "output.svg")
    if step == "write_study_page":
        line += ["--template", str(ROOT / f"rules/report/{study}.html.j2")]
    place = next(line.index(option) + 1 for option in TABLES if option in line)
    copy = folder / "spoilt.csv"
    copy.write_bytes(Path(line[place]).read_bytes())
    line[place] = str(copy)
    return line, copy


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("empty", [True, False], ids=["empty", "header only"])
def test_empty_table(step: str, empty: bool, tables: Path, tmp_path: Path) -> None:
    line, copy = step_with_copies(step, tables, tmp_path)
    copy.write_text("" if empty else copy.read_text().partition("\n")[0] + "\n")
    with pytest.raises(UserError, match=r"spoilt\.csv.*column 'study'"):
        run_step(step, line)
    assert not (tmp_path / "output.svg").exists()


@pytest.mark.parametrize("step", STEPS)
def test_missing_column(step: str, tables: Path, tmp_path: Path) -> None:
    line, copy = step_with_copies(step, tables, tmp_path)
    copy.write_text(copy.read_text().replace("epsilon", "eps", 1).replace("image,", "picture,", 1))
    if step == "plot_transfer_curves":
        copy.write_text(copy.read_text().replace("epoch", "round", 1))
    with pytest.raises(UserError, match=r"spoilt\.csv: no column '(epsilon|image|epoch)'"):
        run_step(step, line)


def test_condition_that_nothing_meets(tables: Path, tmp_path: Path) -> None:
    step = "plot_transfer_scatter"
    line = arguments(step, FIRST, tables, tmp_path / "figure.svg", epsilon=0.5)
    with pytest.raises(UserError, match=rf"{FIRST}\.csv: .*epsilon = 0\.5; column 'epsilon' has"):
        run_step(step, line)


def test_metrics_without_values(tables: Path, tmp_path: Path) -> None:
    step = "plot_transfer_scatter"
    line, copy = step_with_copies(step, tables, tmp_path)
    with open(copy, newline="") as handle:
        rows: list[Row] = list(csv.DictReader(handle))
    write(copy, [{**row, "value": ""} for row in rows])
    with pytest.raises(UserError, match=r"spoilt\.csv: column 'value'"):
        run_step(step, line)


def make_page(study: str, tables: Path, output: Path, *figures: str) -> str:
    line = arguments("write_study_page", study, tables, output, facts={"images": 20000})
    line += ["--template", str(ROOT / f"rules/report/{study}.html.j2"), "--figures", *figures]
    run_step("write_study_page", line)
    return output.read_text()


@pytest.mark.parametrize("study", [FIRST, SECOND])
def test_page(study: str, tables: Path, tmp_path: Path) -> None:
    run_step("plot_sources", arguments("plot_sources", study, tables, tmp_path / "figure.svg"))
    figure = f"sources={tmp_path / 'figure.svg'}"
    page = make_page(study, tables, tmp_path / "page.html", figure)
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
    again = make_page(study, tables, tmp_path / "again.html", figure)
    assert page == again


def test_page_of_mixtures_has_overlap_and_floor(tables: Path, tmp_path: Path) -> None:
    page = make_page(SECOND, tables, tmp_path / "page.html")
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
    page = make_page(FIRST, tmp_path, tmp_path / "page.html")
    assert sentence in page
    assert f"{value:.2f}".replace("-", "−") in page
    others = {"The claim is supported:", "opposite sign.", "Inconclusive:"}
    assert sum(other in page for other in others) == 1


def test_verdict_without_interval() -> None:
    nan = float("nan")
    assert study_page.verdict(0.9, nan, nan)["reason"].startswith("there are too few")
    assert study_page.verdict(nan, nan, nan)["headline"] == "Not measurable:"


def test_page_refuses_unknown_figure(tables: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no figure 'sauces'"):
        make_page(FIRST, tables, tmp_path / "page.html", "sauces=x.svg")


def test_missing_intervals_are_named() -> None:
    nan = float("nan")
    assert plotting.interval({"value": -0.414, "ci_low": -0.8, "ci_high": 0.001}) == (
        "−0.41 [−0.80, 0.00]"
    )
    assert plotting.interval({"value": 0.5, "ci_low": nan, "ci_high": nan}) == "0.50 (no interval)"
    assert plotting.interval({"value": nan, "ci_low": nan, "ci_high": nan}) == "undefined"


@pytest.mark.parametrize(
    ("epsilon", "norm", "label"),
    [(0.06274509804, "linf", "16/255"), (0.1, "linf", "0.1"), (1.0, "l2", "1")],
)
def test_epsilon_labels(epsilon: float, norm: str, label: str) -> None:
    assert plotting.epsilon_label(epsilon, norm) == label
