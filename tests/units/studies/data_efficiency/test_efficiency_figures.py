"""The figures of data efficiency: what they show, and what they say where a part is missing."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from support import parts
from support.figure_tables import EFFICIENCY, EFFICIENCY_RECIPE, Row, make_efficiency_tables, write
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.plotting.draw import draw_differences
from workflow_scripts.advtransfer.plotting.figure import new_figure
from workflow_scripts.advtransfer.plotting.marks import (
    TRAINING_LOOKS,
    Look,
    training_look,
    training_looks,
)
from workflow_scripts.studies.data_efficiency import published as published_efficiency
from workflow_scripts.studies.data_efficiency.figures import similarity as plot_similarity
from workflow_scripts.studies.data_efficiency.plotting import block_looks, blocks_label

INCLUDED = "interval includes 0"

# step: tables it reads, texts that the figure has to show, texts where nothing was measured
FIGURES: dict[str, tuple[list[str], list[str], list[str]]] = {
    "fewer_images": (
        ["table", "differences"],
        [
            "Target near: dog, horse,",
            "6400",
            "robust ℓ₂ − natural",
            "from scratch",
            "3 blocks",
            INCLUDED,
        ],
        ["not measured", "no differences"],
    ),
    "fewer_epochs": (
        ["curves", "differences"],
        ["Target Fashion-MNIST", "1600 images", "difference, 400 images", "epoch", "head only"],
        ["no differences"],
    ),
    "unfrozen_blocks": (
        ["table", "differences"],
        ["Target MNIST", "head only", "1 block", "3 blocks", "minus head only", INCLUDED],
        ["not measured", "no differences"],
    ),
    "constraints": (
        ["differences"],
        ["ℓ₂", "ℓ∞", "natural, longer", "fast robust ℓ∞", "robust ℓ∞, half", INCLUDED],
        ["no differences"],
    ),
    "statistics": (
        ["differences"],
        ["moving − frozen statistics", "1 block", "interval excludes 0"],
        ["not measured"],
    ),
    "transferred_robustness": (
        ["robustness"],
        ["PGD ℓ₂", "ε = 2/255", "untrained", "thin: clean images", "200 attacked images"],
        ["no attacks on"],
    ),
    "similarity": (
        ["table", "similarity"],
        ["3 targets: too few for a correlation", "Fréchet distance", "3 blocks", "800 images"],
        ["no distances", "0 targets"],
    ),
    "cost": (
        ["sources", "table"],
        ["passes per image", "PGD ℓ∞, ε = 4/255", "clean", "24", "untrained", "Target MNIST"],
        ["not known", "not measured"],
    ),
    "published_efficiency": (
        ["differences"],
        ["Published", "Ours", "CIFAR-10", "Target Fashion-MNIST", "ℓ₂, ε = 3", "all", INCLUDED],
        ["no differences"],
    ),
}
STEPS = sorted(FIGURES)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    make_efficiency_tables(folder, source_seeds=2, subset_seeds=2, epochs=4)
    return folder


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of one source seed and one subset: nothing bears an interval."""
    folder = tmp_path_factory.mktemp("single")
    make_efficiency_tables(folder, source_seeds=1, subset_seeds=1, epochs=1)
    return folder


def draw(step: str, folder: Path, output: Path, **settings: object) -> str:
    """All that the figure says; it must not hold coordinates that are no numbers."""
    tables = parts.paths(folder, EFFICIENCY, FIGURES[step][0])
    said = parts.draw(EFFICIENCY, step, tables, output, {**EFFICIENCY_RECIPE, **settings})
    drawn = re.findall(r'(?:d|points|x|y|transform)="([^"]*)"', output.read_text())
    assert not [value for value in drawn if "nan" in value.lower()]
    return said


def copies(folder: Path, there: Path, change: Callable[[str, list[Row]], list[Row]]) -> Path:
    """The tables with rows as ``change`` (table, rows) leaves them; only headers if none."""
    for path in folder.iterdir():
        with open(path, newline="") as handle:
            rows: list[Row] = list(csv.DictReader(handle))
        changed = change(path.stem.removeprefix(f"{EFFICIENCY}_"), rows)
        if changed:
            write(there / path.name, changed)
        else:
            (there / path.name).write_text(",".join(rows[0]) + "\n")
    return there


@pytest.mark.parametrize("step", STEPS)
def test_figure(step: str, tables: Path, tmp_path: Path) -> None:
    said = draw(step, tables, tmp_path / "first.svg")
    for text in FIGURES[step][1]:
        assert text in said
    assert "no interval" not in said
    assert "not measured" not in said
    draw(step, tables, tmp_path / "second.svg")
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()


