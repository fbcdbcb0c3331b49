"""The figures of granularity: what they show, and what they say where a part is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support import parts
from support.granularity_data import RECIPE, STUDY, make_tables

# step: tables it reads, texts that the figure has to show
FIGURES: dict[str, tuple[list[str], list[str]]] = {
    "resolutions": (
        ["table", "measures"],
        [
            "CIFAR-10, unseen classes",
            "MNIST",
            "32 pixels",
            "Published, read off",
            "SUN397",
            "0.125",
        ],
    ),
    "best_epsilon": (
        ["table", "best", "measures"],
        ["vertex of a parabola (primary)", "softmax-weighted mean", "Fashion-MNIST", "28", "0.5"],
    ),
    "granularity_measures": (
        ["table", "best", "measures", "prediction"],
        ["primary; ρ: ", "within datasets: ", "spectral slope", "11 targets of 3 datasets"],
    ),
    "measure_ranking": (
        ["prediction"],
        ["primary measure", "given resolution", "a dataset left out", "intraclass correlation"],
    ),
}
STEPS = sorted(FIGURES)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    make_tables(folder)
    return folder


def draw(step: str, folder: Path, output: Path, **settings: object) -> str:
    """All that the figure says; it must not hold coordinates that are no numbers."""
    tables = {name: str(folder / f"{name}.csv") for name in FIGURES[step][0]}
    said = parts.draw(STUDY, step, tables, output, {**RECIPE, **settings})
    drawn = re.findall(r'(?:d|points|x|y|transform)="([^"]*)"', output.read_text())
    assert not [value for value in drawn if "nan" in value.lower()]
    return said


@pytest.mark.parametrize("step", STEPS)
def test_figure(step: str, tables: Path, tmp_path: Path) -> None:
    said = draw(step, tables, tmp_path / "first.svg")
    for text in FIGURES[step][1]:
        assert text in said
    draw(step, tables, tmp_path / "second.svg")
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()


@pytest.mark.parametrize("step", STEPS)
def test_one_seed_is_drawn_without_bars(step: str, tmp_path: Path) -> None:
    make_tables(tmp_path, seeds=1)
    said = draw(step, tmp_path, tmp_path / "figure.svg")
    assert "Figure" not in said  # it says something of the study, not of its own making


@pytest.mark.parametrize("step", ["resolutions", "best_epsilon"])
def test_a_study_without_resolutions_is_drawn(step: str, tables: Path, tmp_path: Path) -> None:
    said = draw(step, tables, tmp_path / "figure.svg", series={})
    if step == "best_epsilon":
        assert "no target at" in said
    else:
        assert "animals vehicles" in said
