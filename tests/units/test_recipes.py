"""Recipes: canonical JSON and back, digests that stay, seeds that differ."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.advtransfer.attacks.block_recipe import AttackBlockRecipe
from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe, attack_label
from workflow_scripts.advtransfer.data.comparison_recipe import ComparisonRecipe
from workflow_scripts.advtransfer.data.recipe import DatasetRecipe
from workflow_scripts.advtransfer.data.view_recipe import ViewRecipe
from workflow_scripts.advtransfer.detection.data_recipe import (
    CocoRecipe,
    ComposedRecipe,
    DetectionDataRecipe,
    VocRecipe,
)
from workflow_scripts.advtransfer.detection.recipe import DetectorRecipe
from workflow_scripts.advtransfer.epsilon import format_epsilon
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.metrics.granularity_recipe import GranularityRecipe
from workflow_scripts.advtransfer.metrics.pairing_recipe import PairingRecipe, pair_name
from workflow_scripts.advtransfer.metrics.recipe import MetricsRecipe
from workflow_scripts.advtransfer.metrics.similarity_recipe import SimilarityRecipe
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.recipes import (
    derived_seed,
    digest,
    from_json,
    from_plain,
    to_json,
    to_plain,
)
from workflow_scripts.advtransfer.training.evaluation_recipe import EvaluationRecipe
from workflow_scripts.advtransfer.training.imported_recipe import ImportedRecipe
from workflow_scripts.advtransfer.training.recipe import SourceRecipe, TrainingRecipe
from workflow_scripts.advtransfer.transfer.recipe import ModeRecipe, TransferRecipe
from workflow_scripts.advtransfer.transfer.subsets_recipe import (
    FeaturesRecipe,
    SubsetsRecipe,
    cached_features,
)

LIBRARY = Path(__file__).parents[2] / "workflow_scripts" / "advtransfer"

DATASET = DatasetRecipe("cifar10")
VIEW = ViewRecipe(DATASET, "train", ("cat", "dog"), images=100, half=1, size=28)
ATTACK = AttackRecipe("pgd", "linf", 8 / 255, steps=10, step_size=2 / 255, random_start=True)
TEST = dataclasses.replace(VIEW, split="test", half=None)
TRAINING = TrainingRecipe(6, 128, 0.2, nesterov=True, schedule="one_cycle", attack=ATTACK)
SOURCE = SourceRecipe(
    VIEW,
    ModelRecipe("resnet", {"blocks": [1, 1, 1], "stem_stride": 2, "bottleneck": False}),
    TRAINING,
    test=ViewRecipe(DATASET, "test", ("cat", "dog")),
)
BLOCK = AttackBlockRecipe(VIEW, (ATTACK, AttackRecipe("fgsm", "l2", 0.5)))
PAIRING = PairingRecipe(SOURCE, (0, 1, 2), BLOCK)
FINE_TUNED = ModeRecipe(
    "unfrozen_blocks",
    training=TrainingRecipe(20, 128, 0.05, precision="bf16"),
    blocks=3,
    initial_head="normal",
)
COMPOSED = ComposedRecipe(
    DatasetRecipe("fashion_mnist"),
    ("shirt", "bag"),
    DATASET,
    ("ship",),
    size=64,
    train_images=300,
    val_images=100,
    objects_per_image=(1, 4),
    scales=(10, 30),
    threshold=30,
    visible=0.5,
    seed=1,
)
COCO = CocoRecipe("train.json", "train2017", "val.json", "val2017", ("ab" * 32, "cd" * 32))
VOC = VocRecipe("VOCdevkit", ("2007/trainval",), ("2007/test",), ("ab" * 32, "cd" * 32))
# One of every type, with fields away from their defaults.
EXAMPLES = [
    DatasetRecipe("hdf5_pack", path="mine.h5", sha256="ab" * 32),
    VIEW,
    SOURCE.model,
    ATTACK,
    TRAINING,
    SOURCE,
    ImportedRecipe(
        "imagenet_l2_3",
        sha256="cd" * 32,
        model=SOURCE.model,
        classes=("cat", "dog"),
        size=224,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        pretrained="timm/resnet50.a1_in1k",
    ),
    EvaluationRecipe(VIEW, (ATTACK,)),
    ModeRecipe("last_layer", solver="lbfgs", regularization=0.001),
    FeaturesRecipe(VIEW, TEST, blocks=3, precision="bf16"),
    SubsetsRecipe(VIEW, TEST, FINE_TUNED, (20, 40), (0, 1), (ATTACK,), attacked_images=20),
    ComparisonRecipe(VIEW, VIEW, TEST, shared_images="refuse"),
    SimilarityRecipe(TEST, dataclasses.replace(TEST, classes=("ship",))),
    GranularityRecipe(
        dataclasses.replace(VIEW, detail=14, superclasses=("animal", "animal")),
        (("animal", "cat"), ("animal", "dog")),
    ),
    TransferRecipe(VIEW, VIEW, (ModeRecipe("full_network", training=TRAINING),)),
    BLOCK,
    COMPOSED,
    COCO,
    VOC,
    DetectionDataRecipe("scenes", composed=COMPOSED, areas=(16, 24)),
    DetectorRecipe(
        DetectionDataRecipe("voc", voc=VOC),
        masks=False,
        epochs=12,
        batch_size=8,
        learning_rate=0.02,
        anchors=(8, 16),
        levels=2,
        decays=(0.5,),
        flip=False,
        frozen_blocks=1,
    ),
    PAIRING,
    MetricsRecipe(PAIRING, mask="all"),
]


def type_name(value: Any) -> str:
    return type(value).__name__


def test_every_recipe_type_has_an_example():
    there_are = {
        name
        for file in LIBRARY.rglob("*recipe.py")
        for name in re.findall(r"^class (\w+Recipe)", file.read_text(), re.MULTILINE)
    }
    assert {type_name(example) for example in EXAMPLES} == there_are


@pytest.mark.parametrize("recipe", EXAMPLES, ids=type_name)
def test_round_trip(recipe):
    text = to_json(recipe)
    again = from_json(type(recipe), text)
    assert again == recipe
    assert to_json(again) == text
    assert from_plain(type(recipe), to_plain(recipe)) == recipe


@pytest.mark.parametrize("recipe", EXAMPLES, ids=type_name)
def test_recipes_are_frozen(recipe):
    name = dataclasses.fields(recipe)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(recipe, name, None)


@pytest.mark.parametrize("recipe", EXAMPLES, ids=type_name)
def test_every_field_changes_the_digest(recipe):
    # A value of no recipe: only that the field counts is asked.
    for item in dataclasses.fields(recipe):
        other = dataclasses.replace(recipe, **{item.name: ["something else"]})
        assert digest(other) != digest(recipe), item.name


def test_canonical_json_is_sorted_compact_and_without_defaults():
    assert to_json(AttackRecipe("fgsm", "linf", 0.25)) == (
        '{"attack":"fgsm","epsilon":0.25,"norm":"linf"}'
    )
    # Written out, defaults change nothing.
    assert to_json(AttackRecipe("fgsm", "linf", 0.25, steps=1, precision="fp32")) == (
        to_json(AttackRecipe("fgsm", "linf", 0.25))
    )
    # 0 is not None: half 0 is a half.
    assert '"half":0' in to_json(dataclasses.replace(VIEW, half=0))
    assert '"half"' not in to_json(dataclasses.replace(VIEW, half=None))
    assert to_json(ModelRecipe("lenet")) == '{"family":"lenet"}'


def test_json_does_not_depend_on_the_order_of_parameters():
    first = ModelRecipe("resnet", {"width": 16, "blocks": [1, 1]})
    second = ModelRecipe("resnet", {"blocks": [1, 1], "width": 16})
    assert to_json(first) == to_json(second)
    assert digest(first) == digest(second)


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (DatasetRecipe("cifar10"), "3q6p45t3qd"),
        (VIEW, "imd2ogehsn"),
        (SOURCE, "jf6nfy6anf"),
    ],
    ids=type_name,
)
def test_digests_stay(recipe, expected):
    """A changed digest makes every artefact anew, on every user's disk."""
    assert digest(recipe) == expected


