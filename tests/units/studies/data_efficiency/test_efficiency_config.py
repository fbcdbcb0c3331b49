"""The study of data efficiency in the configuration: what it plans, and what it refuses."""

from __future__ import annotations

import copy
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from support.config import (
    DEFAULTS,
    DELETE,
    FIRST,
    IMPORTED,
    OVERLAYS,
    ROOT,
    SECOND,
    addresses,
    changed,
    message,
)
from support.efficiency_config import GRIDS, KEY, PART, SOURCES, STUDY, TARGETS, with_overlay
from support.told import as_collected, facts_of, slice_of
from workflow_scripts.advtransfer.addresses import address
from workflow_scripts.advtransfer.data.known import class_names
from workflow_scripts.advtransfer.transfer.subsets_recipe import cached_features
from workflow_scripts.studies.data_efficiency.design import EfficiencyStudy
from workflow_scripts.studies.plan import index_rows, make_plan, settings_recipe

ONLY_IMPORTED = {"checkpoints": ["mine"]}


def study_of(changes: dict[str, Any]) -> EfficiencyStudy:
    study = make_plan(changed(changes)).studies[STUDY]
    assert isinstance(study, EfficiencyStudy)
    return study


def imported(**changes: Any) -> dict[str, Any]:
    """Changes to the configuration: one source more, of another program."""
    part = {key: value for key, value in (IMPORTED | changes).items() if value is not None}
    return {"checkpoints.mine": part, f"{SOURCES}.checkpoints": ["mine"]}


# Mistakes ----------------------------------------------------------------------------------------

