"""Studies of transfer to whole targets: what the configuration plans and refuses, and the tables
that are gathered, from small artefacts written by hand."""

from __future__ import annotations

import csv
import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.comparisons import write_comparisons
from support.config import DEFAULTS, DELETE, IMPORTED, changed, message
from support.steps import run_step
from support.told import as_collected, facts_of, settings_of, slice_of
from workflow_scripts.advtransfer.addresses import address, block_path, source_path
from workflow_scripts.advtransfer.artifacts.hdf5 import write_hdf5
from workflow_scripts.advtransfer.artifacts.table_writer import write_rows
from workflow_scripts.advtransfer.data.known import class_names
from workflow_scripts.advtransfer.training.imported_recipe import ImportedRecipe
from workflow_scripts.advtransfer.training.recipe import SourceRecipe
from workflow_scripts.config.load import load
from workflow_scripts.evaluate_source import COLUMNS as EVALUATED
from workflow_scripts.studies.kinds.whole_targets.design import TransferStudy
from workflow_scripts.studies.kinds.whole_targets.tables import class_mean_accuracy, transfer_tables
from workflow_scripts.studies.plan import index_rows, make_plan
from workflow_scripts.transfer_source import COLUMNS as TRANSFERRED

STUDY = "fixed_vs_full"
KEY = f"studies.{STUDY}"
GROUPS, TARGETS = f"{KEY}.sources.groups", f"{KEY}.targets"
MODES = "transfers.validated"


def study_of(changes: dict[str, Any]) -> TransferStudy:
    study = make_plan(changed(changes)).studies[STUDY]
    assert isinstance(study, TransferStudy)
    return study


def checkpoint(**more: Any) -> dict[str, Any]:
    return {"checkpoints.mine": {**IMPORTED, **more}, f"{KEY}.sources.checkpoints": ["mine"]}


# The configuration -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({f"{KEY}.baseline": "naturl"}, [f"{KEY}.baseline", "'naturl'", "natural, robust"]),
        ({f"{KEY}.transfer": "fast"}, [f"{KEY}.transfer", "'fast'", "default, validated"]),
        ({f"{KEY}.modes": ["blocks"]}, [f"{KEY}.modes", "last_layer", "full_network"]),
        ({f"{KEY}.trials": 0}, [f"{KEY}.trials", "0"]),
        (
            {f"{GROUPS}.more": {"models": ["resnet8"], "trainings": ["natural"], "seeds": [[7]]}},
            [f"{KEY}.sources", "resnet8 with training natural stands twice"],
        ),
        ({f"{GROUPS}.depth.models": ["resnt"]}, [f"{GROUPS}.depth.models", "'resnt'"]),
        ({f"{GROUPS}.depth.trainings": ["x"]}, [f"{GROUPS}.depth.training", "'x'", "natural"]),
        ({f"{KEY}.sources.images": DELETE}, [f"{KEY}.sources.images is missing"]),
        ({GROUPS: DELETE}, [f"{KEY}.sources", "name groups of models and trainings"]),
        ({f"{TARGETS}.near.classes": ["cat", "dog"]}, ["share images of cat"]),
        (checkpoint(epsilon=3), ["checkpoints.mine.norm is missing"]),
        ({f"{MODES}.full_network.learning_rates": [0.1, 0.1]}, ["full_network.learning_rates"]),
        ({f"{MODES}.full_network.learning_rates": [0]}, ["full_network.learning_rates"]),
        (
            {f"{MODES}.full_network.training.checkpoint": "best_on_test"},
            [f"{MODES}.full_network", "use checkpoint: last, not best_on_test"],
        ),
        (
            {
                f"{KEY}.transfer": "default",
                "transfers.default.full_network.training.checkpoint": "best_on_test",
            },
            ["transfers.default.full_network.training.checkpoint", KEY, "use checkpoint: last"],
        ),
        (
            {f"{MODES}.last_layer.regularizations": [0.1]},
            [f"{MODES}.last_layer", "are for solver lbfgs"],
        ),
        (
            {"transfers.default.last_layer.learning_rates": [0.1]},
            ["transfers.default.last_layer", "are for solver sgd"],
        ),
    ],
)
def test_mistakes(changes: dict[str, Any], parts: list[str]) -> None:
    text = message(changed(changes))
    for part in parts:
        assert part in text


