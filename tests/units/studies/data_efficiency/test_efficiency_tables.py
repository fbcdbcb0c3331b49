"""Tables and page of the study of data efficiency, from small artefacts written by hand."""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from support import parts
from support.comparisons import write_comparisons
from support.config import changed
from support.figure_tables import EFFICIENCY, EFFICIENCY_RECIPE, Row, make_efficiency_tables, write
from support.steps import run_step
from support.workflow import ROOT
from workflow_scripts.advtransfer.addresses import block_path, source_path
from workflow_scripts.advtransfer.artifacts.table_writer import write_rows
from workflow_scripts.advtransfer.data.comparisons import Shared
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.evaluate_source import COLUMNS as EVALUATED
from workflow_scripts.measure_similarity import COLUMNS as MEASURED
from workflow_scripts.studies import folders
from workflow_scripts.studies.data_efficiency import page as page_module
from workflow_scripts.studies.data_efficiency.analysis import SETTINGS as COMPARED
from workflow_scripts.studies.data_efficiency.design import Cell
from workflow_scripts.studies.data_efficiency.tables import trained_on
from workflow_scripts.studies.plan import make_plan, page_recipe, settings_recipe
from workflow_scripts.studies.source_tables import passes_an_epoch
from workflow_scripts.studies.sources import Source
from workflow_scripts.transfer_subsets import COLUMNS as TRANSFERRED

HISTORY = ("epoch", "train_loss", "train_accuracy", "seconds")
SGD = {"epochs": 2, "batch_size": 16, "learning_rate": 0.1}
SMALL = {"images": [[20]], "subset_seeds": [[0, 1]]}
PAIR = {"trainings": ["natural", "robust_l2"]}
STUDY = {
    "sources": {
        "dataset": "cifar10",
        "classes": ["cat", "frog"],
        "images": 60,
        "models": ["resnet8"],
        "trainings": ["natural", "robust_l2", "fast_linf", "free_linf", "untrained"],
        "seeds": [[0, 1], [5]],
    },
    "baseline": "natural",
    "robust": "robust_l2",
    "targets": {
        "near": {"dataset": "cifar10", "classes": ["dog", "ship"], "images": 80, "test_images": 40}
    },
    "grids": {
        "heads": {
            "blocks": [0],
            "solver": "lbfgs",
            "regularizations": [0.01, 0.1],
            "images": [[20], [40]],
            "subset_seeds": [[0, 1]],
        },
        "blocks": {"blocks": [1], "solver": "sgd", "training": SGD, **SMALL, **PAIR},
        "statistics": {
            "blocks": [1],
            "solver": "sgd",
            "training": SGD,
            "moving_statistics": True,
            **SMALL,
            **PAIR,
        },
        "scratch": {
            "blocks": ["all"],
            "solver": "sgd",
            "training": SGD,
            "images": [[20]],
            "subset_seeds": [[1]],
            "trainings": ["untrained"],
        },
        "robustness": {
            "blocks": [0],
            "solver": "lbfgs",
            "regularizations": [0.01, 0.1],
            "images": [[20]],
            "subset_seeds": [[0]],
            "attacks": "transferred",
            "attacked_images": 10,
            **PAIR,
        },
    },
    "figures": {
        "images": ["heads"],
        "blocks": ["blocks"],
        "statistics": ["statistics"],
        "scratch": ["scratch"],
        "robustness": ["robustness"],
    },
    "similarity_images": 30,
}
CONFIG = changed({"studies": {EFFICIENCY: STUDY}, "main_job": [EFFICIENCY]})
PLAN = make_plan(CONFIG)
TABLES = ("table", "curves", "robustness", "sources", "similarity", "differences")


# The artefacts, by hand --------------------------------------------------------------------------

BETTER = {"natural": 0.0, "robust_l2": 0.08, "fast_linf": 0.02, "free_linf": 0.01}
DEPTH = {"heads": 0.0, "blocks": 0.1, "statistics": 0.04, "scratch": -0.2, "robustness": 0.0}


def accuracy(grid: str, training: str, images: int, seed: int, subset: int) -> float:
    """After the last epoch: every difference of means is one of the two tables above."""
    start = 0.5 + 0.001 * images + 0.01 * seed + 0.005 * subset
    return start + BETTER.get(training, -0.1) + DEPTH[grid]