@pytest.mark.parametrize("step", STEPS)
def test_one_seed_has_no_interval(step: str, single: Path, tmp_path: Path) -> None:
    said = draw(step, single, tmp_path / "figure.svg")
    assert "interval excludes 0" not in said
    assert INCLUDED not in said
    with_marks = "differences" in FIGURES[step][0] and step != "fewer_epochs"
    assert ("no interval" in said) == with_marks


@pytest.mark.parametrize("step", STEPS)
def test_empty_tables(step: str, tables: Path, tmp_path: Path) -> None:
    copies(tables, tmp_path, lambda name, rows: [])
    said = draw(step, tmp_path, tmp_path / "figure.svg")
    for text in FIGURES[step][2]:
        assert text in said
    # and without anything that says which targets there are
    draw(step, tmp_path, tmp_path / "figure.svg", targets={}, trainings=[], grids={})


@pytest.mark.parametrize("step", STEPS)
def test_study_with_heads_on_one_target(step: str, single: Path, tmp_path: Path) -> None:
    def few(name: str, rows: list[Row]) -> list[Row]:
        rows = [row for row in rows if row.get("target", "mnist") == "mnist"]
        return [row for row in rows if row.get("grid", "heads") == "heads"]

    copies(single, tmp_path, few)
    recipe: Row = {"targets": {"mnist": []}, "grids": {"images": ["heads"]}, "trainings": []}
    said = draw(step, tmp_path, tmp_path / "figure.svg", **recipe)
    assert "Fashion-MNIST" not in said
    missing = {
        "fewer_epochs": "no differences",
        "unfrozen_blocks": "not measured",
        "statistics": "not measured",
        "transferred_robustness": "no attacks on",
        "similarity": "no choice measured",
    }
    assert missing.get(step, "MNIST") in said


def test_target_that_was_not_measured(tables: Path, tmp_path: Path) -> None:
    targets = {"mnist": [], "svhn": []}
    said = draw("fewer_images", tables, tmp_path / "figure.svg", targets=targets)
    assert "Target SVHN" in said
    assert said.count("not measured") == 1
    targets = {"mnist": [], "food": []}
    said = draw("published_efficiency", tables, tmp_path / "figure.svg", targets=targets)
    assert said.count("not published") == 1


@pytest.mark.parametrize("step", STEPS)
def test_another_study(step: str, tables: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="column 'study' has: data_efficiency"):
        draw(step, tables, tmp_path / "figure.svg", study="other")


def test_architectures_are_not_mixed(tables: Path, tmp_path: Path) -> None:
    def two(name: str, rows: list[Row]) -> list[Row]:
        column = "model" if "model" in rows[0] else "source_model"
        return [*rows, *({**row, column: "resnet18"} for row in rows)]

    copies(tables, tmp_path, two)
    for step in STEPS:
        said = draw(step, tmp_path, tmp_path / "figure.svg", model="resnet18")
        assert "ResNet-8" not in said
        assert "ResNet-18 sources" in said or step == "similarity"


def kept_axes(step: str, folder: Path) -> list[Any]:
    """The panels of a figure, row by row, before it is saved."""
    tables = parts.paths(folder, EFFICIENCY, FIGURES[step][0])
    axes: list[Any] = parts.figure(EFFICIENCY, step, tables, EFFICIENCY_RECIPE).axes
    return axes


def colours(panel: Any) -> set[str]:
    return {line.get_color() for line in panel.lines}


def test_a_training_looks_alike_in_all_figures(tables: Path) -> None:
    natural, robust = (TRAINING_LOOKS[name][0] for name in ("natural", "robust_l2"))
    for step in ("fewer_images", "fewer_epochs", "transferred_robustness"):
        assert {natural, robust} <= colours(kept_axes(step, tables)[0])
    assert {natural, robust} <= colours(kept_axes("statistics", tables)[0])
    panels = kept_axes("cost", tables)
    assert {natural, robust} <= colours(panels[0]) & colours(panels[3])


def test_trainings_look_different() -> None:
    trainings = ("robust_l2_3", "robust_linf_8", "natural")
    looks = training_looks(["natural", "robust_linf_8", "robust_l2_3"], trainings)
    assert list(looks) == ["robust_l2_3", "robust_linf_8", "natural"]
    assert len({(look.colour, look.marker) for look in looks.values()}) == 3
    alone = training_look("robust_linf_8", trainings)
    assert alone == looks["robust_linf_8"]
    known = TRAINING_LOOKS.values()
    assert len({colour for colour, _ in known}) == len({marker for _, marker in known}) == 9