def test_sources_are_told_apart_by_norm_and_epsilon() -> None:
    study = study_of(checkpoint(epsilon="4/255", norm="linf"))
    found = {(s.model, s.training): s for s in study.sources}
    natural, robust = found["resnet8", "natural"], found["resnet8", "robust_l2"]
    assert (natural.norm, natural.epsilon, natural.robust) == ("", 0.0, False)
    assert (robust.norm, robust.epsilon, robust.robust) == ("l2", 0.5, True)
    mine = found["resnet8", "l2_3"]
    assert (mine.norm, mine.epsilon, mine.robust) == ("linf", 4 / 255, True)
    assert isinstance(mine.recipe, ImportedRecipe) and study.evaluation(mine) is None
    for more, robust in (({"epsilon": 0}, False), ({}, None)):
        (mine,) = (s for s in study_of(checkpoint(**more)).sources if s.training == "l2_3")
        assert (mine.norm, mine.robust) == ("", robust)


def test_networks_are_shared_with_the_other_studies() -> None:
    plan = make_plan(DEFAULTS)
    own = {s.training: s.recipe for s in plan.studies[STUDY].sources if s.model == "resnet8"}
    other = {source.training: source.recipe for source in plan.studies["data_efficiency"].sources}
    assert all(other[training] == recipe for training, recipe in own.items())
    # All others, seeds included, are those of the study with the most architectures.
    most = plan.studies["accuracy_and_robustness"].sources
    there = {address(source.recipe): source.seed_blocks for source in most}
    for source in plan.studies[STUDY].sources:
        if source.norm != "linf":
            assert there[address(source.recipe)] == source.seed_blocks


def test_a_learning_rate_that_is_replaced_makes_no_other_recipe() -> None:
    plain = study_of({})
    again = study_of({f"{MODES}.full_network.training.learning_rate": 0.7})
    assert plain == again
    other = study_of({f"{MODES}.full_network.learning_rates": [0.1, 0.02]})
    assert plain.targets[0].transfers[0].modes[0] == other.targets[0].transfers[0].modes[0]
    assert plain.targets != other.targets


def test_trials_and_modes() -> None:
    once = study_of({})
    thrice = study_of({f"{KEY}.trials": 3})
    for target, more in zip(once.targets, thrice.targets, strict=True):
        assert target.transfers == more.transfers[:1]
        assert [transfer.trial for transfer in more.transfers] == [0, 1, 2]
        assert len({address(transfer) for transfer in more.transfers}) == 3
    (mode,) = study_of({f"{KEY}.modes": ["last_layer"]}).targets[0].transfers[0].modes
    assert mode.mode == "last_layer"
    names = {row["name"] for row in index_rows(make_plan(changed({f"{KEY}.trials": 2})))}
    assert "resnet8/natural -> near, trial 1" in names


def test_the_recipe_of_the_tables_makes_the_study_again() -> None:
    changes = checkpoint(epsilon=3, norm="l2")
    again = as_collected(make_plan(changed(changes)), STUDY)
    assert set(again.files()) == set(study_of(changes).files())


def test_recipes_of_summaries_and_page_are_json() -> None:
    plan = make_plan(DEFAULTS)
    recipe = settings_of(plan, STUDY, "analysis")
    assert recipe["baseline"] == "natural" and recipe["metrics"]["near"] == "accuracy"
    facts = facts_of(plan, STUDY)
    assert facts["full-network transfer"] == "SGD, 4 epochs, learning rate 0.1 or 0.03"
    assert facts["sources resnet14 (seeds)"] == (
        "natural (3), robust_l2_quarter (2), robust_l2 (2)"
    )