def test_digest_is_ten_characters_of_base32():
    found = {digest(AttackRecipe("pgd", "l2", k / 100)) for k in range(200)}
    assert len(found) == 200
    assert {len(text) for text in found} == {10}
    assert set("".join(found)) <= set("abcdefghijklmnopqrstuvwxyz234567")


def test_whole_numbers_in_float_fields_are_one_recipe():
    """YAML's `1` and `1.0`; and what a step reads back has the digest that is in its path."""
    whole, decimal = (TrainingRecipe(1, 1, rate) for rate in (1, 1.0))
    assert to_json(whole) == to_json(decimal)
    assert digest(from_json(TrainingRecipe, to_json(whole))) == digest(whole)
    assert to_json(AttackRecipe("pgd", "l2", 1, step_size=2)) == (
        to_json(AttackRecipe("pgd", "l2", 1.0, step_size=2.0))
    )
    # Whole numbers stay whole where they are meant to be.
    assert '"steps":2' in to_json(AttackRecipe("pgd", "l2", 1, steps=2))


@pytest.mark.parametrize(
    ("kind", "text", "parts"),
    [
        (AttackRecipe, '{"attack":"pgd","norm":"l2"}', ["AttackRecipe", "epsilon"]),
        (
            AttackRecipe,
            '{"attack":"pgd","norm":"l2","epsilon":1,"step":3}',
            ["AttackRecipe", "'step'", "steps"],
        ),
        (ViewRecipe, '{"split":"train","classes":[]}', ["ViewRecipe", "dataset"]),
        (
            ViewRecipe,
            '{"dataset":{"nam":"x"},"split":"train","classes":[]}',
            ["DatasetRecipe", "'nam'", "name"],
        ),
        (DatasetRecipe, "{", ["not JSON"]),
        (DatasetRecipe, "[]", ["JSON object", "list"]),
        (DatasetRecipe, "3", ["JSON object", "int"]),
    ],
)
def test_wrong_recipes_are_told(kind, text, parts):
    with pytest.raises(UserError) as told:
        from_json(kind, text)
    for part in parts:
        assert part in str(told.value)


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(TypeError, match="set"):
        to_json(ModelRecipe("mlp", {"widths": {1, 2}}))
    with pytest.raises(ValueError):
        to_json(AttackRecipe("pgd", "l2", float("nan")))


