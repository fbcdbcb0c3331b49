"""The study of granularity in the configuration: what it plans, and what it refuses."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from support.config import DEFAULTS, DELETE, changed, message
from support.told import as_collected, facts_of, slice_of
from workflow_scripts.advtransfer.addresses import address
from workflow_scripts.advtransfer.data.known import class_names
from workflow_scripts.advtransfer.metrics.granularity_recipe import GranularityRecipe
from workflow_scripts.advtransfer.transfer.recipe import TransferRecipe
from workflow_scripts.config.load import load
from workflow_scripts.studies.granularity.design import GranularityStudy
from workflow_scripts.studies.plan import make_plan, settings_recipe

STUDY = "granularity"
KEY = f"studies.{STUDY}"
TARGETS = f"{KEY}.targets"
SUPERCLASSES = f"{TARGETS}.animals_vehicles.superclasses"
PART = DEFAULTS["studies"][STUDY]


def study_of(changes: dict[str, Any]) -> GranularityStudy:
    study = make_plan(changed(changes)).studies[STUDY]
    assert isinstance(study, GranularityStudy)
    return study


def measured(study: GranularityStudy) -> dict[str, GranularityRecipe]:
    """What is measured on every target, in the baseline's features."""
    baseline = next(s for s in study.sources if s.training == study.baseline)
    return {target.name: recipe for target, recipe in study.measures(baseline)}


# What is planned ---------------------------------------------------------------------------------


def test_defaults():
    study = study_of({})
    assert len(study.targets) == len(PART["targets"]) >= 10
    assert [source.epsilon for source in study.sources] == [0, 0.125, 0.25, 0.5, 1]
    kinds = Counter(type(recipe).__name__ for recipe in study.recipes())
    assert kinds == {
        "SourceRecipe": 5,
        "EvaluationRecipe": 5,
        "TransferRecipe": 2 * 5 * len(study.targets),  # two files of each
        "GranularityRecipe": len(study.targets),  # the baseline's features alone
        "ComparisonRecipe": len(study.targets),  # all sources train on the same images
    }
    assert set(study.datasets.values()) == {"cifar10", "mnist", "fashion_mnist"}


def test_sources_are_shared_with_other_studies():
    plan = make_plan(DEFAULTS)
    own = {address(s.recipe) for s in plan.studies[STUDY].sources}
    others = {address(s.recipe) for s in plan.studies["data_efficiency"].sources}
    assert len(own - others) == 2  # an eighth, and one


def test_targets_of_one_series_differ_in_detail_alone():
    study = study_of({})
    assert study.series["near"] == ["near_4", "near_8", "near_16", "near"]
    assert study.series["mnist"] == ["mnist_7", "mnist_14", "mnist"]
    assert "dog_horse" not in study.series
    views = {target.name: target.train for target in study.targets}
    assert views["near_8"].detail == 8 and views["near"].detail is None
    assert views["near_8"].images == views["near"].images == 2000
    # Test images are reduced as well.
    assert {t.test.detail for t in study.targets} == {t.train.detail for t in study.targets}


def test_superclasses_are_the_labels():
    study = study_of({})
    view = next(t.train for t in study.targets if t.name == "animals_vehicles")
    assert view.classes == ("dog", "horse", "ship", "truck")
    assert view.superclasses == ("animals", "animals", "vehicles", "vehicles")
    assert view.label_names == ("animals", "vehicles")


def test_measures_are_of_training_images_and_know_where_classes_stand():
    recipes = measured(study_of({}))
    assert recipes["near"].view.split == "train" and recipes["near"].view.images == 2000
    assert recipes["near"].paths[0] == ("organism", "animal", "mammal", "carnivore", "dog")
    fewer = measured(study_of({f"{KEY}.measured_images": 500}))
    assert fewer["near"].view.images == 500
    without = measured(study_of({f"{KEY}.hierarchy": DELETE}))
    assert without["near"].paths == ()


def test_of_a_target_without_a_number_of_images_the_first_are_measured():
    study = study_of({f"{TARGETS}.near.images": DELETE})
    recipe = measured(study)["near"]
    assert recipe.view == study.targets[0].train and recipe.view.images is None
    assert recipe.images == PART["measured_images"]
    assert measured(study)["mnist"].images is None
    facts = study.facts(changed({}))
    assert facts["target near"].startswith("all training and 1000 test images")


def test_a_target_changes_nothing_of_the_others():
    before = set(make_plan(DEFAULTS).recipes)
    more = {**PART["targets"]["near"], "detail": 6}
    after = make_plan(changed({f"{TARGETS}.near_6": more})).recipes
    new = [after[where] for where in set(after) - before]
    assert before < set(after)
    kinds = Counter(type(recipe).__name__ for recipe in new)
    assert kinds == {
        "ViewRecipe": 2,
        "TransferRecipe": 1,
        "GranularityRecipe": 1,
        "ComparisonRecipe": 1,
    }
    assert all(r.train.detail == 6 for r in new if isinstance(r, TransferRecipe))


def test_recipes_of_figures_hold_what_they_read():
    plan = make_plan(DEFAULTS)
    keys = ["estimator", "temperature", "measure", "basis", "bootstrap", "permutations"]
    recipe = json.loads(settings_recipe(plan, STUDY, keys))
    assert recipe["estimator"] == PART["best_epsilon"]["estimator"]
    assert recipe["measure"] == PART["primary"]["measure"]
    assert recipe["bootstrap"] == DEFAULTS["statistics"]["bootstrap"]
    facts = facts_of(plan, STUDY)
    assert "reduced to 8 pixels" in facts["target near_8"]
    assert "labels animals, vehicles" in facts["target animals_vehicles"]