FINE_TUNING = f"{GRIDS}.blocks.training"


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        # Names of what is not there, with what there is.
        ({f"{KEY}.baseline": "naturl"}, [f"{KEY}.baseline", "'naturl'", "natural, natural_equal"]),
        # Known to the configuration, but no source of this study has it.
        (
            {f"{SOURCES}.trainings": ["natural", "robust_linf"]},
            [f"{KEY}.robust", "'robust_l2'", "natural, robust_linf."],
        ),
        (
            {f"{KEY}.figures.images": ["head"]},
            [f"{KEY}.figures.images: no 'head'", "heads, heads_more"],
        ),
        (
            {f"{GRIDS}.blocks.trainings": ["natural", "rubust_l2"]},
            [f"{GRIDS}.blocks.trainings", "'rubust_l2'", "robust_l2,"],
        ),
        (
            {f"{GRIDS}.blocks.targets": ["near", "minst"]},
            [f"{GRIDS}.blocks.targets", "'minst'", "near, mnist, fashion_mnist"],
        ),
        (
            {f"{GRIDS}.robustness.attacks": "transfered"},
            [f"{GRIDS}.robustness.attacks", "'transfered'", "main, robustness, transferred"],
        ),
        ({f"{SOURCES}.models": ["resnet9"]}, [f"{SOURCES}.models", "resnet9", "resnet8"]),
        ({f"{SOURCES}.trainings": ["natrl"]}, [f"{SOURCES}.training", "natrl", "natural"]),
        (
            {f"{SOURCES}.checkpoints": ["mine"]},
            [f"{SOURCES}.checkpoints: no 'mine'", "efficientnet_lite0, mobilenet_v2"],
        ),
        (imported(model="resnet50"), ["checkpoints.mine.model: no 'resnet50'", "resnet8"]),
        ({f"{TARGETS}.near.dataset": "cifar"}, ["no 'cifar' in `data.datasets`", "cifar10"]),
        ({"main_job": [FIRST, "data_eficiency"]}, ["main_job", "'data_eficiency'", STUDY]),
        # Sources.
        ({SOURCES: {}}, [f"{SOURCES}: name models and trainings, or checkpoints"]),
        (
            {f"{SOURCES}.models": DELETE},
            [f"{SOURCES}: name models and trainings, or checkpoints"],
        ),
        *(
            ({f"{SOURCES}.{key}": DELETE}, [f"{SOURCES}.{key} is missing", "trained on it"])
            for key in ("dataset", "classes", "images", "seeds")
        ),
        ({f"{SOURCES}.seeds": [[0, 1], [1]]}, [f"{SOURCES}.seeds: seed 1", "two blocks"]),
        (
            {f"{SOURCES}.classes": ["cat", "dog", "ship"]},
            [KEY, "target 'near'", "share images of dog, ship", "`half: 0`", "`half: 1`"],
        ),
        # What a solver needs and what it cannot do.
        (
            {f"{GRIDS}.heads.blocks": [0, 1]},
            [f"{GRIDS}.heads", "lbfgs finds heads only", "blocks: [0]"],
        ),
        ({f"{GRIDS}.heads.blocks": ["all"]}, [f"{GRIDS}.heads", "lbfgs finds heads only"]),
        (
            {f"{GRIDS}.heads.regularizations": DELETE},
            [f"{GRIDS}.heads.regularizations is missing"],
        ),
        (
            {f"{GRIDS}.heads.regularizations": [1, 0.1, 1.0]},
            [f"{GRIDS}.heads.regularizations", "stands twice"],
        ),
        ({FINE_TUNING: DELETE}, [f"{FINE_TUNING} is missing", "sgd"]),
        ({f"{FINE_TUNING}.epochs": 0}, [f"{FINE_TUNING}.epochs", "at least 1"]),
        (
            {f"{FINE_TUNING}.checkpoint": "best_on_test"},
            [FINE_TUNING, "leave out checkpoint and validation_images"],
        ),
        (
            {f"{FINE_TUNING}.validation_images": 20},
            [FINE_TUNING, "leave out checkpoint and validation_images"],
        ),
        ({f"{FINE_TUNING}.momentum": 0}, [FINE_TUNING, "nesterov needs a momentum"]),
        # With 0 unfrozen blocks all batch norm is in the frozen part.
        *(
            (
                {f"{GRIDS}.blocks.blocks": [0, 1], **more},
                [f"{GRIDS}.blocks: with 0 unfrozen", "batch_norm: frozen", "moving_statistics"],
            )
            for more in (
                {},
                {
                    f"{FINE_TUNING}.batch_norm": "frozen",
                    f"{GRIDS}.blocks.moving_statistics": True,
                },
            )
        ),
        # Subsets.
        (
            {f"{GRIDS}.heads.images": [[100, 10001]]},
            [f"{GRIDS}.heads.images", "subsets of 10001", "10000 of target 'near'"],
        ),
        (
            {f"{TARGETS}.mnist.images": 6399},
            [f"{GRIDS}.heads_more.images", "6400", "6399 of target 'mnist'"],
        ),
        (
            {f"{GRIDS}.blocks.images": [[100, 400], [1600, 400]]},
            [f"{GRIDS}.blocks.images: 400 stands in two blocks"],
        ),
        (
            {f"{GRIDS}.blocks.subset_seeds": [[0, 1], [1, 2]]},
            [f"{GRIDS}.blocks.subset_seeds: seed 1 stands in two blocks"],
        ),
        (
            {f"{GRIDS}.robustness.attacked_images": DELETE},
            [f"{GRIDS}.robustness.attacked_images is missing"],
        ),
        # What the schema refuses.
        ({f"{GRIDS}.heads.blocks": ["some"]}, [f"{GRIDS}.heads.blocks[0]", "or all"]),
        ({f"{GRIDS}.heads.solver": "adam"}, [f"{GRIDS}.heads.solver", "lbfgs"]),
        ({f"{GRIDS}.heads.images": [100]}, [f"{GRIDS}.heads.images[0]", "array"]),
        ({f"{GRIDS}.heads.imges": [[100]]}, [f"{GRIDS}.heads.imges", "did you mean 'images'?"]),
        ({f"{KEY}.robust": DELETE}, [f"{KEY}.robust is missing"]),
        ({"main_job": []}, ["main_job: needs at least 1 item"]),
        ({"trainings.free_linf.replays": 0}, ["trainings.free_linf.replays", "minimum of 1"]),
        (imported(sha256="AB" * 32), ["checkpoints.mine.sha256", "64 digits"]),
        (imported(file="-x"), ["checkpoints.mine.file: '-x' does not fit"]),
        (imported(size=None), ["checkpoints.mine.size is missing"]),
        (imported(std=[0.5, 0.0, 0.5]), ["checkpoints.mine.std[1]", "0"]),
        (imported(training="l2/3"), ["checkpoints.mine.training: 'l2/3' does not fit"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_mistakes(changes: dict[str, Any], parts: list[str]) -> None:
    text = message(changed(changes))
    for part in parts:
        assert part in text
    assert "problems:" not in text


TWICE = [
    {"attack": "pgd", "norm": "l2", "epsilon": 0.25, "steps": steps, "labels": "true"}
    for steps in (10, 128)
]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"trainings.natural_equal_cost.replays": 4}, ["natural_equal_cost", "attack"]),
        ({"trainings.free_linf.attack.steps": 3}, ["trainings.free_linf", "steps"]),
        ({f"{FINE_TUNING}.replays": 2}, [FINE_TUNING, "attack"]),
        # The mode's own check, which the plan could ask.
        ({f"{GRIDS}.statistics.training.batch_norm": "frozen"}, ["statistics", "batch_norm"]),
        ({f"{GRIDS}.robustness.attacked_images": 5000}, ["attacked_images (5000)", "(1000)"]),
        # What a figure or a table would average over.
        ({f"{KEY}.robust": "natural"}, [f"{KEY}.robust", "baseline"]),
        (
            {f"{KEY}.figures.images": ["heads", "head_epochs"]},
            [f"{KEY}.figures.images", "100 images", "0 unfrozen blocks"],
        ),
        ({f"{GRIDS}.scratch.trainings": ["natural"]}, [f"{KEY}.figures.scratch", "epochs: 0"]),
        ({"attacks.transferred": TWICE}, ["attacks", "steps"]),
        # Asked for, and not done.
        ({f"{GRIDS}.heads.moving_statistics": True}, ["heads", "moving_statistics"]),
        ({f"{GRIDS}.heads.initial_head": "normal"}, ["heads", "initial_head"]),
        ({f"{GRIDS}.scratch.moving_statistics": True}, ["scratch", "moving_statistics"]),
        ({f"{GRIDS}.blocks.regularizations": [0.1]}, ["blocks", "regularizations"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_mistakes_that_no_job_should_meet(changes: dict[str, Any], parts: list[str]) -> None:
    text = message(changed(changes))
    for part in parts:
        assert part in text


def test_targets_that_do_not_take_part_need_no_images() -> None:
    """Sizes are compared with the targets of the grid, not with all of the study."""
    only_near = {f"{GRIDS}.{name}.targets": ["near"] for name in PART["grids"]}
    study = study_of({f"{TARGETS}.mnist.images": 10, **only_near})
    assert {cell.target.name for s in study.sources for cell in study.cells(s)} == {"near"}


# Checkpoints of other programs -------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    """A checkpoint that is there: bytes and names of classes."""
    (tmp_path / "mine.pth").write_bytes(b"weights")
    (tmp_path / "classes.txt").write_text("tench\ngreat white shark\n\n")
    names = {"file": "mine.pth", "classes_file": "classes.txt"}
    return {key: str(tmp_path / name) for key, name in names.items()}


def recipe_of(changes: dict[str, Any]) -> Any:
    (source,) = (s for s in study_of(changes).sources if s.training == "l2_3")
    return source.recipe


def test_missing_checkpoints_can_be_planned() -> None:
    """Only making them needs the files, so other studies of the configuration can be made."""
    config = changed(imported())
    (source,) = (s for s in study_of(imported()).sources if s.training == "l2_3")
    assert source.seed_blocks == ((0,),)
    assert source.robust is None  # only its name may say so
    paths = [row["path"] for row in index_rows(make_plan(config)) if "imported-mine" in row["path"]]
    assert any(path.endswith("seed0/model.safetensors") for path in paths)
    assert any("/subsets/" in path for path in paths)
    # What it was trained on is not at hand.
    assert not [path for path in paths if "/evaluations/" in path or "/similarity/" in path]


def test_a_checkpoint_is_known_by_its_content(files: dict[str, Any]) -> None:
    first = recipe_of(imported(**files))
    assert first.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert first.classes == ("tench", "great white shark")
    # sha256 says which file is meant; written out, it changes nothing.
    assert recipe_of(imported(**files, sha256=first.sha256)) == first
    Path(files["file"]).write_bytes(b"other weights")
    assert address(recipe_of(imported(**files))) != address(first)


def test_another_file_than_sha256_names_is_refused(files: dict[str, Any]) -> None:
    text = message(changed(imported(**files, sha256="0" * 64)))
    assert "checkpoints.mine.file" in text and files["file"] in text
    assert hashlib.sha256(b"weights").hexdigest() in text
    assert "download it again" in text
    # As long as it is not there, its name says what it will be.
    there = {key: value for key, value in files.items() if key != "file"}
    assert recipe_of(imported(**there, sha256="0" * 64)).sha256 == "0" * 64


def test_imported_sources_alone() -> None:
    """They share no images with a target: nobody can say."""
    part = PART | {
        "sources": ONLY_IMPORTED | {"checkpoints": ["mine", "other"]},
        "baseline": "natural",
        "robust": "l2_3",
    }
    part["grids"] = {"heads": PART["grids"]["heads"]}
    part["figures"] = {"images": ["heads"]}
    both = {"mine": IMPORTED, "other": IMPORTED | {"training": "natural"}}
    config = changed({KEY: part, "checkpoints": DEFAULTS["checkpoints"] | both})
    plan = make_plan(config)
    source, _ = plan.studies[STUDY].sources
    assert not [path for path in plan.studies[STUDY].files() if "/evaluations/" in path]
    assert "training images of a source" not in facts_of(plan, STUDY)


# Plans -------------------------------------------------------------------------------------------


def test_the_papers_grid_has_7776_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    study = make_plan(with_overlay("paper"), class_names).studies[STUDY]
    assert isinstance(study, EfficiencyStudy)
    runs: Counter[tuple[str, str, str]] = Counter()
    each: list[tuple[Any, ...]] = []
    for source in study.sources:
        for cell in study.cells(source):
            place = (source.training, cell.target.name, cell.blocks)
            sizes = cell.recipe.images, cell.recipe.subset_seeds
            runs[place] += len(sizes[0]) * len(sizes[1])
            each += [(*place, images, seed) for images in sizes[0] for seed in sizes[1]]
    assert sum(runs.values()) == len(set(each)) == 7776
    assert set(runs.values()) == {81}
    trainings, targets, blocks = (set(part) for part in zip(*runs, strict=True))
    assert trainings == {"natural", "l2_3", "linf_4", "linf_8"}
    assert targets == {"cifar100", "cifar10", "svhn", "fashion_mnist", "kmnist", "mnist"}
    assert blocks == {"0", "1", "3", "9"}
    # All the images of every target are used once.
    most = {target: max(e[3] for e in each if e[1] == target) for target in targets}
    assert most == {t.name: t.train.images for t in study.targets}
    # Statistics of frozen blocks move, as in the papers' code: nothing can be kept.
    modes = [cell.recipe for source in study.sources for cell in study.cells(source)]
    assert all(cached_features(recipe) is None for recipe in modes)
    assert {mode.mode.initial_head for mode in modes} == {"normal"}


def test_the_default_study_is_what_config_yaml_says() -> None:
    study = study_of({})
    assert [source.robust for source in study.sources] == [
        *(False, False, True, True, True, True, True, True, False),
    ]
    free, untrained = study.sources[-2:]
    assert free.recipe.training.replays == 4 and free.recipe.training.attack.steps == 1
    assert untrained.recipe.training.epochs == 0
    natural = study.sources[0]
    cells = {(c.grid, c.blocks): c.recipe for c in study.cells(natural) if c.target.name == "near"}
    assert set(cells) == {
        (name, str(blocks))
        for name, part in PART["grids"].items()
        for blocks in part["blocks"]
        if "natural" in part.get("trainings", ["natural"])
    }
    assert len(cells) > 6
    # Solved heads, heads over epochs and attacked heads: the frozen network runs once.
    kept = [cached_features(cells[grid, "0"]) for grid in ("heads", "head_epochs", "robustness")]
    assert kept[0] is not None and kept[0] == kept[1] == kept[2]
    assert cached_features(cells["statistics", "1"]) is None
    assert len(cells["robustness", "0"].attacks) == 2 and not cells["heads", "0"].attacks
    assert {c.grid for c in study.cells(untrained)} == {"heads", "heads_more", "scratch"}
    # Distances of targets are measured in the features of the baseline alone.
    measured = [s.training for s in study.sources for _ in study.similarities(s)]
    assert measured == ["natural"] * 3


def test_what_pairs_of_studies_share() -> None:
    """natural and robust sources are those of the first study: no network is trained twice."""
    plan = make_plan(copy.deepcopy(DEFAULTS))
    first = {address(source.recipe) for source in plan.studies[FIRST].sources}
    shared = {s.training for s in plan.studies[STUDY].sources if address(s.recipe) in first}
    assert shared == {"natural", "robust_l2", "robust_linf"}


HEADS = f"{GRIDS}.heads"


@pytest.mark.parametrize(
    ("changes", "new"),
    [
        ({f"{KEY}.baseline": "untrained"}, set()),
        ({f"{KEY}.figures": {"images": ["heads"]}}, set()),
        ({f"{SOURCES}.seeds": [[0, 1, 2], [3]]}, set()),  # seeds stand in paths, not in recipes
        # What is there stays: another block of sizes or subsets is another file.
        ({f"{HEADS}.images": [[100, 200, 400, 800, 1600], [10000]]}, {"SubsetsRecipe"}),
        ({f"{HEADS}.subset_seeds": [[*range(10)], [10]]}, {"SubsetsRecipe"}),
        ({f"{HEADS}.regularizations": [0.01, 0.1]}, {"SubsetsRecipe"}),
        ({f"{GRIDS}.blocks.blocks": [1, 2, 4]}, {"SubsetsRecipe", "FeaturesRecipe"}),
        ({f"{GRIDS}.robustness.attacked_images": 100}, {"SubsetsRecipe"}),
        ({f"{KEY}.similarity_images": 500}, {"ViewRecipe", "SimilarityRecipe"}),
        (
            {f"{TARGETS}.near.images": 9999},
            {"ViewRecipe", "FeaturesRecipe", "SubsetsRecipe", "ComparisonRecipe"},
        ),
        ({f"{KEY}.shared_images": "drop"}, set()),  # the default
        ({f"{KEY}.shared_images": "refuse"}, {"SubsetsRecipe", "ComparisonRecipe"}),
        ({"trainings.free_linf.replays": 2}, {"SourceRecipe"}),
        ({"attacks.transferred.0.steps": 11}, {"SubsetsRecipe"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_a_change_makes_only_what_it_must(changes: dict[str, Any], new: set[str]) -> None:
    before, after = addresses({}), addresses(changes)
    assert {kind for kind in after if after[kind] - before.get(kind, set())} == new


@pytest.mark.parametrize(
    "changes",
    [
        {f"{HEADS}.images": [[100, 200, 400, 800, 1600], [10000]]},
        {f"{HEADS}.subset_seeds": [[*range(10)], [10]]},
        {f"{SOURCES}.seeds": [[0, 1, 2], [3]]},
        {f"{TARGETS}.other": {**PART["targets"]["near"], "test_images": 900}},
        {f"{SOURCES}.trainings": [*PART["sources"]["trainings"], "slow"]}
        | {"trainings.slow": {"epochs": 9, "batch_size": 9, "learning_rate": 0.1}},
        {f"{GRIDS}.blocks.blocks": [1, 2, 4]},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_what_is_added_leaves_the_rest_alone(changes: dict[str, Any]) -> None:
    before, after = (set(study_of(part).files()) for part in ({}, changes))
    assert before < after


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"label": "mine"}, False),
        ({"main_job": [STUDY]}, False),
        ({f"studies.{FIRST}.mask": "all"}, False),
        ({f"studies.{SECOND}": DELETE}, False),
        ({"models.unused": {"family": "lenet"}}, False),
        ({"models.vgg.width": 8}, False),  # a model of another study
        ({"attacks.main.0.steps": 11}, False),
        ({"transfers.default.last_layer.regularization": 0.1}, False),
        ({"checkpoints.unused": IMPORTED}, False),
        ({"statistics.bootstrap": 10}, False),
        ({"models.resnet8.width": 8}, True),
        ({"trainings.free_linf.replays": 2}, True),
        ({"attacks.transferred.0.steps": 11}, True),
        ({"evaluation.images": 499}, True),
        ({f"{HEADS}.images": [[100]]}, True),
        ({f"{KEY}.similarity_images": 500}, True),
        ({"precision.training": "fp32"}, True),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_slice_holds_the_study_and_nothing_of_others(
    changes: dict[str, Any], differs: bool
) -> None:
    before = slice_of(copy.deepcopy(DEFAULTS), STUDY)
    assert (slice_of(changed(changes), STUDY) != before) == differs


@pytest.mark.parametrize(
    "overlay",
    [path.stem for path in OVERLAYS],
)
def test_a_slice_of_an_overlay_makes_the_same_study(
    overlay: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step that gathers the tables knows nothing else."""
    monkeypatch.chdir(ROOT)
    plan = make_plan(with_overlay(overlay), class_names)
    for name, study in plan.studies.items():
        assert set(as_collected(plan, name).files()) == set(study.files())


def test_an_overlay_may_remove_the_checkpoints() -> None:
    plan = make_plan(changed({"checkpoints": None, "studies.pretrained": None}))
    assert set(as_collected(plan, STUDY).files()) == set(plan.studies[STUDY].files())


# The main job ------------------------------------------------------------------------------------


def test_main_job() -> None:
    assert make_plan(changed({})).main == [FIRST, SECOND]
    assert make_plan(changed({"main_job": [STUDY, FIRST]})).main == [STUDY, FIRST]
    # An overlay that leaves out one of its studies need not say so again.
    assert make_plan(changed({f"studies.{FIRST}": DELETE})).main == [SECOND]
    alone = changed({f"studies.{FIRST}": DELETE, f"studies.{SECOND}": DELETE})
    assert make_plan(alone).main == [
        name for name in DEFAULTS["studies"] if name not in (FIRST, SECOND)
    ]


# Figures and page --------------------------------------------------------------------------------


def test_figures_are_told_what_they_show() -> None:
    plan = make_plan(copy.deepcopy(DEFAULTS))
    keys = ["baseline", "robust", "grids", "targets", "trainings"]
    recipe = json.loads(settings_recipe(plan, STUDY, keys))
    assert (recipe["baseline"], recipe["robust"]) == ("natural", "robust_l2")
    assert recipe["grids"]["epochs"] == ["head_epochs"]
    assert recipe["targets"]["near"] == ["dog", "horse", "ship", "truck"]
    assert recipe["trainings"] == PART["sources"]["trainings"]


def test_the_page_prints_the_protocol() -> None:
    facts = facts_of(make_plan(copy.deepcopy(DEFAULTS)), STUDY)
    assert facts["training images of a source"] == 10000
    assert facts["source seeds"] == 3
    assert facts["target mnist"] == "10000 images to draw from, 1000 test images"
    assert facts["grid head_epochs"] == (
        "0 unfrozen blocks; SGD, 150 epochs; 100, 400, 1600 images; 10 subset seeds; 2 trainings"
    )
    assert facts["training robust_l2"] == "6 epochs, pgd3-l2-0.5"
    assert facts["training free_linf"] == "3 epochs, fgsm-linf-4/255, 4 replays"
    assert "; SGD, 20 epochs, moving batch norm statistics; " in facts["grid statistics"]
    assert facts["attacks of robustness"] == ["pgd10-linf-2/255", "pgd10-l2-0.25"]
    assert "attacks of heads" not in facts