def test_zero_line_and_scales(tables: Path) -> None:
    top, bottom = kept_axes("fewer_images", tables)[::3][:2]
    assert [0, 0] in [list(line.get_ydata()) for line in bottom.lines]
    assert [0, 0] not in [list(line.get_ydata()) for line in top.lines]
    assert bottom.get_xscale() == "log"
    assert list(bottom.get_xticks()) == [100, 200, 400, 800, 1600, 3200, 6400]
    panels = kept_axes("published_efficiency", tables)
    assert len({panel.get_ylim() for panel in panels}) == 1


def test_hollow_marks_are_those_whose_interval_includes_0() -> None:
    rows = pd.DataFrame(
        {
            "images": [100, 200, 400, 800],
            "value": [0.1, 0.1, -0.1, 0.2],
            "ci_low": [0.05, -0.1, -0.3, None],
            "ci_high": [0.2, 0.3, -0.01, None],
        }
    )
    _, axes = new_figure(1, 1, 2)
    draw_differences(axes[0, 0], rows, Look("#D55E00", "s"))
    _, excluded, included, unknown = axes[0, 0].lines
    assert list(excluded.get_xdata()) == [100, 400]
    assert list(included.get_xdata()) == [200]
    assert included.get_markerfacecolor() == "white" != excluded.get_markerfacecolor()
    assert list(unknown.get_xdata()) == [800]
    assert unknown.get_markersize() < excluded.get_markersize()
    (bars,) = axes[0, 0].collections
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [
        *([0.05, 0.2], [-0.1, 0.3], [-0.3, -0.01])
    ]


def test_best_needs_a_choice() -> None:
    rows = pd.DataFrame(
        [
            ("mnist", 100, 0, 0, "0", 0.5),
            ("mnist", 100, 0, 1, "0", 0.9),
            ("mnist", 100, 0, 2, "0", 1.0),  # a subset that the other did not have
            ("mnist", 100, 0, 0, "1", 0.8),
            ("mnist", 100, 0, 1, "1", 0.8),
            ("mnist", 200, 0, 0, "0", 0.9),  # the only number of blocks there
        ],
        columns=["target", "images", "source_seed", "subset_seed", "blocks", "accuracy"],
    )
    found = plot_similarity.best(rows, "blocks")
    assert found[["target", "images", "blocks"]].values.tolist() == [["mnist", 100, "1"]]


def test_five_targets_are_not_called_too_few(tables: Path, tmp_path: Path) -> None:
    def five(name: str, rows: list[Row]) -> list[Row]:
        more = [{**row, "target": "svhn"} for row in rows if row.get("target") == "mnist"]
        more += [{**row, "target": "kmnist"} for row in more]
        return [*rows, *more]

    copies(tables, tmp_path, five)
    said = draw("similarity", tmp_path, tmp_path / "figure.svg", targets={})
    assert "5 targets" in said
    assert "too few" not in said


def test_blocks_in_their_order() -> None:
    looks = block_looks(["all", "10", "0", "3", "1", "3"])
    assert list(looks) == ["0", "1", "3", "10", "all"]
    assert len({look.colour for look in looks.values()}) == 5
    names = [blocks_label(blocks) for blocks in looks]
    assert names == ["head only", "1 block", "3 blocks", "10 blocks", "whole network"]


# The largest gains of the l2-robust source that the paper's figure shows, in percentage points.
PEAKS = {
    "svhn": (400, 24.67),
    "kmnist": (400, 19.2),
    "mnist": (100, 15.14),
    "cifar100": (1600, 7.76),
    "cifar10": (200, 6.61),
    "fashion_mnist": (100, 5.69),
}


@pytest.mark.parametrize("target", PEAKS)
def test_published_numbers(target: str) -> None:
    rows = published_efficiency.ACCURACIES[target]
    gains = {row.images: 100 * (row.robust_l2 - row.natural) for row in rows}
    images = max(gains, key=lambda size: gains[size])
    assert (images, gains[images]) == (PEAKS[target][0], pytest.approx(PEAKS[target][1], abs=0.011))
    negative = [size for size, gain in gains.items() if gain < 0]
    assert negative == ([25600] if target == "fashion_mnist" else [])
    assert [row.images for row in rows[:-1]] == [100 * 2**k for k in range(9)]
    # The last epoch at 3200 images is the same number in both places.
    (at_3200,) = (row for row in rows if row.images == 3200)
    last = published_efficiency.EPOCHS[target][-1]
    assert last.natural == pytest.approx(at_3200.natural, abs=2e-4)
    assert last.robust_l2 == pytest.approx(at_3200.robust_l2, abs=2e-4)
