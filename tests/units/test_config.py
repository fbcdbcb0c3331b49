"""The configuration: every mistake is one readable line, and what is right makes a plan."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from support.config import (
    DEFAULTS,
    DELETE,
    FIRST,
    OVERLAYS,
    ROOT,
    SECOND,
    addresses,
    changed,
    message,
)
from support.told import as_collected, facts_of, slice_of
from workflow_scripts import record_run
from workflow_scripts.advtransfer.addresses import address
from workflow_scripts.advtransfer.data.known import class_names
from workflow_scripts.advtransfer.epsilon import parse_epsilon
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.config.check import SCHEMA, check_config, without_nulls
from workflow_scripts.config.load import load
from workflow_scripts.studies.data_efficiency.design import EfficiencyStudy
from workflow_scripts.studies.detection.design import DetectionStudy
from workflow_scripts.studies.kinds.pairs.design import PairStudy
from workflow_scripts.studies.kinds.whole_targets.design import TransferStudy
from workflow_scripts.studies.plan import Plan, index_rows, make_plan

THIRD = "data_efficiency"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(copy.deepcopy(DEFAULTS))


# The schema's messages ---------------------------------------------------------------------------

TRAINING = "trainings.natural"
ATTACK = "attacks.main.0"
SOURCES = f"studies.{FIRST}.sources"
FULL = "transfers.default.full_network.training"
BOTH = ["main", "more"]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({f"{TRAINING}.learnin_rate": 0.1}, ["learnin_rate", "did you mean 'learning_rate'?"]),
        ({"atacks": {}}, ["atacks: no such key", "did you mean 'attacks'?"]),
        ({f"{SOURCES}.clases": ["cat"]}, [f"{SOURCES}.clases", "did you mean 'classes'?"]),
        ({f"{TRAINING}.xyzzy": 1}, ["xyzzy: no such key", "known keys: epochs, batch_size"]),
        ({"trainings": DELETE}, ["trainings is missing: Trainings by name."]),
        ({f"{TRAINING}.epochs": DELETE}, [f"{TRAINING}.epochs is missing: Passes over"]),
        ({f"{ATTACK}.epsilon": DELETE}, ["attacks.main[0].epsilon is missing: Radius"]),
        ({f"{TRAINING}.learning_rate": "1e-3"}, [f"{TRAINING}.learning_rate", "0.001 or 1.0e-3."]),
        # 1e-05, as Python would print it, is text to YAML again.
        ({f"{TRAINING}.learning_rate": "1e-5"}, ["write 1.0e-5."]),
        ({f"{TRAINING}.learning_rate": "1.0e3"}, ["write 1000 or 1.0e+3."]),
        ({f"{ATTACK}.epsilon": "1e-3"}, ["attacks.main[0].epsilon", "1.0e-3"]),
        ({f"{TRAINING}.learning_rate": "fast"}, ["expected a number, got the text 'fast'"]),
        ({f"{TRAINING}.epochs": "6"}, [f"{TRAINING}.epochs: expected a number"]),
        ({f"{TRAINING}.epochs": 1.5}, [f"{TRAINING}.epochs", "integer"]),
        ({f"{TRAINING}.epochs": -1}, [f"{TRAINING}.epochs", "minimum of 0"]),
        ({f"{TRAINING}.batch_size": 0}, [f"{TRAINING}.batch_size", "minimum of 1"]),
        ({f"{TRAINING}.nesterov": "yes"}, [f"{TRAINING}.nesterov", "boolean"]),
        # To JSON Schema, 6.0 is an integer, and to Python, True is 1.
        ({f"{TRAINING}.epochs": 6.0}, [f"{TRAINING}.epochs", "whole number", "write 6."]),
        ({f"{SOURCES}.seeds": [[0.0]]}, [f"{SOURCES}.seeds[0][0]", "write 0."]),
        ({f"{SOURCES}.seeds": [[True]]}, [f"{SOURCES}.seeds[0][0]", "got true", "yes"]),
        ({f"{TRAINING}.momentum": False}, [f"{TRAINING}.momentum: expected a number, got false."]),
        ({f"{ATTACK}.epsilon": True}, ["attacks.main[0].epsilon", "a number or text, got true"]),
        ({f"{ATTACK}.epsilon": "８/255"}, ["attacks.main[0].epsilon", "８/255", "8/255"]),
        ({f"{ATTACK}.epsilon": "8/255 "}, ["attacks.main[0].epsilon", "'8/255 '"]),
        ({f"{TRAINING}.weight_decay": -1.0}, [f"{TRAINING}.weight_decay", "minimum of 0"]),
        ({f"{TRAINING}.momentum": 1.5}, [f"{TRAINING}.momentum", "1.5"]),
        ({f"{TRAINING}.learning_rate": 0}, [f"{TRAINING}.learning_rate", "0"]),
        ({f"{TRAINING}.schedule": "linear"}, [f"{TRAINING}.schedule", "one_cycle"]),
        ({f"{ATTACK}.epsilon": -0.1}, ["attacks.main[0].epsilon: -0.1", "not negative"]),
        ({f"{ATTACK}.epsilon": "-8/255"}, ["'-8/255' does not fit", "8/255", "not negative"]),
        ({f"{ATTACK}.norm": "l1"}, ["attacks.main[0].norm", "linf", "l2"]),
        # YAML reads a bare `true` as a boolean: the message shows what is meant.
        ({f"{ATTACK}.labels": True}, ["attacks.main[0].labels", "'true'"]),
        ({f"{SOURCES}.classes": []}, [f"{SOURCES}.classes: needs at least 1 item"]),
        ({f"{SOURCES}.classes": ["cat", "cat"]}, [f"{SOURCES}.classes", "non-unique"]),
        ({f"{SOURCES}.seeds": [0]}, [f"{SOURCES}.seeds[0]", "array"]),
        ({f"{SOURCES}.seeds": [[-1]]}, [f"{SOURCES}.seeds[0][0]", "minimum of 0"]),
        ({f"studies.{FIRST}.targets": {}}, [f"studies.{FIRST}.targets: needs at least 1 entry"]),
        ({f"studies.{FIRST}.targets.held_out.half": 2}, ["held_out.half", "[0, 1]"]),
        ({"label": "a/b"}, ["label: 'a/b'"]),
        ({"data.datasets.cifar10": {"pck": "x"}}, ["data.datasets.cifar10.pck", "'pack'"]),
        ({"models.mlp.family": DELETE}, ["models.mlp.family is missing: A module of"]),
        # What YAML knows and JSON does not: `.nan`, `.inf`, and names that are numbers.
        ({f"{TRAINING}.learning_rate": math.nan}, [f"{TRAINING}.learning_rate", "finite"]),
        ({f"{ATTACK}.epsilon": math.inf}, ["attacks.main[0].epsilon", "finite", "inf"]),
        (
            {f"studies.{SECOND}.sources.mixtures": {25: ["bird", "ship"]}},
            ["sources.mixtures.25", "int", "quotes"],
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_mistakes_the_schema_finds(changes, parts):
    text = message(changed(changes))
    assert "one problem:" in text
    for part in parts:
        assert part in text
    assert "config.yaml explains every key" in text


NAMES = {
    "data.datasets": {},
    "models": {"family": "mlp"},
    "trainings": DEFAULTS["trainings"]["natural"],
    "transfers": DEFAULTS["transfers"]["default"],
    "attacks": DEFAULTS["attacks"]["main"],
    f"studies.{FIRST}.targets": DEFAULTS["studies"][FIRST]["targets"]["held_out"],
    f"studies.{SECOND}.sources.mixtures": ["bird", "ship"],
    "checkpoints": {
        "file": "natural.pth",
        "model": "resnet8",
        "training": "natural",
        "classes_file": "classes.txt",
        "size": 32,
    },
    f"studies.{THIRD}.targets": DEFAULTS["studies"][THIRD]["targets"]["near"],
    f"studies.{THIRD}.grids": DEFAULTS["studies"][THIRD]["grids"]["heads"],
}
BAD_NAMES = [
    *("", ".", "..", "../x", "/x", ".x", "-x", "a b", "a.b", "a\\b", "a\n", "a\0b", "é", "\u202ex"),
    *("$(x)", "`x`", "'", '"', "{x}", "a;b", "=1", "+1", "@x", "x" * 65),
]


@pytest.mark.parametrize("section", NAMES)
def test_names_are_closed(section):
    for name in ("x", "_x", "n25", "X-1_a", "x" * 64):
        config = changed({f"{section}.{name}": NAMES[section]})
        check_config(config)
    for name in BAD_NAMES:
        config = changed({f"{section}.new": NAMES[section]})
        place = config
        for part in section.split("."):
            place = place[part]
        place[name] = place.pop("new")
        text = message(config)
        assert f"{section}: {name!r} does not fit. A name: at most 64 letters" in text, name
        assert text.isascii() or name == "é"  # nothing that turns a terminal's text around


def folders_of_results() -> set[str]:
    """What the rules and the paths of artefacts put below results/, without a label."""
    texts = [file.read_text() for file in (ROOT / "rules").glob("**/*.smk")]
    return {name for text in texts for name in re.findall(r"RESULTS\}/(\w+)/", text)}


def test_folders_of_results_are_found():
    assert folders_of_results() >= {
        *("data", "sources", "transfers", "features", "subsets", "similarity", "granularity"),
        *("detectors", "evaluations", "attacks", "responses", "metrics"),
    }


@pytest.mark.parametrize("label", ["", "x", "_x", "25", "paper-2_a", "x" * 64, "console", "data2"])
def test_labels(label):
    check_config(changed({"label": label}))


@pytest.mark.parametrize(
    "label",
    [
        *filter(None, BAD_NAMES),
        *sorted(folders_of_results()),
        *("tables", "figures", "con", "NUL", "Com1"),
    ],
)
def test_labels_that_are_no_folder_of_their_own(label):
    text = message(changed({"label": label}))
    assert f"label: {label!r} does not fit. Subfolder of results/" in text


@pytest.mark.parametrize(
    "key",
    [
        "data.local",
        "data.datasets.cifar10.pack",
        f"{SOURCES}.classes.0",
        "models.mlp.activation",
        f"{SOURCES}.training",
    ],
)
@pytest.mark.parametrize("character", ["\n", "\0", "\x1b", "\ud800", "\u2028"])
def test_no_text_has_control_characters(key, character):
    config = changed({"data.datasets.cifar10.pack": None, "data.local": None})
    *path, last = (int(part) if part.isdigit() else part for part in key.split("."))
    place = config
    for part in path:
        place = place[part]
    place[last] = f"x{character}y"
    text = message(config)
    dotted = key.replace(".0", "[0]")
    assert f"{dotted}: {f'x{character}y'!r} has a line break or another control" in text
    assert character == "\n" or character not in text


@pytest.mark.parametrize("path", ["a b", "it's", '"x"', "$(x);`x`", "{study}", "[/b]", "é😀", "~"])
def test_paths_are_free(path):
    check_config(changed({"data.local": path, "data.datasets.cifar10": {"pack": path}}))


def test_a_folder_that_looks_like_an_option():
    assert "data.local: '-x' does not fit" in message(changed({"data.local": "-x"}))


def test_a_long_text_is_shortened_in_the_message():
    text = message(changed({"label": "x" * 5000}))
    assert "xxx...'" in text and len(text) < 600


def test_what_no_path_or_command_can_hold():
    many = list(range(100))
    text = message(changed({f"{SOURCES}.seeds": [many]}))
    assert f"{SOURCES}.seeds[0]" in text and "100 seeds" in text and "Split the block" in text
    make_plan(changed({f"{SOURCES}.seeds": [many[:50], many[50:]]}))
    text = message(changed({f"{SOURCES}.seeds": [[10**9]]}))
    assert f"{SOURCES}.seeds[0][0]" in text and "maximum" in text
    text = message(changed({f"{SOURCES}.classes": ["x" * 140_000]}))
    assert "more than the 114688" in text and "Shorten its class names" in text


def test_all_problems_are_listed_at_once():
    text = message(changed({f"{TRAINING}.epochs": -1, "labl": "x", f"{ATTACK}.epsilon": -1}))
    assert "3 problems:" in text
    assert text.count("\n  - ") == 3


def test_checking_changes_nothing():
    config = copy.deepcopy(DEFAULTS)
    check_config(config)
    assert config == DEFAULTS


# What fits the schema but makes no sense ---------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({f"{SOURCES}.models": ["resnet9"]}, [f"{SOURCES}.models", "resnet9", "resnet8"]),
        ({f"{SOURCES}.training": "naturl"}, [f"{SOURCES}.training", "naturl", "natural"]),
        ({f"studies.{FIRST}.attacks": ["mian"]}, [f"{FIRST}.attacks", "mian", "main, robustness"]),
        ({"evaluation.attacks": "none"}, ["evaluation.attacks", "none", "robustness"]),
        ({f"studies.{FIRST}.transfer": "fast"}, [f"{FIRST}.transfer", "fast", "default"]),
        ({f"{SOURCES}.dataset": "cifar"}, ["no 'cifar' in `data.datasets`", "cifar10"]),
        ({"models.mlp.family": "mpl"}, ["models.mlp.family", "mpl", "mlp"]),
        ({f"{ATTACK}.attack": "singular"}, ["attacks.main[0].attack", "norm l2 only"]),
        (
            {f"{ATTACK}.attack": "singular", f"{ATTACK}.norm": "l2"},
            ["attacks.main[0].attack", "one answer", "random_start"],
        ),
        ({f"{ATTACK}.attack": "pdg"}, ["attacks.main[0].attack", "pdg", "fgsm, pgd"]),
        ({"data.datasets.cifar10": {"pack": "no/such.h5"}}, ["datasets.cifar10.pack", "no/such"]),
        ({f"{ATTACK}.epsilon": "8/0"}, ["8/0", "division by zero"]),
        # Grey levels instead of pixels in [0, 1].
        ({f"{ATTACK}.epsilon": 8}, ["attacks.main[0].epsilon: 8 cannot", "8/255"]),
        ({f"{ATTACK}.step_size": 2}, ["attacks.main[0].step_size: 2 cannot", "2/255"]),
        ({f"{ATTACK}.step_size": 0}, ["attacks.main[0].step_size", "leads nowhere"]),
        (
            {f"{TRAINING}.attack": {"attack": "pgd", "norm": "linf", "epsilon": 8}},
            [f"{TRAINING}.attack.epsilon: 8 cannot", "8/255"],
        ),
        (
            {
                f"{ATTACK}.norm": "l2",
                f"{ATTACK}.epsilon": 128,
                f"{SOURCES}.size": 32,
                f"studies.{FIRST}.targets.held_out.size": 32,
            },
            ["pgd10-l2-128 on 32x32 images", "0 to 55.43", "128/255"],
        ),
        # Overlap of training images: the same classes without halves.
        (
            {f"{SOURCES}.classes": ["cat", "dog", "horse"]},
            [f"studies.{FIRST}", "held_out", "dog, horse", "half: 0", "half: 1"],
        ),
        (
            {f"studies.{SECOND}.targets.vehicles.half": 0},
            [f"studies.{SECOND}", "'vehicles'", "would share images"],
        ),
        (
            {f"studies.{FIRST}.primary.reference": "vgg"},
            [f"studies.{FIRST}.primary.reference", "'vgg'", "resnet8, alexnet"],
        ),
        (
            {f"studies.{FIRST}.primary.target": "heldout"},
            [f"studies.{FIRST}.primary.target", "'heldout'", "held_out"],
        ),
        (
            {f"studies.{FIRST}.primary.epsilon": "7/255"},
            [f"studies.{FIRST}.primary", "pgd linf 7/255", "pgd10-linf-8_255"],
        ),
        (
            {"attacks.main.1.epsilon": "4/255"},
            ["attacks.main", "pgd10-linf-4_255 stands twice", "block of its own"],
        ),
        (
            {f"studies.{FIRST}.targets.held_out.transfer_images": 10001},
            ["held_out", "transfer_images (10001)", "images (10000)"],
        ),
        (
            {f"studies.{FIRST}.targets.held_out.attacked_images": 2001},
            ["held_out", "attacked_images (2001)", "test_images (2000)"],
        ),
        (
            {f"{TRAINING}.checkpoint": "best_on_validation"},
            [f"{TRAINING}", "needs validation_images"],
        ),
        (
            {f"{TRAINING}.validation_images": 10000},
            [f"{TRAINING}", "validation_images (10000)", "would leave none"],
        ),
        ({f"{TRAINING}.momentum": 0}, [f"{TRAINING}: nesterov needs a momentum"]),
        ({f"{FULL}.epochs": 0}, [f"{FULL}.epochs: a transfer trains for at least 1"]),
        # A transfer is measured on test images after every epoch: that would select on them.
        (
            {f"{FULL}.checkpoint": "best_on_validation"},
            [f"{FULL}: a transfer holds no images out"],
        ),
        (
            {"transfers.default.last_layer": {"solver": "sgd"}},
            ["transfers.default.last_layer.training is missing", "sgd"],
        ),
        ({f"{SOURCES}.seeds": [[0, 1], [1, 2]]}, [f"{SOURCES}.seeds: seed 1", "two blocks"]),
        (
            {f"studies.{FIRST}.references.seeds": [[0], [0]]},
            [f"studies.{FIRST}.references.seeds: seed 0"],
        ),
        (
            {"attacks.more": [DEFAULTS["attacks"]["main"][0]], f"studies.{FIRST}.attacks": BOTH},
            [f"studies.{FIRST}.attacks", "pgd10-linf-4_255 stands in two blocks"],
        ),
        ({"models.mlp": DEFAULTS["models"]["lenet"]}, [SOURCES, "mlp and lenet are the same"]),
        ({f"studies.{FIRST}.primary.metric": "alpha1"}, ["primary.metric", "alpha_1_mean"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_mistakes_the_plan_finds(changes, parts):
    text = message(changed(changes))
    for part in parts:
        assert part in text


def test_unknown_address_is_told(plan):
    with pytest.raises(UserError, match=r"'resnet-x'.*results/index\.csv"):
        plan.get("resnet-x")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("8/255", 8 / 255),
        ("0.25", 0.25),
        (0.25, 0.25),
        (1, 1.0),
        ("0", 0.0),
        ("1.5/255", 1.5 / 255),
    ],
)
def test_parse_epsilon(value, expected):
    found = parse_epsilon(value)
    assert found == expected and isinstance(found, float)


# Plans -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overlay", [None, *OVERLAYS], ids=lambda path: path.stem if path else "")
def test_config_and_its_overlays_make_a_plan(overlay, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = load(*filter(None, [overlay]))
    plan = make_plan(config, class_names)
    assert set(plan.studies) == set(without_nulls(config["studies"]))
    for study in plan.studies.values():
        assert isinstance(study, (PairStudy, EfficiencyStudy, TransferStudy, DetectionStudy))
        assert study.sources
        assert study.tasks if isinstance(study, DetectionStudy) else study.targets
        assert not isinstance(study, PairStudy) or study.blocks
        assert not isinstance(study, EfficiencyStudy) or study.grids
        files = study.files()
        assert len(files) == len(set(files))
    # Every recipe of the plan is found under its address.
    assert all(address(recipe) == where for where, recipe in plan.recipes.items())
    paths = [(row["study"], row["path"]) for row in index_rows(plan)]
    assert len(paths) == len(set(paths))


def test_the_default_plan_is_what_config_yaml_says(plan):
    first, second = plan.studies[FIRST], plan.studies[SECOND]
    assert len(first.sources) == 8 + 2  # eight architectures, two robust ones
    assert [source.robust for source in first.sources].count(True) == 2
    assert [source.mixture for source in second.sources] == [
        "animals_0", "animals_25", "animals_50", "animals_75", "animals_100",
    ]  # fmt: skip
    # The share is counted from the classes, not read from the name.
    assert [source.animals for source in second.sources] == [0, 25, 50, 75, 100]
    assert {len(target.references) for target in first.targets} == {2}
    rate = {s.model: s.recipe.training.learning_rate for s in first.sources}
    assert rate["mlp"] == 0.05 and rate["vgg"] == 0.2  # a model's own learning rate, and not
    assert "learning_rate" not in first.sources[0].recipe.model.parameters
    target = first.targets[0]
    (transfer,) = target.transfers
    assert transfer.train.images == 2000 and target.attacked.images == 1000
    assert target.attacked.split == transfer.test.split == "test"
    assert {s.recipe.view.half for s in second.sources} == {0}
    assert {t.train.half for t in second.targets} == {1}
    assert {a.precision for block in first.blocks for a in block} == {"bf16"}
    assert first.primary["epsilon"] == 8 / 255


def test_two_studies_share_what_they_both_need():
    config = changed({f"{SOURCES}.models": ["resnet8"], f"{SOURCES}.half": 0})
    mixture = DEFAULTS["studies"][SECOND]["sources"]["mixtures"]["animals_0"]
    config["studies"][FIRST]["sources"]["classes"] = mixture
    config["studies"][FIRST]["targets"]["held_out"]["half"] = 1
    first, second = (make_plan(config).studies[name] for name in (FIRST, SECOND))
    there, here = ({address(s.recipe) for s in study.sources} for study in (first, second))
    assert there & here == {address(first.sources[0].recipe)}
    assert address(first.evaluation(first.sources[0])) == (
        address(second.evaluation(second.sources[0]))
    )


@pytest.mark.parametrize(
    ("changes", "new"),
    [
        ({"label": "mine"}, set()),
        ({"data.providers": ["local"]}, set()),
        ({"statistics.bootstrap": 10}, set()),
        ({f"{SOURCES}.seeds": [[0, 1, 2], [3]]}, set()),  # seeds stand in paths, not in recipes
        ({"evaluation.images": 100}, {"ViewRecipe", "EvaluationRecipe"}),
        ({f"studies.{FIRST}.mask": "all"}, {"MetricsRecipe"}),
        ({"transfers.default.last_layer.regularization": 0.1}, {"TransferRecipe"}),
        (
            {f"{ATTACK}.restarts": 2},
            {"AttackBlockRecipe", "PairingRecipe", "MetricsRecipe"},
        ),
        (
            {"models.densenet.growth": 8},
            {"SourceRecipe"},  # of one source only, which is no reference
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_change_makes_only_what_it_must(changes, new):
    before, after = addresses({}), addresses(changes)
    assert {kind for kind in after if after[kind] - before.get(kind, set())} == new


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"label": "mine"}, False),
        ({"data.providers": ["registry"]}, False),
        ({"data.local": "somewhere"}, False),
        ({f"studies.{SECOND}.mask": "all"}, False),
        ({f"studies.{SECOND}": DELETE}, False),
        ({"models.unused": {"family": "lenet"}}, False),
        ({"trainings.unused": {"epochs": 1, "batch_size": 1, "learning_rate": 1}}, False),
        ({"attacks.unused": DEFAULTS["attacks"]["main"]}, False),
        ({"statistics.bootstrap": 10}, False),
        ({"models.vgg.width": 8}, True),
        ({"trainings.robust_l2.epochs": 7}, True),
        ({"transfers.default.last_layer.regularization": 0.1}, True),
        ({f"studies.{FIRST}.mask": "all"}, True),
        ({f"{SOURCES}.seeds": [[0]]}, True),
        ({f"{TRAINING}.epochs": 7}, True),
        ({f"{ATTACK}.steps": 11}, True),
        ({"precision.attacks": "fp32"}, True),
        ({"evaluation.images": 499}, True),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_slice_holds_the_study_and_nothing_of_others(changes, differs):
    before = slice_of(copy.deepcopy(DEFAULTS), FIRST)
    assert (slice_of(changed(changes), FIRST) != before) == differs


def test_a_slice_makes_the_same_study(plan):
    for name, study in plan.studies.items():
        assert list(json.loads(plan.slices[name])["studies"]) == [name]
        again = as_collected(plan, name)
        assert (type(again), again.name) == (type(study), name)
        # Sources and targets come in another order: mixtures are sorted by name in the JSON.
        assert set(again.files()) == set(study.files())
        # Resamples are no part of a table; what has any is told by the whole configuration.
        assert again.settings(plan.config) == study.settings(plan.config)
        if isinstance(study, PairStudy):
            assert again.primary == study.primary


def test_packs_are_known_by_their_content(tmp_path):
    """Another file of the same name is another dataset; the same content elsewhere is not made."""
    pack = tmp_path / "mine.h5"
    found = []
    for content in (b"one", b"two", b"one"):
        pack.write_bytes(content)
        changes = {"data.datasets.cifar10": {"pack": str(pack)}}
        found.append(addresses(changes)["SourceRecipe"])
    assert found[0] == found[2]
    assert not found[0] & found[1]


# The schema itself -------------------------------------------------------------------------------


def properties(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(schema, dict):
        for key, value in schema.get("properties", {}).items():
            yield f"{path}.{key}", value
        for key, value in schema.items():
            yield from properties(value, f"{path}.{key}")


def objects(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield path, schema
        for key, value in schema.items():
            yield from objects(value, f"{path}.{key}")


def test_the_schema_is_a_schema_that_describes_every_key_and_is_closed():
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    definitions = schema["$defs"]
    found = dict(properties(schema))
    assert len(found) > 50
    for path, value in found.items():
        reference = definitions.get(value.get("$ref", "").rpartition("/")[2], {})
        assert value.get("description") or reference.get("description"), path
    for path, value in objects(schema):
        assert "additionalProperties" in value, f"{path} takes any key"


def test_config_yaml_explains_what_the_schema_knows():
    """Every top-level key has its comment above it, and nothing in the file is undescribed."""
    text = (ROOT / "config.yaml").read_text()
    assert len(text.splitlines()) < 350
    schema = json.loads(SCHEMA.read_text())
    for key in set(schema["properties"]) - {"studies"}:  # which stand in files of their own
        above = text.partition(f"\n{key}:")[0].rsplit("\n", 1)[-1]
        assert above.startswith("#"), key


def test_selection_on_test_images_is_said_on_the_page():
    for key in (TRAINING, FULL):
        plan = make_plan(changed({f"{key}.checkpoint": "best_on_test"}))
        assert "selected on test data" in facts_of(plan, FIRST)["warning"], key
    assert "warning" not in facts_of(make_plan(changed({})), FIRST)
    plan = make_plan(changed({f"{TRAINING}.checkpoint": "best_on_test"}))
    for study in ("data_efficiency", "fixed_vs_full", "accuracy_and_robustness", "detection"):
        assert "selected on test data" in facts_of(plan, study)["warning"], study


# Steps and overlays ------------------------------------------------------------------------------


def test_a_run_with_all_classes_is_recorded(tmp_path):
    config = changed({"studies.pretrained.targets.near.classes": "all"})
    config["studies"] = {"pretrained": config["studies"]["pretrained"]}
    files = {name: str(tmp_path / name) for name in ("index", "config", "environment")}
    words = [word for name, path in files.items() for word in (f"--{name}", path)]
    record_run.main(record_run.parser().parse_args(["--recipe", json.dumps(config), *words]))
    assert "cifar10-train-10classes" in Path(files["index"]).read_text()
    assert yaml.safe_load(Path(files["config"]).read_text()) == config


def test_quick_trains_its_sources_for_as_many_epochs():
    """Else a comparison of trainings is one of epochs."""
    plan = make_plan(load("configs/quick.yaml"))
    for name, study in plan.studies.items():
        if isinstance(study, PairStudy):
            continue
        trainings = {source.recipe.training for source in study.sources}  # type: ignore[union-attr]
        assert {training.epochs for training in trainings} <= {0, 4}, name


def test_every_step_with_a_gpu_can_be_told_to_do_without():
    rules = "\n".join(file.read_text() for file in (ROOT / "rules").glob("**/*.smk"))
    named = {
        part.split(":")[0]
        for part in re.split(r"^rule ", rules, flags=re.M)
        if "gpu=one_gpu" in part
    }
    assert len(named) == 10
    docs = (ROOT / "docs/cluster.md").read_text()
    assert {name for name in named if f"{name}: {{gpu: 0}}" in docs} == named