def test_the_papers_scale() -> None:
    """Four architectures, fifteen epsilons, three trials; all targets but Birdsnap, whose folder
    must be there to be planned."""
    config = load("configs/paper.yaml")
    study = make_plan(config, class_names).studies[STUDY]
    assert len(study.sources) == 4 * 15
    assert len({(source.norm, source.epsilon) for source in study.sources}) == 15
    assert len(study.targets) == 11 and {len(t.transfers) for t in study.targets} == {3}
    sizes = {target.name: len(target.train.classes) for target in study.targets}
    assert (sizes["sun397"], sizes["caltech256"], sizes["pets"]) == (397, 257, 37)
    scored = {t.name for t in study.targets if t.metric == "class_mean_accuracy"}
    assert scored == {"aircraft", "caltech101", "caltech256", "flowers", "pets"}
    for mode in study.targets[0].transfers[0].modes:
        assert mode.learning_rates == (0.01, 0.001) and mode.training is not None
        assert (mode.training.epochs, mode.training.batch_size) == (150, 64)
        assert (mode.training.weight_decay, mode.training.schedule) == (5e-4, "step")
        assert mode.training.augmentation == "resized_crop_flip"


# The tables --------------------------------------------------------------------------------------


def test_class_mean_accuracy() -> None:
    """Nine of ten of one class, none of two of another: weights N / (n_c C) by hand."""
    labels = np.array([0] * 10 + [2] * 2)
    logits = np.eye(3)[[0] * 9 + [1] + [0, 1]]
    assert class_mean_accuracy(logits, labels) == pytest.approx((0.9 + 0.0) / 2)
    weights = np.where(labels == 0, 12 / (10 * 2), 12 / (2 * 2))
    right = logits.argmax(1) == labels
    assert class_mean_accuracy(logits, labels) == pytest.approx((weights * right).mean())
    assert class_mean_accuracy(logits[:10], labels[:10]) == pytest.approx(0.9)


SMALL = {
    f"{MODES}.last_layer.learning_rates": [0.1, 0.01],
    f"{MODES}.full_network.learning_rates": [0.1, 0.01],
    KEY: {
        "sources": {
            "dataset": "cifar10",
            "classes": ["cat", "frog"],
            "images": 60,
            "groups": {
                "one": {
                    "models": ["resnet8"],
                    "trainings": ["natural", "robust_l2"],
                    "seeds": [[0, 3]],
                }
            },
        },
        "baseline": "natural",
        "targets": {"near": {"dataset": "cifar10", "classes": ["dog", "ship"], "images": 40}},
        "transfer": "validated",
        "trials": 2,
    },
}
LABELS = np.array([0, 0, 0, 1])
# Logits of the candidates at 0.1 and at 0.01: one and all of the test images are right.
CANDIDATES = np.stack([np.eye(2)[[0, 1, 1, 0]], np.eye(2)[LABELS]]).astype(np.float32)


def write_artefacts(study: TransferStudy) -> None:
    write_comparisons(study, train=[0, 7])
    for source in study.sources:
        assert isinstance(source.recipe, SourceRecipe)
        (seeds,) = source.seed_blocks
        for seed in seeds:
            path = source_path(source.recipe, seed, "history.csv")
            columns = ("epoch", "train_loss", "train_accuracy", "seconds")
            write_rows(path, [{"epoch": 1, "seconds": 2.0}] * 6, columns)
        evaluated = [
            {"seed": seed, "attack": "none", "norm": "none", "epsilon": 0, "accuracy": 0.8}
            for seed in seeds
        ]
        path = block_path("evaluations", source.recipe, seeds, study.evaluation(source), "csv")
        write_rows(path, evaluated, EVALUATED)
        for transfer in study.targets[0].transfers:
            rows, arrays = [], {"labels": LABELS}
            for seed in seeds:
                for mode in ("last_layer", "full_network"):
                    name = f"seed{seed}/{mode}"
                    arrays |= {
                        f"{name}/logits": CANDIDATES[0],
                        f"{name}/candidate_logits": CANDIDATES,
                    }
                    fixed = {"seed": seed, "mode": mode}
                    for rate, chosen, test in ((0.01, 0, 1.0), (0.1, 1, 0.25)):
                        own = {**fixed, "learning_rate": rate, "chosen": chosen}
                        rows += [{**own, "epoch": 1, "train_loss": 0.7}]
                        measured = {"validation_accuracy": 0.6 + chosen / 10, "test_loss": 1}
                        rows += [{**own, "epoch": 2, **measured, "test_accuracy": test}]
            path = block_path("transfers", source.recipe, seeds, transfer, "csv")
            write_rows(path, rows, TRANSFERRED)
            write_hdf5(path.removesuffix("csv") + "h5", arrays, {})