def transferred(source: Source, cell: Cell, seeds: Sequence[int]) -> list[Row]:
    """What transfer_subsets writes: rows of epochs, then of attacks, run by run."""
    rows: list[Row] = []
    recipe = cell.recipe
    epochs = recipe.mode.training.epochs if recipe.mode.training else 1
    for seed, images, subset in product(seeds, recipe.images, recipe.subset_seeds):
        of_run = {"seed": seed, "images": images, "subset_seed": subset}
        last = accuracy(cell.grid, source.training, images, seed, subset)
        for epoch in range(1, epochs + 1):
            # The first epoch of fine-tuning is the better one.
            reached = {"test_accuracy": last + 0.03 * (epochs - epoch), "test_loss": 1 - last}
            loss = {"train_loss": 0.1 * epoch, "n_images": 40}
            penalty = {"regularization": 0.01} if recipe.mode.solver == "lbfgs" else {}
            rows.append({**of_run, "epoch": epoch, **reached, **loss, **penalty})
        if not recipe.attacks:
            continue
        under: list[Row] = [{"attack": "none", "norm": "none", "epsilon": 0.0, "steps": 0}]
        under += [
            {"attack": a.attack, "norm": a.norm, "epsilon": a.epsilon, "steps": a.steps}
            for a in recipe.attacks
        ]
        for k, attack in enumerate(under):
            left = {"test_accuracy": last - 0.2 * k, "n_images": 10}
            rows.append({**of_run, "epoch": epochs, **attack, **left})
    return rows


def write_artefacts() -> None:
    """Every file of the plan, below the working directory."""
    study = PLAN.studies[EFFICIENCY]

    def put(path: str, rows: list[Row], columns: Sequence[str]) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_rows(path, rows, columns)

    write_comparisons(study, train=[3, 5], test=[1])
    for source in study.sources:
        for seeds in source.seed_blocks:
            for seed in seeds:
                epochs = range(source.recipe.training.epochs)
                history = [
                    {"epoch": k + 1, "train_loss": 1, "train_accuracy": 0, "seconds": 1.5 + seed}
                    for k in epochs
                ]
                put(source_path(source.recipe, seed, "history.csv"), history, HISTORY)
            own = [
                {"seed": seed, "attack": attack, "norm": norm, "epsilon": 0.5, "steps": 0}
                | {"accuracy": 0.7 + 0.01 * seed, "n_images": 300}
                for seed in seeds
                for attack, norm in (("none", "none"), ("pgd", "l2"))
            ]
            evaluation = study.evaluation(source)
            put(block_path("evaluations", source.recipe, seeds, evaluation, "csv"), own, EVALUATED)
            for cell in study.cells(source):
                path = block_path("subsets", source.recipe, seeds, cell.recipe, "csv")
                put(path, transferred(source, cell, seeds), TRANSFERRED)
            for _, recipe in study.similarities(source):
                far = [
                    {"seed": seed, "measure": "frechet", "value": 3.5, "n_source": 30}
                    | {"n_target": 40}
                    for seed in seeds
                ]
                put(block_path("similarity", source.recipe, seeds, recipe, "csv"), far, MEASURED)


def collect(into: Path) -> None:
    """The two steps that make the tables, as the rules call them."""
    line = ["--study", EFFICIENCY, "--recipe", PLAN.slices[EFFICIENCY], "--output"]
    names = ("table", "curves", "robustness", "sources", "similarity")
    run_step("collect_tables", [*line, *(f"{name}={into / name}.csv" for name in names)])
    compare(into)


def compare(folder: Path, recipe: str | None = None) -> pd.DataFrame:
    line = [
        "--study",
        EFFICIENCY,
        "--recipe",
        recipe or settings_recipe(PLAN, EFFICIENCY, COMPARED),
    ]
    line += ["--tables", *(f"{name}={folder / name}.csv" for name in ("curves", "robustness"))]
    run_step("analyse_tables", [*line, "--output", f"differences={folder / 'differences.csv'}"])
    return read(folder / "differences.csv")


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"blocks": "str", "baseline_blocks": "str"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All tables of the study, made in a folder that holds its artefacts."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_artefacts()
        collect(folder)
    return folder


@pytest.fixture(scope="module")
def tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {name: read(folder / f"{name}.csv") for name in TABLES}


# Tables ------------------------------------------------------------------------------------------

RUN = ["source_training", "source_seed", "grid", "blocks", "images", "subset_seed"]


