"""Tables, figures and page of accuracy and robustness together, from small tables."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from support import parts
from support.accuracy_tables import (
    ARCHITECTURES,
    FIGURE_RECIPE,
    STUDY,
    TARGETS,
    TRAININGS,
    make_accuracy_tables,
    network_rows,
    relate,
)
from support.figure_tables import Row
from support.steps import texts
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.studies import folders
from workflow_scripts.studies.accuracy_and_robustness import page as accuracy_page

TABLES = ("points", "correlations", "predictors", "width")
# step: its table, texts that the figure has to show, texts where nothing was measured
FIGURES: dict[str, tuple[str, list[str], str]] = {
    "accuracy_scatter": (
        "points",
        ["Target near: dog, horse,", "fixed-feature transfer", "full-network transfer", "natural"]
        + ["ℓ₂, ε = 0.25", "a AlexNet, b ConvMixer", "accuracy of the source"],
        "not measured",
    ),
    "accuracy_correlations": (
        "correlations",
        ["Target MNIST", "8 architectures here, 6 in the published", "ℓ₂, ε = 0.5", "ℓ₂, ε = 3"]
        + ["0.793", "(printed 0.79)", "0.976", "(printed 0.98)", "Published:"],
        "not measured",
    ),
    "left_out_errors": (
        "predictors",
        ["accuracy, robustness", "accuracy, ε", "gain over accuracy alone", "8 architectures"],
        "no differences",
    ),
    "width": (
        "width",
        ["Target Fashion-MNIST", "32", "width of the source", "3 source seeds"],
        "not measured",
    ),
}
STEPS = sorted(FIGURES)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_accuracy_tables(tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of one seed."""
    return make_accuracy_tables(tmp_path_factory.mktemp("single"), seeds=1)