def test_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = changed(SMALL)
    monkeypatch.chdir(tmp_path)
    study = study_of(SMALL)
    write_artefacts(study)
    line = ["--study", STUDY, "--kind", STUDY, "--root", str(tmp_path), "--output"]
    line += [f"{name}={tmp_path / name}.csv" for name in ("table", "curves", "sources")]
    run_step("collect_tables", ["--recipe", slice_of(config, STUDY), *line])

    def rows(name: str) -> list[dict[str, str]]:
        with open(tmp_path / f"{name}.csv", newline="") as handle:
            return list(csv.DictReader(handle))

    networks = rows("table")
    # Trainings, seeds, trials, modes, selections.
    assert len(networks) == 2 * 2 * 2 * 2 * 2
    ours, theirs = networks[:2]
    assert (ours["selection"], ours["learning_rate"], ours["accuracy"]) == (
        *("validation", "0.1", "0.25"),
    )
    assert (theirs["selection"], theirs["learning_rate"], theirs["accuracy"]) == (
        *("test", "0.01", "1"),
    )
    assert float(ours["class_mean_accuracy"]) == pytest.approx((1 / 3 + 0) / 2)
    assert ours["validation_accuracy"] == "0.7" and theirs["validation_accuracy"] == "0.6"
    assert (ours["images"], ours["n_test"], ours["epochs"]) == ("40", "4", "30")
    assert {(r["shared_images"], r["shared_test_images"]) for r in networks} == {("2", "0")}
    norms = {(r["source_norm"], r["source_epsilon"], r["robust"]) for r in networks}
    assert norms == {("", "0", "0"), ("l2", "0.5", "1")}
    assert {(r["source_seed"], r["trial"]) for r in networks} == {
        *(("0", "0"), ("0", "1"), ("3", "0"), ("3", "1")),
    }
    curves = rows("curves")
    assert len(curves) == 2 * 2 * 2 * 2 * 4
    assert [r["chosen"] for r in curves[:4]] == ["0", "0", "1", "1"]
    sources = rows("sources")
    assert {(r["source_training"], r["passes"], r["seconds"]) for r in sources} == {
        *(("natural", "6", "12.0"), ("robust_l2", "24", "12.0")),
    }


def test_the_rate_on_test_images_is_chosen_by_what_the_target_is_scored_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 0.01 the large class alone is right, 3 of 4 images; at 0.1 one of it and the small one."""
    monkeypatch.chdir(tmp_path)
    study = study_of(SMALL)
    candidates = np.stack([np.eye(2)[[0, 1, 1, 1]], np.eye(2)[[0, 0, 0, 0]]]).astype(np.float32)
    monkeypatch.setattr(sys.modules[__name__], "CANDIDATES", candidates)
    write_artefacts(study)
    for metric, rate in (("accuracy", "0.01"), ("class_mean_accuracy", "0.1")):
        target = dataclasses.replace(study.targets[0], metric=metric)
        (_, networks), _ = transfer_tables(dataclasses.replace(study, targets=(target,)))
        on_test = [row for row in networks if row["selection"] == "test"]
        assert {row["learning_rate"] for row in on_test} == {rate}
        assert {row["learning_rate"] for row in networks if row not in on_test} == {"0.1"}
