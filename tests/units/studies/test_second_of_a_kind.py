"""A second study of a known kind is one entry in the configuration."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from support.config import DEFAULTS, SECOND, changed, message
from support.told import as_collected, page_of, settings_of
from workflow_scripts.advtransfer.addresses import address
from workflow_scripts.advtransfer.training.recipe import SourceRecipe
from workflow_scripts.studies import folders
from workflow_scripts.studies.kinds.pairs.design import PairStudy
from workflow_scripts.studies.plan import Plan, index_rows, make_plan

NAME, LIKE = "my_mixtures", SECOND
NEW = ["automobile", "ship", "bird", "horse"]


def entry(**changes: Any) -> dict[str, Any]:
    """The study of mixtures with two of its mixtures, and one of its own."""
    part = copy.deepcopy(DEFAULTS["studies"][LIKE])
    mixtures = part["sources"]["mixtures"]
    kept = {name: mixtures[name] for name in ("animals_0", "animals_100")}
    part["sources"]["mixtures"] = {**kept, "mine": NEW}
    return {"kind": LIKE, **part, **changes}


@pytest.fixture(scope="module")
def before() -> Plan:
    return make_plan(copy.deepcopy(DEFAULTS))


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(changed({f"studies.{NAME}": entry()}))


def study_of(plan: Plan, name: str) -> PairStudy:
    study = plan.studies[name]
    assert isinstance(study, PairStudy)
    return study


def test_it_is_planned_beside_the_others(plan: Plan, before: Plan) -> None:
    assert list(plan.studies) == [*before.studies, NAME]
    assert plan.kinds == {**before.kinds, NAME: LIKE}
    assert plan.main == before.main
    # Nothing of what was there is another.
    assert plan.slices.items() > before.slices.items()
    assert plan.recipes.items() > before.recipes.items()
    for name, study in before.studies.items():
        assert plan.studies[name] == study
        assert plan.studies[name].files() == study.files()
    own = study_of(plan, NAME)
    assert [source.mixture for source in own.sources] == ["animals_0", "animals_100", "mine"]
    assert [source.animals for source in own.sources] == [0, 100, 50]


def test_its_parts_are_those_of_its_kind() -> None:
    assert folders.folders(NAME, LIKE) == folders.folders(LIKE, LIKE)
    assert folders.figures(NAME, LIKE) == folders.figures(LIKE, LIKE) != {}
    assert folders.has_page(NAME, LIKE)
    assert folders.load(NAME, LIKE, "design") is folders.load(LIKE, LIKE, "design")


def test_its_tables_have_names_of_their_own(plan: Plan) -> None:
    def files(name: str) -> set[str]:
        kind = plan.kinds[name]
        tables = [*folders.collected_tables(name, kind), *folders.analysed_tables(name, kind)]
        return {folders.table_file(name, table) for table in tables}

    own = files(NAME)
    assert {"my_mixtures.csv", "my_mixtures_sources.csv", "my_mixtures_correlations.csv"} < own
    assert len(own) == len(files(LIKE))
    for name in set(plan.studies) - {NAME}:
        assert not own & files(name)


def test_artefacts_are_shared_where_recipes_are_equal(plan: Plan, before: Plan) -> None:
    own, like = study_of(plan, NAME), study_of(plan, LIKE)
    there = {address(source.recipe) for source in like.sources}
    shared = [source for source in own.sources if address(source.recipe) in there]
    assert [source.mixture for source in shared] == ["animals_0", "animals_100"]
    (new,) = (source for source in own.sources if address(source.recipe) not in there)
    assert new.mixture == "mine" and isinstance(new.recipe, SourceRecipe)
    assert new.recipe.view.classes == tuple(NEW)
    # What is new is of the new mixture: its images, its network, its accuracy on its classes.
    added = {where: plan.recipes[where] for where in plan.recipes.keys() - before.recipes.keys()}
    kinds = sorted(type(recipe).__name__ for recipe in added.values())
    compared = [kind for kind in kinds if kind == "ComparisonRecipe"]
    assert len(compared) == len(own.targets)
    others = ["EvaluationRecipe", "SourceRecipe", "ViewRecipe", "ViewRecipe"]
    assert kinds == [*compared, *others]
    assert address(new.recipe) in added and address(new.recipe.view) in added
    files = set(own.files()) - set(like.files())
    made = {path for path in files if "/comparisons/" not in path}
    assert len(files - made) == len(compared)
    assert made and all(f"/{address(new.recipe)}/" in path for path in made)
    assert set(own.files()) & set(like.files())


def test_it_is_in_the_index(plan: Plan, before: Plan) -> None:
    rows = [row for row in index_rows(plan) if row["study"] == NAME]
    assert {row["kind"] for row in rows} >= {"source", "reference", "attacks", "metrics"}
    assert [row for row in index_rows(plan) if row["study"] != NAME] == index_rows(before)
    assert any(row["name"] == "mine/resnet8/natural" for row in rows)


def test_its_tables_follow_from_its_entry_alone(plan: Plan) -> None:
    part = json.loads(plan.slices[NAME])
    assert list(part["studies"]) == [NAME]
    own = {key: value for key, value in entry().items() if key != "kind"}
    assert part["studies"][NAME] == own
    again = as_collected(plan, NAME)
    assert again.name == NAME
    assert set(again.files()) == set(plan.studies[NAME].files())


def test_its_figures_and_page_are_told_its_own_mixtures(plan: Plan) -> None:
    told = page_of(plan, NAME)
    assert list(told["mixtures"]) == ["animals_0", "animals_100", "mine"]
    assert told["mixtures"]["mine"] == NEW
    assert len(page_of(plan, LIKE)["mixtures"]) == 5
    assert settings_of(plan, NAME, "analysis") == settings_of(plan, LIKE, "analysis")
    primary = {**DEFAULTS["studies"][LIKE]["primary"], "target": "animals"}
    other = make_plan(changed({f"studies.{NAME}": entry(primary=primary)}))
    assert settings_of(other, NAME, "analysis")["primary"]["target"] == "animals"
    assert settings_of(other, LIKE, "analysis") == settings_of(plan, LIKE, "analysis")


def test_it_may_be_part_of_the_main_job() -> None:
    plan = make_plan(changed({f"studies.{NAME}": entry(), "main_job": [NAME]}))
    assert plan.main == [NAME]


def test_mistakes_name_it() -> None:
    primary = {**DEFAULTS["studies"][LIKE]["primary"], "reference": "vgg"}
    text = message(changed({f"studies.{NAME}": entry(primary=primary)}))
    assert text.startswith(f"studies.{NAME}.primary.reference: 'vgg' is not in the study")
    text = message(changed({f"studies.{NAME}": entry(msk="all")}))
    assert f"studies.{NAME}.msk: no such key; did you mean 'mask'?" in text
    text = message(changed({f"studies.{NAME}": entry(kind="mixtures")}))
    assert f"studies.{NAME}.kind: no kind of study is called 'mixtures'" in text