def rows_of(folder: Path, name: str, **conditions: str) -> list[Row]:
    with open(folder / f"{STUDY}_{name}.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    return [row for row in rows if all(row[key] == value for key, value in conditions.items())]


def draw(step: str, folder: Path, output: Path) -> str:
    """All that the figure says; it must not hold coordinates that are no numbers."""
    said = parts.draw(STUDY, step, parts.paths(folder, STUDY, TABLES), output, FIGURE_RECIPE)
    drawn = re.findall(r'(?:d|points|x|y|transform)="([^"]*)"', output.read_text())
    assert not [value for value in drawn if "nan" in value.lower()]
    return said


@pytest.fixture(scope="module")
def drawn(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every figure by its name."""
    folder = tmp_path_factory.mktemp("drawn")
    files = {step: folder / f"{step}.svg" for step in STEPS}
    for step, file in zip(STEPS, files.values(), strict=True):
        draw(step, tables, file)
    return files


def render(folder: Path, drawn: dict[str, Path]) -> str:
    settings = {**FIGURE_RECIPE, "robust": "robust_l2"}
    facts = {"trials of a source": 1}
    return parts.page(STUDY, parts.paths(folder, STUDY, TABLES), settings, facts, drawn)


def changed(folder: Path, there: Path, change: Callable[[Row], Row | None]) -> Path:
    """The tables with rows as ``change`` leaves them; only headers if it leaves none."""
    for name in TABLES:
        before = rows_of(folder, name)
        with open(there / f"{STUDY}_{name}.csv", "w", newline="") as handle:
            writer = csv.DictWriter(handle, before[0])
            writer.writeheader()
            writer.writerows(filter(None, map(change, before)))
    return there


# Tables -----------------------------------------------------------------------------------------


def test_correlations_are_over_architectures_at_one_epsilon(tables: Path) -> None:
    rows = rows_of(tables, "correlations", target="near", mode="last_layer", selection="validation")
    assert [row["source_epsilon"] for row in rows] == ["0", "0.25", "0.5"]
    points = rows_of(tables, "points", target="near", mode="last_layer", selection="validation")
    for row in rows:
        own = [p for p in points if p["source_training"] == row["source_training"]]
        assert {p["source_model"] for p in own} == set(ARCHITECTURES)  # not the other widths
        x, y = ([float(p[name]) for p in own] for name in ("source_accuracy", "accuracy"))
        r = stats.pearsonr(x, y).statistic
        assert float(row["r_squared"]) == pytest.approx(r**2, abs=1e-8)
        assert (row["n_models"], row["n_rows"]) == ("8", "24")
        assert 0 <= float(row["r_squared_low"]) <= float(row["r_squared_high"]) <= 1


def test_robustness_helps_where_transfer_was_made_of_it(tables: Path) -> None:
    gains = {
        mode: [
            float(row["gain_low"])
            for row in rows_of(
                tables,
                "predictors",
                mode=mode,
                predictor="accuracy_robustness",
                selection="validation",
            )
        ]
        for mode in ("last_layer", "full_network")
    }
    assert len(gains["last_layer"]) == len(TARGETS)
    assert min(gains["last_layer"]) > 0
    assert max(gains["full_network"]) < 0.005
    baseline = rows_of(tables, "predictors", predictor="accuracy")
    assert {row["gain"] for row in baseline} == {""}
    assert {(row["n_models"], row["n_points"]) for row in baseline} == {("8", "24")}


def test_width_table_compares_each_step_with_the_natural_one(tables: Path) -> None:
    place = {"target": "mnist", "mode": "last_layer", "selection": "validation"}
    rows = rows_of(tables, "width", **place, source_training="robust_l2")
    found = {(row["quantity"], row["width"]): float(row["value"]) for row in rows}
    assert set(found) == {
        *(("accuracy", width) for width in ("8", "16", "32")),
        *((step, width) for step in ("step", "step_minus_natural") for width in ("16", "32")),
    }
    assert found["step", "32"] == pytest.approx(found["accuracy", "32"] - found["accuracy", "16"])
    natural = rows_of(tables, "width", **place, source_training="natural", quantity="step")
    step = {row["width"]: float(row["value"]) for row in natural}
    assert found["step_minus_natural", "32"] == pytest.approx(found["step", "32"] - step["32"])


def test_sources_of_another_norm_are_no_points_of_the_predictors(tmp_path: Path) -> None:
    networks, sources = network_rows(2, np.random.default_rng(0))
    for row in (*networks, *sources):
        if row["source_training"] == "robust_l2_quarter":
            row |= {"source_norm": "linf", "source_epsilon": 4 / 255}
    relate(tmp_path, networks, sources)
    assert {row["n_points"] for row in rows_of(tmp_path, "predictors")} == {"16"}
    assert {row["source_norm"] for row in rows_of(tmp_path, "correlations")} == {"", "l2", "linf"}


def test_sources_that_were_not_measured(tmp_path: Path) -> None:
    networks, _ = network_rows(1, np.random.default_rng(0))
    attacked: Row = {"attack": "pgd", "norm": "linf", "epsilon": 0.1, "accuracy": 0.5}
    elsewhere = [{**networks[0], **attacked}]
    nothing, known = tmp_path / "nothing", tmp_path / "known"
    for folder in (nothing, known):
        folder.mkdir()
    relate(nothing, networks, elsewhere)
    assert not rows_of(nothing, "predictors")
    assert {row["r_squared"] for row in rows_of(nothing, "correlations")} == {""}
    assert rows_of(nothing, "width")
    given = [
        {"model": model, "training": training, "accuracy": 0.5 + 0.04 * k - 0.1 * j}
        for k, model in enumerate(ARCHITECTURES)
        for j, training in enumerate(TRAININGS)
    ]
    relate(known, networks, elsewhere, known_accuracy=given)
    predictors = {row["predictor"] for row in rows_of(known, "predictors")}
    assert predictors == {"none", "accuracy", "epsilon", "accuracy_epsilon"}
    assert float(rows_of(known, "correlations")[0]["r_squared"]) > 0.5


def test_a_target_is_related_by_what_it_is_scored_by(tables: Path, tmp_path: Path) -> None:
    networks, sources = network_rows(3, np.random.default_rng(0))
    for row in networks:
        row["class_mean_accuracy"] = row["accuracy"] / 2
    relate(tmp_path, networks, sources, metrics={"near": "class_mean_accuracy"})
    for target, share in (("near", 0.5), ("mnist", 1.0)):
        ours, plain = (
            [float(row["accuracy"]) for row in rows_of(folder, "points", target=target)]
            for folder in (tmp_path, tables)
        )
        assert ours == pytest.approx([share * value for value in plain])


def test_trials_of_one_source_are_averaged(tmp_path: Path) -> None:
    networks, sources = network_rows(2, np.random.default_rng(0))
    once, twice = tmp_path / "once", tmp_path / "twice"
    for folder in (once, twice):
        folder.mkdir()
    relate(once, networks, sources)
    trials = [
        {**row, "trial": trial, "accuracy": row["accuracy"] + (0.1 if trial else -0.1)}
        for row in networks
        for trial in (0, 1)
    ]
    relate(twice, trials, sources)
    for name in TABLES:
        assert rows_of(once, name) == rows_of(twice, name)


# Figures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_figure(step: str, tables: Path, drawn: dict[str, Path], tmp_path: Path) -> None:
    said = draw(step, tables, tmp_path / "again.svg")
    for text in FIGURES[step][1]:
        assert text in said
    assert FIGURES[step][2] not in said
    assert drawn[step].read_bytes() == (tmp_path / "again.svg").read_bytes()


@pytest.mark.parametrize("step", STEPS)
def test_nothing_selected_on_test_images_is_drawn(
    step: str, tables: Path, drawn: dict[str, Path], tmp_path: Path
) -> None:
    kept = changed(tables, tmp_path, lambda row: row if row["selection"] != "test" else None)
    draw(step, kept, tmp_path / "kept.svg")
    assert drawn[step].read_bytes() == (tmp_path / "kept.svg").read_bytes()


@pytest.mark.parametrize("step", STEPS)
def test_nothing_measured(step: str, tables: Path, tmp_path: Path) -> None:
    said = draw(step, changed(tables, tmp_path, lambda row: None), tmp_path / "figure.svg")
    assert FIGURES[step][2] in said


@pytest.mark.parametrize("step", STEPS)
def test_one_seed_and_one_mode(step: str, single: Path, tmp_path: Path) -> None:
    fixed = changed(single, tmp_path, lambda row: row if row["mode"] == "last_layer" else None)
    said = draw(step, fixed, tmp_path / "figure.svg")
    assert "full-network" not in said.replace("(six ImageNet architectures, full-network", "")


def test_a_negative_correlation_is_told_from_a_positive_one(
    tables: Path, drawn: dict[str, Path], tmp_path: Path
) -> None:
    def turned(row: Row) -> Row:
        return {**row, "pearson": -float(row["pearson"])} if row.get("pearson") else row

    step = "accuracy_correlations"
    assert "negative correlation" not in texts(drawn["accuracy_correlations"])
    said = draw(step, changed(tables, tmp_path, turned), tmp_path / "figure.svg")
    assert "negative correlation" in said


def test_many_epsilons_have_marks_of_their_own(tmp_path: Path) -> None:
    """The paper's ten, none of them a training that the other figures know."""
    from workflow_scripts.studies.accuracy_and_robustness import plotting as accuracy_figures
    from workflow_scripts.studies.accuracy_and_robustness.published import L2_EPSILONS

    levels = [(f"l2_{e:g}", "l2" if e else "", float(e)) for e in L2_EPSILONS]
    looks = accuracy_figures.level_looks(levels)
    assert len({(look.colour, look.marker) for look in looks.values()}) == 10
    assert accuracy_figures.level_labels(levels)["l2_0.01"] == "ℓ₂, ε = 0.01"
    doubled = [("natural", "", 0.0), ("natural_equal_cost", "", 0.0)]
    labels = accuracy_figures.level_labels(doubled)
    assert labels["natural_equal_cost"] == "natural, natural, longer"


def test_another_table_is_refused(tables: Path) -> None:
    wrong = {"points": str(tables / f"{STUDY}_width.csv")}
    with pytest.raises(UserError, match="no column 'source_model'"):
        parts.figure(STUDY, "accuracy_scatter", wrong, FIGURE_RECIPE)


# Page -------------------------------------------------------------------------------------------


def test_page_shows_ours_and_the_published_numbers(
    tables: Path, drawn: dict[str, Path], tmp_path: Path
) -> None:
    page = render(tables, drawn)
    assert "Robustness adds to accuracy:" in page
    assert "on 3 of 3 targets" in page
    assert "0.793 [" in page
    assert "0.976 [" in page
    assert page.count("<figure>") == len(STEPS)
    assert "from width 16 to 32" in page
    assert "fewer than the" not in page
    assert "Published" in page


def test_page_of_one_seed_says_so(single: Path, drawn: dict[str, Path], tmp_path: Path) -> None:
    page = render(single, drawn)
    assert "one seed bears no interval" in page


def test_page_of_few_architectures_warns(drawn: dict[str, Path], tmp_path: Path) -> None:
    folder = make_accuracy_tables(tmp_path, seeds=2, architectures=list(ARCHITECTURES[:4]))
    assert "over 4 architectures only, fewer than the 8" in render(folder, drawn)


def test_page_without_robustness_has_no_verdict(
    tables: Path, drawn: dict[str, Path], tmp_path: Path
) -> None:
    known = changed(
        tables, tmp_path, lambda row: None if "robust" in str(row.get("predictor")) else row
    )
    assert "Not measurable:" in render(known, drawn)


@pytest.mark.parametrize(
    ("robust", "natural", "difference", "says"),
    [
        ("above", "open", "above", "holds"),
        ("above", "above", "above", "partly"),
        ("above", "open", "open", "not decided, the robust source gains"),
        ("open", "open", "open", "not decided, the robust source is not seen"),
        ("below", "open", "open", "does not hold"),
        ("above", "above", "below", "the other way round"),
        ("none", "open", "above", "one seed"),
    ],
)
def test_width_claim_follows_from_the_signs(
    robust: str, natural: str, difference: str, says: str
) -> None:
    signs = {"robust": robust, "natural": natural, "difference": difference}
    assert accuracy_page.width_claim(signs).startswith(says)


def test_every_figure_has_a_caption_and_an_alternative_text() -> None:
    found = folders.figures(STUDY, STUDY)
    assert sorted(found) == STEPS
    for figure in found.values():
        assert figure.alt and figure.label
        assert figure.module.with_suffix(".rst").is_file()


def test_verdicts() -> None:
    import pandas as pd

    def of(*bounds: tuple[Any, Any]) -> str:
        frame = pd.DataFrame(bounds, columns=["gain_low", "gain_high"])
        return accuracy_page.verdict(frame)["kind"]

    assert of((0.1, 0.2), (0.3, 0.4)) == "supported"
    assert of((-0.2, -0.1)) == "opposite"
    assert of((0.1, 0.2), (-0.1, 0.2)) == "inconclusive"
    assert of() == "inconclusive"
    assert of((float("nan"), float("nan"))) == "inconclusive"