def test_tables_follow_from_the_study_alone():
    plan = make_plan(DEFAULTS)
    text = plan.slices[STUDY]
    assert list(json.loads(text)["studies"]) == [STUDY]
    assert set(as_collected(plan, STUDY).files()) == set(plan.studies[STUDY].files())
    other = slice_of(changed({"statistics.bootstrap": 7}), STUDY)
    assert other == text  # the ranking has it, the tables do not


def with_overlay(name: str) -> GranularityStudy:
    config = load(f"configs/{name}.yaml")
    study = make_plan(config, class_names).studies[STUDY]
    assert isinstance(study, GranularityStudy)
    return study


def test_smoke():
    study = with_overlay("smoke")
    assert study.series == {"near": ["near_8", "near"]}
    assert [source.epsilon for source in study.sources] == [0, 0.25, 0.5]


def test_the_papers_figure_7():
    study = with_overlay("paper")
    grid = [0, 0.01, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 3, 5]
    assert [source.epsilon for source in study.sources] == grid
    assert {source.model for source in study.sources} == {"resnet50_imagenet"}
    assert set(study.datasets.values()) == {
        *("aircraft", "caltech101", "caltech256", "cars", "cifar10", "cifar100", "dtd"),
        *("flowers", "food", "pets", "sun397"),
    }
    views = {target.name: target.train for target in study.targets}
    for full, names in study.series.items():
        assert names == [f"{full}_32", full]
        assert [views[name].detail for name in names] == [32, None]
        assert {views[name].dataset.size for name in names} == {224}
    assert len(study.series) == 9
    assert len(views["sun397"].classes) == 397
    # Scored as the paper does.
    assert study.scores["pets_32"] == study.scores["aircraft"] == "class_mean_accuracy"
    assert "food" not in study.scores


def test_the_papers_targets_at_full_detail_are_transferred_to_once():
    """A network that fixed_vs_full transfers to a target is not transferred again."""
    config = load("configs/paper.yaml")
    plan = make_plan(config, class_names)
    own, other = (
        {target.name: target.transfers for target in plan.studies[name].targets}
        for name in (STUDY, "fixed_vs_full")
    )
    assert {name: own[name] for name in other} == other
    assert {len(recipe.modes) for name in own.keys() - other for recipe in own[name]} == {1}
    networks, others = (
        {address(source.recipe) for source in plan.studies[name].sources}
        for name in (STUDY, "fixed_vs_full")
    )
    assert networks <= others
    facts = facts_of(plan, STUDY)
    assert facts["target pets_32"] == (
        "all training and all test images of pets; 37 classes; reduced to 32 pixels"
    )


# Mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {f"{TARGETS}.near_8.detail": 40, f"{TARGETS}.near_8.size": 32},
            f"{TARGETS}.near_8: detail 40 is more than",
        ),
        ({f"{TARGETS}.near_8.detail": 0}, "detail"),
        (
            {f"{TARGETS}.animals_vehicles.superclasses.animals": ["dog", "cat"]},
            f"{SUPERCLASSES}: 'animals' has 'cat', which is none of",
        ),
        (
            {f"{TARGETS}.animals_vehicles.superclasses.animals": ["dog"]},
            f"{SUPERCLASSES}: class 'horse' is in none of animals, vehicles",
        ),
        (
            {f"{TARGETS}.animals_vehicles.superclasses.vehicles": ["ship", "truck", "dog"]},
            f"{SUPERCLASSES}: class 'dog' is in 'animals' and in 'vehicles'",
        ),
        (
            {f"{TARGETS}.near.classes": ["cat", "horse", "ship", "truck"]},
            "would share images of cat",
        ),
        (
            {f"{KEY}.sources.groups.strengths.trainings": ["natural", "robust_l2"]},
            "at least three epsilons",
        ),
        (
            {
                f"{KEY}.sources.groups.strengths.trainings": [
                    "natural",
                    "natural_equal_cost",
                    "robust_l2",
                    "robust_l2_one",
                ]
            },
            "both have epsilon 0",
        ),
        (
            {
                f"{KEY}.sources.groups.strengths.trainings": [
                    "natural",
                    "robust_linf",
                    "robust_l2",
                    "robust_l2_one",
                ]
            },
            "robust in l2 and in linf; one axis",
        ),
        ({f"{KEY}.baseline": "robust_l2"}, "the baseline 'robust_l2' with epsilon 0"),
        (
            {f"{KEY}.hierarchy.organism.animal.bird": ["bird", "dog"]},
            "'dog' stands twice, below 'organism / animal / mammal / carnivore'",
        ),
        (
            {f"{KEY}.hierarchy.organism.animal.mammal.carnivore": ["cat"]},
            "'dog' of target 'near' is not in it",
        ),
        ({f"{KEY}.primary.measure": "spectral_slopes"}, "spectral_slopes"),
        ({f"{KEY}.best_epsilon.estimator": "mean"}, "mean"),
        ({f"{KEY}.best_epsilon.temperature": 0}, "temperature"),
        ({f"{KEY}.modes": ["full_network"]}, "last_layer"),
        ({"transfers.solved.last_layer": DELETE}, "last_layer"),
    ],
)
def test_mistakes_are_named(changes, expected):
    assert expected in message(changed(changes))
