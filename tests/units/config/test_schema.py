"""The schema is generated: it is up to date, and its sections say what the recipes say."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
from workflow_scripts.advtransfer.detection.data_recipe import ComposedRecipe, DetectionDataRecipe
from workflow_scripts.advtransfer.detection.recipe import DetectorRecipe
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.training.recipe import TrainingRecipe
from workflow_scripts.advtransfer.transfer.recipe import ModeRecipe
from workflow_scripts.config import schema
from workflow_scripts.config.check import SCHEMA, check_config, without_nulls
from workflow_scripts.config.data import Composed, DetectionData
from workflow_scripts.config.load import load, study_files
from workflow_scripts.config.named import resolved
from workflow_scripts.config.sections import Attack, LastLayer, Training
from workflow_scripts.studies.data_efficiency.settings import Grid
from workflow_scripts.studies.detection.settings import Detector

ROOT = Path(__file__).parents[3]
OVERLAYS = sorted((ROOT / "configs").glob("*.yaml"))
FILES = [ROOT / "config.yaml", *study_files(), *OVERLAYS]
MIXTURES = "knowledge_to_adversarial"


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def configuration() -> dict[str, Any]:
    return without_nulls(resolved(load()))


def told(config: dict[str, Any]) -> str:
    with pytest.raises(UserError) as error:
        check_config(config)
    return str(error.value)


def test_the_schemas_are_those_of_the_sections(tmp_path: Path) -> None:
    schema.main(schema.parser().parse_args(["--output", str(tmp_path)]))
    for file in (SCHEMA, schema.OVERLAY):
        made = (tmp_path / file.name).read_text()
        assert made == file.read_text(), f"{file.name} is out of date: run `make schema`"


def test_a_schema_that_is_out_of_date_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = schema.parser().parse_args(["--check"])
    schema.main(check)
    old = tmp_path / SCHEMA.name
    old.write_text("{}")
    monkeypatch.setattr(schema, "SCHEMA", old)
    with pytest.raises(SystemExit, match=r"^config\.schema\.json .*make schema"):
        schema.main(check)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_file_names_the_schema_that_it_fits(file: Path) -> None:
    first = file.read_text().splitlines()[0]
    found = re.fullmatch(r"# yaml-language-server: \$schema=(.*)", first)
    assert found, first
    named = (file.parent / found[1]).resolve()
    assert named == schema.OVERLAY
    validator = Draft202012Validator(json.loads(named.read_text()))
    assert [
        error.message for error in validator.iter_errors(yaml.safe_load(file.read_text()))
    ] == []


def test_an_overlay_is_checked_in_an_editor() -> None:
    validator = Draft202012Validator(json.loads(schema.OVERLAY.read_text()))
    studies = {
        "granularity": {"trails": 3},
        "mine": {"kind": "pairs", "msk": "all"},
        "pretrained": {"modes": ["all"]},
    }
    for name, study in studies.items():
        assert not validator.is_valid({"studies": {name: study}}), name
    assert not validator.is_valid({"trainings": {"natural": {"epochs": -1}}})
    assert validator.is_valid({"trainings": {"natural": {"epochs": 1, "attack": None}, "x": None}})


@pytest.mark.parametrize("file", study_files(), ids=name_of)
def test_settings_of_a_study_are_its_own_and_explained(file: Path) -> None:
    """Every key has a comment above it, or stands directly below one that has."""
    text, name = file.read_text(), file.parent.name
    assert list(yaml.safe_load(text)["studies"]) == [name]
    assert text.splitlines()[2].startswith("# ")  # the question of the study
    own = text.partition(f"\nstudies:\n  {name}:\n")[2].splitlines()
    above = ""
    for line in own:
        if re.match(r"    \w", line):
            assert above, line
            above = line
        else:
            above = line if line.startswith("    #") else ""


@pytest.mark.parametrize(
    ("section", "recipe"),
    [
        (Attack, AttackRecipe),
        (Training, TrainingRecipe),
        (LastLayer, ModeRecipe),
        (Grid, ModeRecipe),
        (Composed, ComposedRecipe),
        (DetectionData, DetectionDataRecipe),
        (Detector, DetectorRecipe),
    ],
    ids=lambda value: value.__name__,
)
def test_defaults_are_those_of_the_recipes(section: Any, recipe: Any) -> None:
    """A key that is left out is left out of the recipe too: the section only tells its default."""
    defaults = {item.name: item.default for item in dataclasses.fields(recipe)}
    compared = 0
    for name, field in section.model_fields.items():
        wanted = defaults.get(name, dataclasses.MISSING)
        if field.is_required() or wanted is dataclasses.MISSING or wanted in (None, ()):
            continue
        default = field.get_default(call_default_factory=True)
        if default is None:  # of a key that has no value of its own for "off"
            assert not wanted, name
            continue
        assert default == (list(wanted) if isinstance(wanted, tuple) else wanted), name
        compared += 1
    assert compared


# Studies by their kind ---------------------------------------------------------------------------


def test_a_second_study_of_a_kind() -> None:
    config = configuration()
    config["studies"]["my_mixtures"] = {**config["studies"][MIXTURES], "kind": MIXTURES}
    check_config(config)
    config["studies"]["my_mixtures"]["msk"] = "all"
    assert "studies.my_mixtures.msk: no such key; did you mean 'mask'?" in told(config)
    del config["studies"]["my_mixtures"]["msk"], config["studies"]["my_mixtures"]["mask"]
    text = told(config)
    assert "studies.my_mixtures.mask is missing: Which attacked images count." in text
    assert "one problem" in text


def test_a_study_by_its_own_name_may_say_its_kind() -> None:
    config = configuration()
    config["studies"][MIXTURES]["kind"] = MIXTURES
    check_config(config)
    config["studies"][MIXTURES]["kind"] = "pairs"
    assert f"studies.{MIXTURES}.kind" in told(config)


def test_a_kind_that_is_none() -> None:
    config = configuration()
    config["studies"]["mine"] = {**config["studies"][MIXTURES], "kind": "pair"}
    text = told(config)
    assert "studies.mine.kind: no kind of study is called 'pair'; did you mean 'pairs'?" in text
    assert "There are accuracy_and_robustness, adversarial_to_knowledge" in text
    assert "whole_targets" in text and "one problem" in text


@pytest.mark.parametrize(
    ("name", "near"),
    [("knowledge_to_adverserial", f"did you mean '{MIXTURES}'? If it is"), ("xyzzy", "if it is")],
)
def test_a_study_that_is_not_known_has_no_kind(name: str, near: str) -> None:
    config = configuration()
    config["studies"][name] = config["studies"][MIXTURES]
    text = told(config)
    assert f"studies.{name}: no such study; {near} a study of your own, give it a `kind`" in text
    assert "pairs" in text and "one problem" in text


def test_names_of_studies_are_closed() -> None:
    config = configuration()
    config["studies"]["../x"] = {**config["studies"][MIXTURES], "kind": MIXTURES}
    assert "studies: '../x' does not fit. A name: at most 64 letters" in told(config)


def test_checking_changes_nothing() -> None:
    config = configuration()
    before = copy.deepcopy(config)
    check_config(config)
    assert config == before
