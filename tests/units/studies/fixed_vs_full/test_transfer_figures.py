"""Summaries, figures and page of fixed-feature and full-network transfer, from small tables."""

from __future__ import annotations

import csv
import html
import math
import re
from pathlib import Path
from typing import Any

import pytest

from support import parts
from support.figure_tables import Row
from support.transfer_networks import MODES, RECIPE, STUDY, SUMMARIES, network, networks, summarise
from workflow_scripts.advtransfer.artifacts.table_writer import write_rows
from workflow_scripts.advtransfer.plotting.frames import read_table
from workflow_scripts.studies.columns import EVALUATION_COLUMNS
from workflow_scripts.studies.fixed_vs_full import page as transfer_page
from workflow_scripts.studies.fixed_vs_full import plotting as figures
from workflow_scripts.studies.fixed_vs_full import published as published_transfers

# step: tables it reads, texts that the figure has to show, texts where nothing was measured
FIGURES: dict[str, tuple[list[str], list[str], list[str]]] = {
    "over_epsilon": (
        ["summary", "best"],
        ["Fashion-MNIST", "full-network\nminus natural", "ℓ∞ 2/255", "ResNet-14", "best ε"],
        ["not measured"],
    ),
    "best_of": (
        ["best"],
        ["MNIST", "ResNet-8", "ℓ₂ 0.25", "robust, best ε (on validation)", "chosen on test"],
        ["not compared"],
    ),
    "fixed_against_full": (
        ["summary", "correlations"],
        ["near", "n = 10", "ρ = ", "fixed-feature accuracy", "ℓ∞ 4/255"],
        ["not measured\nin both modes"],
    ),
    "selection": (
        ["selection"],
        ["full-network", "learning rate and ε", "Fashion-MNIST", "percentage points"],
        ["nothing was chosen"],
    ),
    "published_transfers": (
        ["summary", "best"],
        ["Published", "Ours", "Caltech-256", "SUN397", "ℓ₂ 0.5", "compare signs and shapes"],
        ["not compared"],
    ),
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    summarise(folder, networks())
    return folder


def read(folder: Path, name: str) -> list[Row]:
    with open(folder / f"{STUDY}_{name}.csv", newline="") as handle:
        return list(csv.DictReader(handle))


def rows_of(folder: Path, name: str, **conditions: str) -> list[Row]:
    rows = read(folder, name)
    return [r for r in rows if all(r[key] == value for key, value in conditions.items())]


def values(row: Row, *names: str) -> list[float]:
    return [float(row[name] or "nan") for name in names]


# Summaries ---------------------------------------------------------------------------------------


def pair(
    seed: int, natural: float, robust: float, training: str = "robust_l2", **changes: Any
) -> list[Row]:
    """A natural and a robust network on one target."""
    return [
        network("near", "last_layer", name, seed, accuracy=accuracy, **changes)
        for name, accuracy in (("natural", natural), (training, robust))
    ]


def test_means_ranges_and_paired_differences(tmp_path: Path) -> None:
    summarise(tmp_path, [*pair(0, 0.50, 0.56), *pair(1, 0.60, 0.68)])
    (row,) = rows_of(tmp_path, "summary", training="robust_l2", measure="accuracy")
    assert values(row, "mean", "lowest", "highest", "baseline_mean") == pytest.approx(
        [0.62, 0.56, 0.68, 0.55]
    )
    # Differences .06 and .08: t with one degree of freedom, 12.706 standard errors of .01.
    assert values(row, "difference", "difference_low", "difference_high") == pytest.approx(
        [0.07, 0.07 - 0.12706, 0.07 + 0.12706], abs=1e-4
    )
    assert row["n_source_seeds"] == "2" and row["n_networks"] == "2"
    (natural,) = rows_of(tmp_path, "summary", training="natural", measure="accuracy")
    assert natural["difference"] == "" and natural["robust"] == "0"


def test_no_interval_where_one_of_several_seeds_has_a_pair(tmp_path: Path) -> None:
    natural, robust = pair(0, 0.5, 0.6)
    second = [pair(0, 0.5, 0.7, trial=1)[1], pair(1, 0.5, 0.6)[1]]
    summarise(tmp_path, [natural, pair(0, 0.5, 0.7, trial=1)[0], robust, *second])
    (row,) = rows_of(tmp_path, "summary", training="robust_l2", measure="accuracy")
    assert row["n_source_seeds"] == "2" and values(row, "difference") == pytest.approx([0.15])
    assert row["difference_low"] == "" and row["difference_high"] == ""


def test_trials_of_one_seed_are_averaged_before_seeds_are_counted(tmp_path: Path) -> None:
    rows = [*pair(0, 0.5, 0.5), *pair(0, 0.5, 0.7, trial=1)]
    summarise(tmp_path / "one", rows)
    (alone,) = rows_of(tmp_path / "one", "summary", training="robust_l2", measure="accuracy")
    assert alone["n_source_seeds"] == "1" and alone["n_networks"] == "2"
    # One source: the interval is over its trials, 12.706 standard errors of .1.
    assert values(alone, "difference", "difference_high") == pytest.approx([0.1, 1.3706], abs=1e-3)
    summarise(tmp_path / "two", [*rows, *pair(1, 0.5, 0.6), *pair(1, 0.5, 0.6, trial=1)])
    (both,) = rows_of(tmp_path / "two", "summary", training="robust_l2", measure="accuracy")
    # Both seeds' means are .1: no spread between them is left.
    assert values(both, "difference", "difference_low") == pytest.approx([0.1, 0.1])


def test_one_network_bears_no_interval(tmp_path: Path) -> None:
    summarise(tmp_path, pair(0, 0.5, 0.6))
    (row,) = rows_of(tmp_path, "summary", training="robust_l2", measure="accuracy")
    assert row["difference"] == "0.1" and row["difference_low"] == "" == row["ci_high"]


def test_the_best_epsilon_is_chosen_on_validation_images(tmp_path: Path) -> None:
    """Weak is better on validation, strong on test: ours reports the weak one, the paper's way the
    strong one."""
    natural, weak = pair(0, 0.5, 0.6, "robust_l2_quarter", validation_accuracy=0.7)
    _, strong = pair(0, 0.5, 0.65, "robust_l2", validation_accuracy=0.66)
    rows = [natural, weak, strong]
    rows += [{**row, "selection": "test"} for row in rows]
    summarise(tmp_path, rows)
    chosen = {
        row["selection"]: (row["robust_training"], row["robust_mean"], row["difference"])
        for row in rows_of(tmp_path, "best", measure="accuracy")
    }
    assert chosen["validation"] == ("robust_l2_quarter", "0.6", "0.1")
    assert chosen["test"] == ("robust_l2", "0.65", "0.15")
    gaps = {row["chosen"]: row for row in read(tmp_path, "selection")}
    assert values(gaps["epsilon"], "difference", "agree") == pytest.approx([0.05, 0])
    assert values(gaps["learning_rate"], "difference", "agree", "n") == pytest.approx([0, 1, 3])


def test_over_all_architectures_the_best_on_either_side(tmp_path: Path) -> None:
    rows = [*pair(0, 0.5, 0.6, model="resnet8"), *pair(0, 0.55, 0.58, model="resnet14")]
    summarise(tmp_path, rows)
    (row,) = rows_of(tmp_path, "best", model="all", measure="accuracy")
    assert (row["baseline_model"], row["robust_model"]) == ("resnet14", "resnet8")
    assert values(row, "difference") == pytest.approx([0.05])
    assert len(rows_of(tmp_path, "best", measure="accuracy")) == 3
    summarise(tmp_path / "one", pair(0, 0.5, 0.6))
    assert {row["model"] for row in read(tmp_path / "one", "best")} == {"resnet8"}


def test_nothing_is_called_best_without_validation_images(tmp_path: Path) -> None:
    summarise(tmp_path, pair(0, 0.5, 0.6, validation_accuracy=""))
    assert read(tmp_path, "best") == [] == read(tmp_path, "selection")
    assert len(read(tmp_path, "summary")) == 4


def test_what_test_images_would_have_added(tmp_path: Path) -> None:
    ours = network("near", "full_network", "natural", 0, accuracy=0.5)
    theirs = ours | {"selection": "test", "accuracy": 0.53, "learning_rate": 0.01}
    same = [network("near", "full_network", "natural", 1, accuracy=0.6)]
    same += [same[0] | {"selection": "test"}]
    summarise(tmp_path, [ours, theirs, *same])
    (row,) = read(tmp_path, "selection")
    assert row["chosen"] == "learning_rate" and row["n"] == "2"
    assert values(row, "agree", "on_validation", "on_test", "difference", "largest") == (
        pytest.approx([0.5, 0.55, 0.565, 0.015, 0.03])
    )


def test_correlations_pair_the_modes_of_a_source(tmp_path: Path) -> None:
    fixed = {"natural": 0.5, "robust_l2_quarter": 0.6, "robust_l2": 0.7}
    full = {"natural": 0.8, "robust_l2_quarter": 0.9, "robust_l2": 0.85}
    rows = [
        network("near", mode, training, 0, accuracy=accuracy)
        for mode, reached in zip(MODES, (fixed, full), strict=True)
        for training, accuracy in reached.items()
    ]
    summarise(tmp_path, [*rows, network("near", "last_layer", "robust_linf", 0, accuracy=0.1)])
    found = {row["statistic"]: row for row in rows_of(tmp_path, "correlations", measure="accuracy")}
    assert set(found) == {"pearson", "spearman"}
    assert values(found["pearson"], "value", "n_sources") == pytest.approx([0.5, 3])
    assert values(found["spearman"], "value") == pytest.approx([0.5])


def test_sources_of_several_architectures_bear_no_interval_together(tables: Path) -> None:
    for row in rows_of(tables, "correlations", measure="accuracy"):
        assert row["value"]
        for column in ("ci_low", "ci_high", "p_value"):
            assert bool(row[column]) == (row["sources"] != "all")


def test_source_seeds_of_a_difference_are_those_of_both_sides(tmp_path: Path) -> None:
    rows = [*pair(0, 0.5, 0.6), *pair(0, 0.5, 0.61, trial=1)]
    summarise(tmp_path, [*rows, pair(1, 0.5, 0.62)[1]])
    (row,) = rows_of(tmp_path, "best", measure="accuracy")
    assert row["n_source_seeds"] == "1"


# Figures -----------------------------------------------------------------------------------------


def draw(step: str, folder: Path, output: Path, **settings: object) -> str:
    tables = parts.paths(folder, STUDY, SUMMARIES)
    said = parts.draw(STUDY, step, tables, output, {**RECIPE, **settings})
    drawn = re.findall(r'(?:d|points|x|y|transform)="([^"]*)"', output.read_text())
    assert not [value for value in drawn if "nan" in value.lower()]
    return said


@pytest.mark.parametrize("step", FIGURES)
def test_figure(step: str, tables: Path, tmp_path: Path) -> None:
    said = draw(step, tables, tmp_path / "first.svg")
    for text in FIGURES[step][1]:
        for line in text.split("\n"):
            assert line in said
    draw(step, tables, tmp_path / "second.svg")
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()


@pytest.mark.parametrize("step", FIGURES)
def test_figure_of_one_architecture_mode_and_seed(step: str, tmp_path: Path) -> None:
    rows = networks(seeds=[0], models=["resnet8"], targets=["near"])
    summarise(tmp_path, [row for row in rows if row["mode"] == "last_layer"])
    said = draw(step, tmp_path, tmp_path / "figure.svg")
    assert "ResNet-14" not in said


@pytest.mark.parametrize("step", FIGURES)
def test_figure_says_what_is_missing(step: str, tables: Path, tmp_path: Path) -> None:
    for path in tables.glob("*.csv"):
        (tmp_path / path.name).write_text(path.read_text().splitlines()[0] + "\n")
    said = draw(step, tmp_path, tmp_path / "figure.svg")
    for text in FIGURES[step][2]:
        for line in text.split("\n"):
            assert line in said


def test_many_targets_are_set_below_each_other(tmp_path: Path) -> None:
    names = list(published_transfers.TABLE_1)[:6]
    summarise(tmp_path, networks(seeds=[0, 1], models=["resnet8"], targets=names), 0, 0)
    for step in FIGURES:
        said = draw(step, tmp_path, tmp_path / "figure.svg", targets={name: [] for name in names})
        assert "Aircraft" in said and "Caltech-256" in said


def test_strengths_stand_in_order_and_are_told_apart() -> None:
    import pandas as pd

    rows = [
        ("robust_linf", "linf", 4 / 255),
        ("natural", "", 0.0),
        ("fast_linf", "linf", 4 / 255),
        ("robust_l2", "l2", 0.5),
        ("mystery", "", math.nan),
    ]
    places = figures.strengths(pd.DataFrame(rows, columns=["training", "norm", "epsilon"]))
    assert [label for _, label in sorted(places.values())] == [
        "natural",
        "ε not known",
        "ℓ₂ 0.5",
        "fast robust ℓ∞",
        "robust ℓ∞",
    ]
    where = [place for place, _ in places.values()]
    assert len(set(where)) == len(where) and where == sorted(where)


# Published ---------------------------------------------------------------------------------------


def test_published_numbers_fit_each_other() -> None:
    """Best single runs over four architectures are never far from the best means of the table."""
    runs = published_transfers.BEST_RUNS
    assert len(runs) == 12 * 4 * 2 == len({(run.target, run.model, run.mode) for run in runs})
    for target, row in published_transfers.TABLE_1.items():
        for mode, robust, standard in (
            ("last_layer", row.fixed_robust, row.fixed_standard),
            ("full_network", row.full_robust, row.full_standard),
        ):
            own = [run.accuracy for run in runs if (run.target, run.mode) == (target, mode)]
            assert max(own) == pytest.approx(max(robust, standard), abs=0.011), (target, mode)
    rates = [run.learning_rate for run in runs if run.mode == "last_layer"]
    assert rates.count(0.01) == 47 and set(rates) == {0.01, 0.001}
    fixed, full = zip(*published_transfers.gains().values(), strict=True)
    assert sum(gain > 0 for gain in fixed) == 11 and sum(gain > 0 for gain in full) == 10


# Page --------------------------------------------------------------------------------------------


def page(folder: Path, facts: Row | None = None) -> str:
    """The words of the page."""
    sources = [
        {
            **{key: value for key, value in row.items() if key in EVALUATION_COLUMNS},
            "attack": attack,
            "norm": norm,
            "epsilon": epsilon,
            "accuracy": accuracy,
            "n_images": 300,
            "epochs": 6,
            "passes": 24,
            "seconds": 31,
        }
        for row in pair(0, 0.5, 0.6)
        for attack, norm, epsilon, accuracy in (("none", "none", 0, 0.81), ("pgd", "l2", 0.5, 0.4))
    ]
    write_rows(folder / f"{STUDY}_sources.csv", sources, EVALUATION_COLUMNS)
    tables = parts.paths(folder, STUDY, (*SUMMARIES, "sources"))
    made = parts.page(STUDY, tables, RECIPE, facts)
    text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", made, flags=re.DOTALL)
    return " ".join(html.unescape(text).split())


def test_page(tables: Path) -> None:
    text = page(tables, {"fixed-feature transfer": "SGD, 30 epochs"})
    for part in (
        "The claim is supported:",
        "better on 3 of 3 targets",
        "Best robust minus natural, fixed-feature, 3 source seeds: near +0.0",
        "The best is of 4 robust trainings, chosen on held-out images; intervals are of the same",
        "MNIST, all sources 0.",
        "(no interval)",
        "Fixed-feature transfer, the best robust source: better (interval above 0) on near, MNIST,",
        "fixed-feature transfer SGD, 30 epochs",
        "Aircraft 38.69 44.14 5.45",
        "all architectures",
        "ResNet-14, ℓ₂ 0.25",
        "near, fixed-feature, learning rate and ε",
        "differs from the accuracy by at most",
    ):
        assert part in text
    assert "nan" not in text


@pytest.mark.parametrize(
    ("robust", "headline"),
    [
        ([0.60, 0.61, 0.62], "The claim is supported:"),
        ([0.40, 0.41, 0.42], "Opposite sign:"),
        ([0.40, 0.50, 0.62], "Inconclusive:"),
        ([0.60], "Not measurable:"),
    ],
)
def test_verdict(robust: list[float], headline: str, tmp_path: Path) -> None:
    rows = [row for seed, value in enumerate(robust) for row in pair(seed, 0.5, value)]
    summarise(tmp_path, rows)
    assert headline in page(tmp_path)


def test_trials_of_one_source_seed_bear_no_verdict(tmp_path: Path) -> None:
    rows = [row for k in range(3) for row in pair(0, 0.5, 0.6 + k / 100, trial=k)]
    summarise(tmp_path, rows)
    text = page(tmp_path)
    assert "Not measurable: one source seed" in text and "is supported" not in text


def test_a_target_on_which_the_claim_does_not_hold_is_named(tmp_path: Path) -> None:
    rows = [row for seed in range(3) for row in pair(seed, 0.5, 0.6 + 0.01 * seed)]
    rows += [{**row, "target": "mnist", "accuracy": 1 - row["accuracy"]} for row in rows]
    summarise(tmp_path, rows)
    text = page(tmp_path)
    assert "It depends on the target:" in text
    assert "better (interval above 0) on near; worse (interval below 0) on MNIST." in text


def test_nothing_compared(tmp_path: Path) -> None:
    summarise(tmp_path, pair(0, 0.5, 0.6, validation_accuracy=""))
    text = page(tmp_path)
    assert "Not measurable:" in text and "No epsilon could be chosen" in text
    assert transfer_page.primary_text(read_table(
        tmp_path / f"{STUDY}_best.csv", (), may_be_empty=True)) == ""  # fmt: skip
