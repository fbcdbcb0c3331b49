"""`use`: sources and targets that stand in the configuration once."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.config.load import load, merge
from workflow_scripts.config.named import resolved
from workflow_scripts.studies.plan import make_plan

STUDY = "fixed_vs_full"
NAMED = {
    "sources": {"six": {"dataset": "cifar10", "classes": ["cat", "frog"], "images": 100}},
    "targets": {"near": {"dataset": "cifar10", "classes": ["dog", "ship"], "size": 32}},
}


def study(**part: Any) -> dict[str, Any]:
    """The parts of a study, resolved."""
    return resolved({**NAMED, "studies": {"mine": part}})["studies"]["mine"]


def test_keys_of_the_entry_and_of_the_study() -> None:
    found = study(
        sources={"use": "six", "images": 50, "models": ["mlp"]},
        targets={"a": {"use": "near"}, "b": {"use": "near", "detail": 8, "classes": "all"}},
    )
    assert found["sources"] == {
        "dataset": "cifar10",
        "classes": ["cat", "frog"],
        "images": 50,
        "models": ["mlp"],
    }
    assert found["targets"] == {
        "a": {"dataset": "cifar10", "classes": ["dog", "ship"], "size": 32},
        "b": {"dataset": "cifar10", "classes": "all", "size": 32, "detail": 8},
    }


def test_null_removes_a_key_or_the_whole_reference() -> None:
    found = study(targets={"a": {"use": "near", "size": None}, "b": {"use": None, "images": 5}})
    assert found["targets"] == {
        "a": {"dataset": "cifar10", "classes": ["dog", "ship"], "size": None},
        "b": {"images": 5},
    }


def test_nothing_is_changed_in_place() -> None:
    config = {**copy.deepcopy(NAMED), "studies": {"mine": {"sources": {"use": "six"}}}}
    before = copy.deepcopy(config)
    again = resolved(resolved(config))
    assert config == before and again == resolved(config)


@pytest.mark.parametrize("part", [None, 3, [], "near", {}])
def test_other_shapes_are_left_to_the_schema(part: Any) -> None:
    for own in ({"sources": part}, {"targets": part}, {"targets": {"a": part}}):
        assert study(**own) == own
    for config in ({"studies": part}, {"studies": {"mine": part}}, {}):
        assert resolved(config) == config


@pytest.mark.parametrize(
    ("part", "parts"),
    [
        (
            {"sources": {"use": "sxi"}},
            ["studies.mine.sources.use: no 'sxi' in `sources`", "'six'?"],
        ),
        (
            {"targets": {"a": {"use": "far"}}},
            ["studies.mine.targets.a.use: no 'far' in `targets`", "there are near."],
        ),
        ({"targets": {"a": {"use": ["near"]}}}, ["no '['near']' in `targets`"]),
    ],
)
def test_an_entry_that_is_not_there(part: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(UserError) as told:
        study(**part)
    for text in parts:
        assert text in str(told.value)
    removed = {"targets": {"near": None}, "studies": {"mine": {"targets": {"a": {"use": "near"}}}}}
    with pytest.raises(UserError, match="there are none"):
        resolved(removed)


# In a plan ---------------------------------------------------------------------------------------


def overlaid(**overlay: Any) -> dict[str, Any]:
    return merge(load(), overlay)


def test_an_overlay_changes_an_entry_for_all_studies_that_use_it() -> None:
    plan = make_plan(overlaid(sources={"six_classes": {"images": 240}}))
    for name in (STUDY, "granularity", "detection", "adversarial_to_knowledge"):
        images = {source.recipe.view.images for source in plan.studies[name].sources}
        assert images == {240}, name
    sources = plan.studies["knowledge_to_adversarial"].sources
    assert {source.recipe.view.images for source in sources} == {10000}


def test_what_decides_a_study_holds_complete_entries() -> None:
    plan = make_plan(load())
    for name, text in plan.slices.items():
        assert '"use"' not in text, name


def test_a_mistake_in_an_entry_is_told_once() -> None:
    with pytest.raises(UserError) as told:
        make_plan(overlaid(targets={"near": {"clases": ["dog"], "size": 2}}))
    text = str(told.value)
    assert "targets.near.clases: no such key; did you mean 'classes'?" in text
    assert "targets.near.size: 2 is less than the minimum of 8" in text
    assert "2 problems" in text


def test_a_key_that_the_study_does_not_know_is_told_at_the_study() -> None:
    config = overlaid(targets={"near": {"detail": 8}})
    with pytest.raises(UserError) as told:
        make_plan(config)
    text = str(told.value)
    assert "studies.adversarial_to_knowledge.targets.held_out.detail: no such key" in text
    assert "granularity" not in text  # which knows it


def test_a_second_study_of_a_kind_is_one_entry() -> None:
    own = {"kind": "knowledge_to_adversarial", **load()["studies"]["knowledge_to_adversarial"]}
    own |= {"mask": "all"}
    plan = make_plan(overlaid(studies={"mixtures_again": own}))
    mine, theirs = plan.studies["mixtures_again"], plan.studies["knowledge_to_adversarial"]
    assert [s.recipe for s in mine.sources] == [s.recipe for s in theirs.sources]
    assert mine.mask == "all" and theirs.mask == "reference_correct"  # type: ignore[attr-defined]
