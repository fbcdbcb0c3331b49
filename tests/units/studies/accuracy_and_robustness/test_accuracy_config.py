"""accuracy_and_robustness in the configuration: what it plans, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.config import DEFAULTS, DELETE, changed, message
from support.efficiency_config import with_overlay
from support.told import as_collected, page_of, settings_of
from workflow_scripts.advtransfer.addresses import address
from workflow_scripts.advtransfer.data.known import class_names
from workflow_scripts.studies.accuracy_and_robustness.design import AccuracyStudy
from workflow_scripts.studies.plan import make_plan, settings_recipe

STUDY = "accuracy_and_robustness"
KEY = f"studies.{STUDY}"
GROUPS = f"{KEY}.sources.groups"
PART = DEFAULTS["studies"][STUDY]
EIGHT = ["mlp", "lenet", "alexnet", "vgg", "resnet8", "resnet14", "densenet", "convmixer"]
CHECKPOINT = {
    "file": "no/such.pth",
    "model": "resnet8",
    "training": "l2_3",
    "classes_file": "no/such.txt",
    "size": 32,
}


def study_of(changes: dict[str, Any]) -> AccuracyStudy:
    study = make_plan(changed(changes)).studies[STUDY]
    assert isinstance(study, AccuracyStudy)
    return study


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({f"{KEY}.robust": "robst"}, [f"{KEY}.robust", "'robst'", "robust_l2_quarter"]),
        # A training of the configuration that no source has.
        ({f"{KEY}.robust": "robust_linf"}, [f"{KEY}.robust", "'robust_linf'"]),
        ({f"{KEY}.robust": "natural"}, [f"{KEY}.robust", "another training than the baseline"]),
        ({f"{KEY}.robust": DELETE}, [KEY, "robust", "missing"]),
        (
            {f"{KEY}.architectures": [*EIGHT, "resnet18"]},
            [f"{KEY}.architectures", "'resnet18'", "mlp, lenet"],
        ),
        ({f"{KEY}.architectures": ["mlp", "vgg"]}, [f"{KEY}.architectures", "at least 3"]),
        (
            {f"{KEY}.widths": {"resnet8": 16, "resnet8_w64": 64}},
            [f"{KEY}.widths", "'resnet8_w64'", "resnet8_w32"],
        ),
        (
            {f"{KEY}.widths": {"resnet8": 16, "resnet8_w32": 16}},
            [f"{KEY}.widths", "two models have width 16"],
        ),
        ({f"{KEY}.widths": {"resnet8": 16}}, [f"{KEY}.widths"]),
        (
            {f"{GROUPS}.widths.trainings": ["natural"]},
            [f"{KEY}.widths", "'resnet8_w8'", "'robust_l2'", f"{KEY}.sources"],
        ),
        # Sources are evaluated by the attacks of one block: robustness is one of those.
        (
            {f"{KEY}.robustness.epsilon": 0.25},
            [f"{KEY}.robustness", "attacks.robustness", "pgd10-l2-0.5"],
        ),
        (
            {f"{KEY}.accuracies": {"mine": 0.7}},
            [f"{KEY}.accuracies", "'mine'", "sources.checkpoints"],
        ),
        ({f"{KEY}.accuracies": {"mine": 70}}, [f"{KEY}.accuracies", "70"]),
        (
            {"checkpoints.mine": CHECKPOINT, f"{KEY}.sources.checkpoints": ["mine"]},
            [f"{KEY}.sources", "the epsilon of 'l2_3' is not known", "norm and epsilon"],
        ),
        ({f"{KEY}.width": {}}, [KEY, "width"]),
    ],
)
def test_mistakes(changes: dict[str, Any], parts: list[str]) -> None:
    told = message(changed(changes))
    for part in parts:
        assert part in told
    assert "\n" not in told.strip() or told.count(KEY) == 1


def test_the_default_study() -> None:
    study = study_of({})
    seeds = {
        (source.model, source.training): [seed for block in source.seed_blocks for seed in block]
        for source in study.sources
    }
    assert study.architectures == tuple(EIGHT)
    for model in EIGHT:
        assert seeds[model, "natural"] == [0, 1, 2]
        for training in ("robust_l2_quarter", "robust_l2"):
            assert len(seeds[model, training]) >= 2
    for model in study.widths:
        assert [seeds[model, name] for name in ("natural", "robust_l2")] == [[0, 1, 2]] * 2
    assert {source.epsilon for source in study.sources} == {0, 0.25, 0.5}
    assert {source.norm for source in study.sources} == {"", "l2"}
    assert [target.name for target in study.targets] == ["near", "mnist", "fashion_mnist"]
    assert STUDY not in make_plan(changed({})).main


def test_sources_and_transfers_are_those_of_the_other_studies() -> None:
    plan = make_plan(changed({}))
    study, pairs = plan.studies[STUDY], plan.studies["adversarial_to_knowledge"]
    assert isinstance(study, AccuracyStudy)
    natural = {address(source.recipe) for source in pairs.sources if not source.robust}
    own = {address(s.recipe) for s in study.sources if s.training == "natural"}
    assert natural < own
    fixed = plan.studies["fixed_vs_full"]
    strengths = {address(source.recipe) for source in fixed.sources}
    shared = strengths & {address(source.recipe) for source in study.sources}
    assert len(shared) == 6  # two architectures
    ours = {path for path in study.files() if any(f"/{name}/" in path for name in shared)}
    # Where one mode is left out, the transfer is another one.
    others = {path for path in ours - set(fixed.files()) if "/transfers/" in path}
    assert ours - others <= set(fixed.files())
    near, *rest = study.targets
    assert not [path for path in others if address(near.transfers[0]) in path]
    assert all([mode.mode for mode in t.transfers[0].modes] == ["last_layer"] for t in rest)
    assert [mode.mode for mode in near.transfers[0].modes] == ["last_layer", "full_network"]


def test_one_more_architecture_makes_only_its_own_cells() -> None:
    more = {
        "models.mobilenet": {"family": "mobilenet"},
        f"{GROUPS}.new": {
            "models": ["mobilenet"],
            "trainings": ["natural", "robust_l2"],
            "seeds": [[0]],
        },
        f"{KEY}.architectures": [*EIGHT, "mobilenet"],
    }
    before, after = set(study_of({}).files()), study_of(more)
    new = {address(source.recipe) for source in after.sources if source.model == "mobilenet"}
    added = set(after.files()) - before
    assert before < set(after.files())
    assert all(any(f"/{name}/" in path for name in new) for path in added)


def test_one_more_seed_of_the_robust_sources_leaves_the_others_alone() -> None:
    before = set(study_of({}).files())
    after = set(study_of({f"{GROUPS}.robust.seeds": [[0, 1], [2]]}).files())
    assert before < after
    assert all("seeds2/" in path or "seed2/" in path for path in after - before)


def test_what_the_tables_are_related_by() -> None:
    plan = make_plan(changed({}))
    recipe = settings_of(plan, STUDY, "analysis")
    assert recipe["widths"] == {"resnet8_w8": 8, "resnet8": 16, "resnet8_w32": 32}
    assert recipe["robustness"] == {"attack": "pgd", "norm": "l2", "epsilon": 0.5}
    assert recipe["known_accuracy"] == []
    assert recipe["bootstrap"] == plan.config["statistics"]["bootstrap"]
    drawn = json.loads(settings_recipe(plan, STUDY, ["baseline", "trainings", "targets"]))
    assert drawn["trainings"] == ["natural", "robust_l2_quarter", "robust_l2"]
    page = page_of(plan, STUDY)
    assert page["robust"] == "robust_l2"
    assert page["facts"]["robustness"] == "pgd l2 0.5"
    assert set(json.loads(plan.slices[STUDY])["studies"]) == {STUDY}
    again = as_collected(plan, STUDY)
    assert set(again.files()) == set(plan.studies[STUDY].files())


def test_accuracies_of_checkpoints_are_handed_on() -> None:
    changes = {
        "checkpoints.mine": {**CHECKPOINT, "norm": "l2", "epsilon": 3},
        f"{KEY}.sources.checkpoints": ["mine"],
        f"{KEY}.accuracies": {"mine": 0.6283},
    }
    known = settings_of(make_plan(changed(changes)), STUDY, "analysis")["known_accuracy"]
    assert known == [{"model": "resnet8", "training": "l2_3", "accuracy": 0.6283}]


def test_the_papers_networks_have_their_published_accuracy() -> None:
    from workflow_scripts.studies.accuracy_and_robustness import published

    study = make_plan(with_overlay("paper"), class_names).studies[STUDY]
    assert isinstance(study, AccuracyStudy)
    names = {
        "resnet18_imagenet": "ResNet18",
        "resnet50_imagenet": "ResNet50",
        "wrn50_2_imagenet": "WRN50_2",
        "wrn50_4_imagenet": "WRN50_4",
        "densenet161_imagenet": "DenseNet161",
        "vgg16_bn_imagenet": "VGG16_bn",
        "mobilenet_v2_imagenet": "MobileNet_v2",
        "shufflenet_imagenet": "ShuffleNet",
        "mnasnet_imagenet": "MnasNet",
        "resnext50_imagenet": "ResNeXt50_32x4d",
    }
    assert list(study.architectures) == list(names)
    assert set(names.values()) == set(published.SOURCE_ACCURACY)
    epsilons = {(source.model, source.training): source.epsilon for source in study.sources}
    assert len(epsilons) == len(study.known_accuracy) == 4 * 10 + 6 * 2
    for known in study.known_accuracy:
        epsilon = epsilons[known["model"], known["training"]]
        assert epsilon is not None
        assert known["accuracy"] == published.SOURCE_ACCURACY[names[known["model"]]][epsilon]
    assert {source.norm for source in study.sources} == {"", "l2"}
    assert len(study.targets[0].transfers) == 3
    # Those of the architectures that fixed_vs_full has are its own.
    fixed = make_plan(with_overlay("paper"), class_names).studies["fixed_vs_full"]
    shared = {address(source.recipe) for source in fixed.sources}
    others = [s.recipe for s in study.sources if address(s.recipe) not in shared]
    assert len(others) == 6 * 2
    left = set(study.files()) - set(fixed.files())
    assert {file.split("/")[2] for file in left} == {address(recipe) for recipe in others}