def test_derived_seeds_differ_and_stay():
    seeds = {
        derived_seed(recipe, seed, purpose)
        for recipe in (DATASET, VIEW, SOURCE)
        for seed in range(20)
        for purpose in ("training", "initialisation", "pgd10-linf-8_255")
    }
    assert len(seeds) == 3 * 20 * 3
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derived_seed(DATASET, 0, "training") == derived_seed(DATASET, 0, "training")
    # A list of recipes is a recipe too: an attack's stream depends on view and attack alone.
    assert derived_seed([VIEW, ATTACK], 0, "x") != derived_seed([VIEW], 0, "x")
    assert derived_seed(DATASET, 0, "training") == 6376742538386083020


@pytest.mark.parametrize(
    ("epsilon", "text"),
    [
        (8 / 255, "8/255"),
        (4 / 255, "4/255"),
        (1 / 255, "1/255"),
        (0.25, "0.25"),
        (0.06, "0.06"),
        (0.1, "0.1"),
        (0.5, "0.5"),
        (0.0, "0"),
        (1.5 / 255, "0.00588235"),
    ],
)
def test_format_epsilon(epsilon, text):
    assert format_epsilon(epsilon) == text


def test_names_inside_files():
    assert attack_label(ATTACK) == "pgd10-linf-8_255"
    assert attack_label(AttackRecipe("fgsm", "l2", 0.5)) == "fgsm-l2-0.5"
    assert pair_name(1, 2, "fgsm-l2-0.5", "source") == "source1/reference2/fgsm-l2-0.5/source"
    assert "/" not in attack_label(ATTACK)  # it is one level of a path in HDF5


def test_json_is_json():
    assert json.loads(to_json(MetricsRecipe(PAIRING)))["pairing"]["reference_seeds"] == [0, 1, 2]


# What is computed once for all runs of a block ----------------------------------------------------

HEAD = ModeRecipe("last_layer", solver="lbfgs", regularizations=(0.1, 1.0), precision="bf16")
STILL = TrainingRecipe(20, 128, 0.05, batch_norm="frozen", precision="bf16")
SMALL: dict[str, Any] = {"images": (20, 40), "subset_seeds": (0, 1)}


def features_of(mode: ModeRecipe, **changes: Any) -> FeaturesRecipe | None:
    return cached_features(SubsetsRecipe(VIEW, TEST, mode, **{**SMALL, **changes}))


def test_what_stays_frozen_is_computed_once():
    head = FeaturesRecipe(VIEW, TEST, 0, "bf16")
    assert features_of(HEAD) == head
    # Solved and trained heads start from the same file, whatever else the block asks for.
    assert features_of(ModeRecipe("last_layer", training=STILL, initial_head="normal")) == head
    assert features_of(HEAD, images=(80,), subset_seeds=(5,)) == head
    assert features_of(HEAD, attacks=(ATTACK,), attacked_images=20) == head
    assert features_of(dataclasses.replace(HEAD, regularizations=(0.5,))) == head
    # Another cut, another arithmetic: another file. The head's own batch norm may move.
    assert features_of(FINE_TUNED) == FeaturesRecipe(VIEW, TEST, 3, "bf16")
    assert features_of(dataclasses.replace(HEAD, precision="fp32")) == FeaturesRecipe(VIEW, TEST, 0)


def test_what_changes_from_epoch_to_epoch_is_not_kept():
    def with_training(mode: ModeRecipe, **changes: Any) -> ModeRecipe:
        assert mode.training is not None
        return dataclasses.replace(mode, training=dataclasses.replace(mode.training, **changes))

    head = ModeRecipe("last_layer", training=STILL)
    for mode in (head, FINE_TUNED):
        assert features_of(mode) is not None
        assert features_of(with_training(mode, augmentation="crop_flip")) is None
        assert features_of(with_training(mode, attack=ATTACK)) is None
    assert features_of(with_training(head, batch_norm="adapt")) is None
    assert features_of(dataclasses.replace(FINE_TUNED, moving_statistics=True)) is None
    assert features_of(ModeRecipe("full_network", training=FINE_TUNED.training)) is None