def test_every_transferred_network_has_one_row(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["table"]
    assert not table.duplicated(RUN).any()
    counts = table.groupby(["grid", "source_training"]).size()
    assert set(table["source_seed"]) == {0, 1, 5}
    # Three source seeds, two sizes, two subsets; five trainings.
    assert counts["heads"].to_dict() == dict.fromkeys(STUDY["sources"]["trainings"], 12)
    assert counts["blocks"].to_dict() == {"natural": 6, "robust_l2": 6}
    assert counts["scratch"].to_dict() == {"untrained": 3}
    assert counts["robustness"].to_dict() == {"natural": 3, "robust_l2": 3}
    assert set(table["n_test"]) == {40}
    modes = table.groupby("grid")[["mode", "solver", "blocks", "moving_statistics"]].first()
    assert modes.T.to_dict("list") == {
        "heads": ["last_layer", "lbfgs", "0", 0],
        "blocks": ["unfrozen_blocks", "sgd", "1", 0],
        "statistics": ["unfrozen_blocks", "sgd", "1", 1],
        "scratch": ["full_network", "sgd", "all", 0],
        "robustness": ["last_layer", "lbfgs", "0", 0],
    }
    robust = table.groupby("source_training")["robust"].first()
    assert robust.to_dict() == {
        "natural": 0, "robust_l2": 1, "fast_linf": 1, "free_linf": 1, "untrained": 0,
    }  # fmt: skip
    assert set(table[table["solver"] == "lbfgs"]["regularization"]) == {0.01}
    assert table[table["solver"] == "sgd"]["regularization"].isna().all()


def test_images_that_source_and_target_share_are_counted(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["table"]
    assert set(table["shared_images"]) == {2} and set(table["shared_test_images"]) == {1}
    assert (table["n_train"] == table["images"]).all()  # others took their places


def test_a_subset_of_the_whole_pool_is_smaller_by_the_shared_images() -> None:
    shared = Shared(np.array([3, 5]), np.zeros(0, np.int64), (80, 40))
    assert [trained_on(images, shared) for images in (20, 78, 79, 80)] == [20, 78, 78, 78]
    assert trained_on(80, None) == 80  # an imported source


def test_the_last_epoch_counts_and_the_best_stands_beside_it(
    tables: dict[str, pd.DataFrame],
) -> None:
    table = tables["table"].set_index(RUN)
    tuned = table.loc["natural", 1, "blocks", "1", 20, 1]
    last = accuracy("blocks", "natural", 20, 1, 1)
    assert (tuned["epochs"], tuned["accuracy"]) == (2, pytest.approx(last))
    assert tuned["best_accuracy"] == pytest.approx(last + 0.03)
    assert tuned["loss"] == pytest.approx(1 - last)
    solved = table.loc["natural", 5, "heads", "0", 40, 0]
    assert solved["epochs"] == 1
    assert solved["accuracy"] == solved["best_accuracy"]
    curves = tables["curves"].set_index([*RUN, "epoch"]).sort_index()["test_accuracy"]
    assert curves.loc["natural", 1, "blocks", "1", 20, 1].to_dict() == {
        1: pytest.approx(last + 0.03),
        2: pytest.approx(last),
    }
    assert curves.groupby(["grid", "epoch"]).size().to_dict() == {
        **{("heads", 1): 60, ("robustness", 1): 6, ("scratch", 1): 3, ("scratch", 2): 3},
        **{(grid, epoch): 12 for grid in ("blocks", "statistics") for epoch in (1, 2)},
    }


def test_best_accuracy_is_a_number_not_a_text(tmp_path: Path, monkeypatch: Any) -> None:
    """1e-05 comes after 0.9 in the alphabet."""
    monkeypatch.chdir(tmp_path)
    write_artefacts()
    study = PLAN.studies[EFFICIENCY]
    source = study.sources[0]
    (cell,) = (cell for cell in study.cells(source) if cell.grid == "blocks")
    path = block_path("subsets", source.recipe, (0, 1), cell.recipe, "csv")
    rows = transferred(source, cell, (0, 1))
    rows[0]["test_accuracy"], rows[1]["test_accuracy"] = 9.5e-5, 0.8
    write_rows(path, rows, TRANSFERRED)
    collect(tmp_path)
    table = read(tmp_path / "table.csv").set_index(RUN)
    assert table.loc["natural", 0, "blocks", "1", 20, 0]["best_accuracy"] == 0.8


def test_attacked_networks_have_a_table_of_their_own(tables: dict[str, pd.DataFrame]) -> None:
    robustness = tables["robustness"]
    assert set(robustness["grid"]) == {"robustness"}
    first = robustness[
        (robustness["source_training"] == "robust_l2") & (robustness["source_seed"] == 1)
    ]
    clean = accuracy("robustness", "robust_l2", 20, 1, 0)
    assert list(first["attack"]) == ["none", "pgd", "pgd"]
    assert list(first["norm"]) == ["none", "linf", "l2"]
    assert list(first["accuracy"]) == pytest.approx([clean, clean - 0.2, clean - 0.4])
    assert list(first["epsilon"]) == pytest.approx([0, 2 / 255, 0.25])
    assert set(robustness["n_images"]) == {10}
    # No row of an attack is an epoch.
    curves = tables["curves"]
    assert "attack" not in curves and len(curves[curves["grid"] == "robustness"]) == 6


def test_what_the_sources_cost(tables: dict[str, pd.DataFrame]) -> None:
    sources = tables["sources"]
    assert len(sources) == 5 * 3 * 2  # trainings, seeds, clean and attacked
    cost = sources.groupby("source_training")[["epochs", "passes"]].agg(["min", "max"])
    assert {name: list(row) for name, row in cost.iterrows()} == {
        "natural": [6, 6, 6, 6],
        "robust_l2": [6, 6, 24, 24],
        "fast_linf": [6, 6, 12, 12],
        "free_linf": [3, 3, 12, 12],
        "untrained": [0, 0, 0, 0],
    }
    seconds = sources.set_index(["source_training", "source_seed", "attack"])["seconds"]
    assert seconds.loc["natural", 1, "none"] == 6 * 2.5
    assert seconds.loc["natural", 5, "pgd"] == 6 * 6.5
    assert seconds.loc["untrained", 5, "pgd"] == 0
    accuracies = sources.set_index(["source_training", "source_seed", "attack"])["accuracy"]
    assert accuracies.loc["fast_linf", 5, "none"] == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("training", "passes"),
    [
        ("natural", 1),
        ("robust_l2", 4),  # three steps of PGD, one for the weights
        ("fast_linf", 2),
        ("free_linf", 4),  # every replay is both
        ("untrained", 1),
    ],
)
def test_passes_an_epoch(training: str, passes: int) -> None:
    sources = PLAN.studies[EFFICIENCY].sources
    (recipe,) = (source.recipe for source in sources if source.training == training)
    assert passes_an_epoch(recipe) == passes


def test_distances_are_the_baselines(tables: dict[str, pd.DataFrame]) -> None:
    similarity = tables["similarity"]
    assert set(similarity["source_training"]) == {"natural"}
    assert list(similarity["source_seed"]) == [0, 1, 5]
    row = similarity.iloc[0]
    assert (row["target"], row["measure"], row["value"]) == ("near", "frechet", 3.5)
    assert (row["n_source"], row["n_target"]) == (30, 40)


def test_a_missing_or_edited_artefact_is_told(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    write_artefacts()
    file = sorted(tmp_path.glob("results/subsets/*natural*/seeds5/*.csv"))[0]
    file.write_text(file.read_text().replace("0.5", "0.9"))
    with pytest.raises(UserError, match=re.escape(file.name)):
        collect(tmp_path)
    file.unlink()
    with pytest.raises(UserError, match=re.escape(file.name)):
        collect(tmp_path)


# Differences -------------------------------------------------------------------------------------

PLACE = ["comparison", "grid", "training", "blocks", "images", "epoch", "quantity"]
BASES = ["baseline_grid", "baseline_training", "baseline_blocks"]


def values(differences: pd.DataFrame, comparison: str) -> dict[tuple[Any, ...], float]:
    rows = differences[differences["comparison"] == comparison]
    assert not rows.duplicated([*PLACE, *BASES]).any()
    index = ["grid", "training", "blocks", "images", "epoch", "quantity", *BASES]
    return rows.set_index(index)["value"].round(9).to_dict()


def test_trainings_against_the_baseline(tables: dict[str, pd.DataFrame]) -> None:
    found = values(tables["differences"], "training")
    natural = {"heads": "0", "blocks": "1", "statistics": "1", "robustness": "0"}
    wanted: dict[tuple[Any, ...], float] = {}

    def expect(grid: str, training: str, images: int, epoch: int, quantity: str) -> None:
        blocks = natural[grid]
        key = (grid, training, blocks, images, epoch, quantity, grid, "natural", blocks)
        wanted[key] = pytest.approx(BETTER.get(training, -0.1))

    for training, images in product(("robust_l2", "fast_linf", "free_linf", "untrained"), (20, 40)):
        expect("heads", training, images, 1, "accuracy")
    for grid, epoch in product(("blocks", "statistics"), (1, 2)):
        expect(grid, "robust_l2", 20, epoch, "accuracy")
    # Robust accuracy is a quantity of its own; clean accuracy of the attacked images is none.
    for quantity in ("accuracy", "robust_pgd10_linf_0.00784314", "robust_pgd10_l2_0.25"):
        expect("robustness", "robust_l2", 20, 1, quantity)
    assert found == wanted


def test_blocks_statistics_and_scratch(tables: dict[str, pd.DataFrame]) -> None:
    """At the last epoch, against what the figures' roles say."""
    differences = tables["differences"]
    pair = ("natural", "robust_l2")
    assert values(differences, "blocks") == {
        ("blocks", t, "1", 20, 2, "accuracy", "heads", t, "0"): pytest.approx(0.1) for t in pair
    }
    assert values(differences, "statistics") == {
        ("statistics", t, "1", 20, 2, "accuracy", "blocks", t, "1"): pytest.approx(-0.06)
        for t in pair
    }
    scratch = ("scratch", "untrained", "all")
    all_trainings = STUDY["sources"]["trainings"]
    assert values(differences, "scratch") == {
        **{
            ("heads", t, "0", 20, 1, "accuracy", *scratch): pytest.approx(
                BETTER.get(t, -0.1) + 0.1 + 0.2
            )
            for t in all_trainings
        },
        **{
            ("blocks", t, "1", 20, 2, "accuracy", *scratch): pytest.approx(BETTER[t] + 0.4)
            for t in pair
        },
    }
    assert set(differences["comparison"]) == {"training", "blocks", "statistics", "scratch"}


def test_means_seeds_and_last_epochs(tables: dict[str, pd.DataFrame]) -> None:
    rows = tables["differences"].set_index([*PLACE])
    head = rows.loc["training", "heads", "robust_l2", "0", 20, 1, "accuracy"]
    # Means over source seeds 0, 1, 5 and subsets 0, 1.
    mean = 0.52 + 0.01 * 2 + 0.005 * 0.5
    assert (head["baseline_mean"], head["mean"]) == pytest.approx((mean, mean + 0.08))
    assert (head["n_source_seeds"], head["n_subset_seeds"]) == (3, 2)
    # The same for every pair of seeds: an interval without width.
    assert (head["ci_low"], head["ci_high"]) == pytest.approx((0.08, 0.08))
    assert (head["study"], head["target"], head["model"]) == (EFFICIENCY, "near", "resnet8")
    scratch = rows.loc["scratch", "heads", "robust_l2", "0", 20, 1, "accuracy"]
    assert (scratch["n_source_seeds"], scratch["n_subset_seeds"]) == (3, 1)  # subset 1 alone
    assert scratch["mean"] == pytest.approx(0.52 + 0.02 + 0.005 + 0.08)
    last = tables["differences"].groupby(["grid", "epoch"])["last"].agg(["min", "max"])
    assert {key: list(row) for key, row in last.iterrows()} == {
        **{("heads", 1): [1, 1], ("robustness", 1): [1, 1]},
        **{(grid, epoch): [epoch - 1] * 2 for grid in ("blocks", "statistics") for epoch in (1, 2)},
    }


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Callable[[Callable[[str, Row], Row | None]], Path]:
    """The tables with other rows: ``change`` (table, row) gives a row or None."""

    def make(change: Callable[[str, Row], Row | None]) -> Path:
        for name in ("curves", "robustness"):
            with open(folder / f"{name}.csv", newline="") as handle:
                reader = csv.DictReader(handle)
                rows = [kept for row in reader if (kept := change(name, row)) is not None]
                write_rows(tmp_path / f"{name}.csv", rows, reader.fieldnames or [])
        return tmp_path

    return make


def is_head(row: Row, training: str) -> bool:
    return row["grid"] == "heads" and row["source_training"] == training and row["images"] == "20"


def test_runs_are_paired_by_source_seed_and_subset(copy: Any) -> None:
    """Seeds differ a lot, alike for both: the difference does not notice. Rows in any order."""
    far = {("0", "0"): 0.1, ("0", "1"): -0.2, ("1", "0"): 0.3, ("1", "1"): 0, ("5", "0"): -0.3}

    def shake(name: str, row: Row) -> Row:
        shift = far.get((row["source_seed"], row["subset_seed"]), 0.05)
        column = "test_accuracy" if name == "curves" else "accuracy"
        return row | {column: float(row[column]) + shift}

    folder = copy(shake)
    with open(folder / "curves.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    write_rows(folder / "curves.csv", rows[::-1], list(rows[0]))
    rows = compare(folder)
    heads = rows[(rows["comparison"] == "training") & (rows["training"] == "robust_l2")]
    assert list(heads["value"]) == pytest.approx([0.08] * len(heads))
    assert list(heads["ci_high"] - heads["ci_low"]) == pytest.approx([0] * len(heads), abs=1e-9)


def test_one_better_pair(copy: Any) -> None:
    """By hand: differences .2 for one of six pairs, .08 for five."""

    def better(name: str, row: Row) -> Row:
        if is_head(row, "robust_l2") and (row["source_seed"], row["subset_seed"]) == ("5", "0"):
            row["test_accuracy"] = float(row["test_accuracy"]) + 0.12
        return row

    rows = compare(copy(better)).set_index(PLACE)
    head = rows.loc["training", "heads", "robust_l2", "0", 20, 1, "accuracy"]
    assert head["value"] == pytest.approx(0.08 + 0.12 / 6)
    # All mean squares are .12² / 6: V = .0024 / 6, with two degrees of freedom.
    half = 4.302652729911275 * (0.0024 / 6) ** 0.5
    assert (head["ci_low"], head["ci_high"]) == pytest.approx((0.1 - half, 0.1 + half))


def test_what_was_not_measured_is_left_out_of_both_sides(copy: Any) -> None:
    """A subset that one source seed lacks is dropped for all; an absent source seed alone is."""

    def gaps(name: str, row: Row) -> Row | None:
        seed, subset = row["source_seed"], row["subset_seed"]
        if is_head(row, "robust_l2") and (seed, subset) == ("1", "0"):
            return None
        return None if is_head(row, "fast_linf") and seed == "5" else row

    rows = compare(copy(gaps)).set_index(PLACE)
    head = rows.loc["training", "heads", "robust_l2", "0", 20, 1, "accuracy"]
    assert (head["n_source_seeds"], head["n_subset_seeds"]) == (3, 1)
    assert head["baseline_mean"] == pytest.approx(0.52 + 0.02 + 0.005)  # of subset 1 alone
    assert head["value"] == pytest.approx(0.08)
    head = rows.loc["training", "heads", "fast_linf", "0", 20, 1, "accuracy"]
    assert (head["n_source_seeds"], head["n_subset_seeds"]) == (2, 2)
    assert head["baseline_mean"] == pytest.approx(0.52 + 0.005 + 0.0025)


def test_nothing_to_compare_with_is_no_row(copy: Any) -> None:
    def no_baseline(name: str, row: Row) -> Row | None:
        return None if is_head(row, "natural") else row

    rows = compare(copy(no_baseline))
    heads = rows[(rows["comparison"] == "training") & (rows["grid"] == "heads")]
    assert set(heads["images"]) == {40}
    blocks = rows[rows["comparison"] == "blocks"]
    assert list(blocks["training"]) == ["robust_l2"]


def test_sources_without_a_common_seed_are_not_compared(copy: Any) -> None:
    def apart(name: str, row: Row) -> Row | None:
        seed = {"source_seed": f"9{row['source_seed']}"}
        return row | seed if is_head(row, "natural") else row

    rows = compare(copy(apart))
    heads = rows[(rows["comparison"] == "training") & (rows["grid"] == "heads")]
    assert set(heads["images"]) == {40}


def test_one_pair_bears_no_interval(copy: Any) -> None:
    def single(name: str, row: Row) -> Row | None:
        return row if (row["source_seed"], row["subset_seed"]) == ("0", "0") else None

    rows = compare(copy(single))
    assert len(rows) and rows[["ci_low", "ci_high"]].isna().all(axis=None)
    assert set(rows["n_source_seeds"]) == set(rows["n_subset_seeds"]) == {1}


def test_a_study_without_attacks_and_without_roles(copy: Any) -> None:
    folder = copy(lambda name, row: row if name == "curves" else None)
    rows = compare(folder, json.dumps({"study": EFFICIENCY, "baseline": "natural", "grids": {}}))
    assert set(rows["comparison"]) == {"training"} and set(rows["quantity"]) == {"accuracy"}


def test_architectures_and_targets_are_compared_with_their_own(copy: Any) -> None:
    """Of two models only one has the baseline's training; a second target has another accuracy."""

    def other(name: str, row: Row) -> Row:
        if row["source_training"] == "fast_linf":
            return row | {"source_model": "lenet"}
        return row | {"target": "far"} if row["source_training"] == "free_linf" else row

    rows = compare(copy(other))
    compared = rows[rows["comparison"] == "training"]
    assert not {"fast_linf", "free_linf"} & set(compared["training"])
    scratch = rows[rows["comparison"] == "scratch"]
    assert not {"fast_linf", "free_linf"} & set(scratch["training"])


def test_attacks_of_one_strength_are_not_averaged(copy: Any) -> None:
    """A block of attacks may hold FGSM and PGD of one epsilon, as `main` does."""

    def weaker(name: str, row: Row) -> Row:
        return (
            row | {"attack": "fgsm", "norm": "l2", "epsilon": "0.25"}
            if (name == "robustness" and row["norm"] == "linf")
            else row
        )

    rows = compare(copy(weaker))
    attacked = rows[(rows["grid"] == "robustness") & (rows["quantity"] != "accuracy")]
    assert len(attacked) == 2
    assert sorted(attacked["mean"]) == pytest.approx([0.22, 0.42])


# The page ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables that the page is written from; tests change the differences."""
    folder = tmp_path_factory.mktemp("shown")
    make_efficiency_tables(folder, source_seeds=2, subset_seeds=2, epochs=4)
    return folder


def difference(target: str, images: int, low: float, high: float, **changes: Any) -> Row:
    """Robust minus natural at the heads' last epoch; nan: no interval."""
    value = 0.1 if low != low else (low + high) / 2
    row: Row = {
        "study": EFFICIENCY,
        "target": target,
        "comparison": "training",
        "model": "resnet8",
        "grid": "heads",
        "baseline_grid": "heads",
        "training": "robust_l2",
        "baseline_training": "natural",
        "blocks": "0",
        "baseline_blocks": "0",
        "images": images,
        "epoch": 1,
        "last": 1,
        "quantity": "accuracy",
        "value": value,
        "ci_low": "" if low != low else low,
        "ci_high": "" if high != high else high,
        "mean": 0.7,
        "baseline_mean": 0.7 - value,
        "n_source_seeds": 2,
        "n_subset_seeds": 3,
    }
    return row | changes


def page(folder: Path, rows: list[Row], into: Path, **recipe: Any) -> str:
    """All that a page of these differences says, as one text."""
    into.mkdir(exist_ok=True)
    write(into / "differences.csv", rows)
    names = {name: str(folder / f"{EFFICIENCY}_{name}.csv") for name in ("sources", "similarity")}
    names["differences"] = str(into / "differences.csv")
    return rendered(names, into, **{**EFFICIENCY_RECIPE, **recipe})


def rendered(tables: dict[str, str], into: Path, **recipe: Any) -> str:
    template = folders.find(EFFICIENCY, EFFICIENCY, "page.html.j2")
    assert template is not None
    figures = {}
    for name in re.findall(r'figure\("(\w+)"\)', (ROOT / template).read_text()):
        figures[name] = into / f"{name}.svg"
        figures[name].write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    facts = recipe.pop("facts", {})
    made = parts.page(EFFICIENCY, tables, recipe, facts, figures)
    assert "<script" not in made and "http://" not in re.sub(r'src="data:[^"]*"', "", made)
    text = re.sub(r"<style>.*?</style>", "", made, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


ABOVE, BELOW, OPEN, NONE = (0.05, 0.15), (-0.15, -0.05), (-0.05, 0.15), (float("nan"),) * 2


@pytest.mark.parametrize(
    ("near", "mnist", "said"),
    [
        (ABOVE, ABOVE, ["The claim is supported:", "better on 2 of 2 targets"]),
        (BELOW, BELOW, ["Opposite sign:", "better on 0 of 2 targets", "worse on 2"]),
        (ABOVE, BELOW, ["It depends on the target:", "better on 1 of 2", "worse on 1"]),
        (ABOVE, OPEN, ["It depends on the target:", "worse on 0", "not told apart on 1"]),
        (OPEN, OPEN, ["Inconclusive:", "better on 0 of 2", "not told apart on 2"]),
        (NONE, NONE, ["Not measurable:", "one seed bears no interval"]),
        (ABOVE, NONE, ["Not measurable:"]),
    ],
)
def test_verdict(
    near: tuple[float, float],
    mnist: tuple[float, float],
    said: list[str],
    shown: Path,
    tmp_path: Path,
) -> None:
    """The cells with the fewest images decide, whatever comes later or elsewhere."""
    rows = [difference("near", 100, *near), difference("mnist", 100, *mnist)]
    elsewhere = [
        difference("near", 400, *BELOW),
        difference("mnist", 100, *BELOW, training="robust_linf"),
        difference("mnist", 100, *BELOW, last=0, epoch=0),
        difference("mnist", 100, *BELOW, grid="blocks", blocks="1"),
        difference("mnist", 100, *BELOW, comparison="scratch", baseline_grid="scratch"),
    ]
    text = page(shown, [*rows, *elsewhere], tmp_path)
    for part in said:
        assert part in text
    headlines = ("supported:", "Opposite sign:", "depends on the target:", "Inconclusive:")
    assert sum(headline in text for headline in (*headlines, "Not measurable:")) == 1


def test_the_page_names_the_cells_in_which_the_claim_does_not_hold(
    shown: Path, tmp_path: Path
) -> None:
    rows = [
        difference("near", 100, *ABOVE),
        difference("near", 1600, *BELOW),
        difference("near", 400, -0.15, 0.05),  # below 0, but not told apart from it
        difference("mnist", 100, *ABOVE),
        difference("mnist", 400, *OPEN),
    ]
    text = page(shown, rows, tmp_path)
    assert "The robust source is better in 2 of 5 cells (target, number of images)" in text
    assert "worse (interval below 0) at near 1600;" in text
    assert "not told apart (interval includes 0) at MNIST 400, near 400." in text
    # The differences behind the verdict, with their seeds.
    assert "head only, 2 source and 3 subset seeds: " in text
    assert "near (100 images) +0.100 [0.050, 0.150]" in text
    assert "MNIST (100 images) +0.100 [0.050, 0.150]" in text
    without = page(shown, rows[:1], tmp_path / "one")
    assert "The robust source is better in 1 of 1 cells (target, number of images)." in without


def test_the_page_of_the_collected_tables(folder: Path, tmp_path: Path) -> None:
    """Every grid, from the artefacts above: the columns that the page reads are those that are
    written."""
    names = ("differences", "sources", "similarity")
    paths = {name: str(folder / f"{name}.csv") for name in names}
    text = rendered(
        paths, tmp_path, **json.loads(page_recipe(PLAN, EFFICIENCY, page_module.SETTINGS))
    )
    for part in (
        "The claim is supported:",
        "better on 1 of 1 targets",
        "The robust source is better in 2 of 2 cells (target, number of images).",
        "grid heads 0 unfrozen blocks; solved; 20, 40 images; 2 subset seeds; 5 trainings",
        # Accuracy of the source without attack and under PGD, passes an image, seconds.
        "natural 0.720 0.720 6 21",
        "robust ℓ₂ 0.720 0.720 24 21",
        "untrained 0.720 0.720 0 0",
        # Images; training, blocks, images; attack, images.
        "images near 20 +0.080 [0.080, 0.080] 40 +0.080 [0.080, 0.080]",
        "robust ℓ₂, 1 block, 20 +0.100 [0.100, 0.100]",
        "natural, 1 block, 20 −0.060 [−0.060, −0.060]",
        "robust ℓ₂, head only, 20 +0.380 [0.380, 0.380]",
        "PGD ℓ∞, ε = 2/255, 20 +0.080 [0.080, 0.080]",
        "40, untrained −0.100 [−0.100, −0.100]",
        "near 3.500",
    ):
        assert part in text


def test_nothing_compared(shown: Path, tmp_path: Path) -> None:
    text = page(shown, [difference("near", 100, *ABOVE, training="fast_linf")], tmp_path)
    assert "Not measurable:" in text and "Nothing was compared." in text


def test_a_page_needs_its_study(shown: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="column 'study' has: data_efficiency"):
        page(shown, [difference("near", 100, *ABOVE)], tmp_path, study="other")


def test_cells_without_an_interval_are_not_called_better(shown: Path, tmp_path: Path) -> None:
    rows = [difference("near", 100, *NONE, value=-0.3), difference("mnist", 100, *NONE)]
    text = page(shown, rows, tmp_path)
    assert "better in 2 of 2" not in text


def test_heads_decide_where_one_grid_has_several_numbers_of_blocks(
    shown: Path, tmp_path: Path
) -> None:
    """As in configs/paper.yaml: the figures draw the fewest blocks, and the page says head only."""
    rows = [difference("near", 100, *ABOVE), difference("mnist", 100, *ABOVE)]
    rows += [row | {"blocks": "3", "ci_low": -0.15, "ci_high": -0.05} for row in rows]
    text = page(shown, rows, tmp_path)
    assert "The claim is supported:" in text and "better on 2 of 2 targets" in text
