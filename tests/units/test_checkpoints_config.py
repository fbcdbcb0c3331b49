"""Sources of other programs in the configuration: files and published weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from support.config import DEFAULTS, ROOT, changed, check_all_sizes, message, refusal
from support.efficiency_config import PART, SOURCES, STUDY, TARGETS
from support.told import as_collected
from workflow_scripts.advtransfer.addresses import address
from workflow_scripts.advtransfer.closure import recipe_modules
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.models.registry import REGISTRY
from workflow_scripts.advtransfer.recipes import to_json
from workflow_scripts.advtransfer.training.imported_recipe import ImportedRecipe
from workflow_scripts.studies.plan import index_rows, make_plan

TORCHVISION = "torchvision/ResNet50_Weights.IMAGENET1K_V1"
TIMM = "timm/resnet50.a1_in1k"
FILE = {
    "file": "no/such.pth",
    "model": "resnet8",
    "training": "l2_3",
    "classes_file": "no/such.txt",
    "size": 32,
}


def published(pretrained: str = TORCHVISION, **more: Any) -> dict[str, Any]:
    """Changes to the configuration: one source more, of published weights."""
    part = {"pretrained": pretrained, "training": "imagenet", **more}
    return {"checkpoints.mine": part, f"{SOURCES}.checkpoints": ["mine"]}


def with_file(**more: Any) -> dict[str, Any]:
    """Changes to the configuration: one source more, of a file; keys that are None are left out."""
    part = {key: value for key, value in (FILE | more).items() if value is not None}
    return {"checkpoints.mine": part, f"{SOURCES}.checkpoints": ["mine"]}


def recipe_of(changes: dict[str, Any]) -> ImportedRecipe:
    sources = make_plan(changed(changes)).studies[STUDY].sources
    (recipe,) = (s.recipe for s in sources if isinstance(s.recipe, ImportedRecipe))
    return recipe


@pytest.mark.parametrize(
    ("pretrained", "family", "name", "label"),
    [
        (TORCHVISION, "torchvision", "resnet50", "resnet50"),
        (
            "torchvision/Wide_ResNet50_2_Weights.IMAGENET1K_V2",
            *("torchvision", "wide_resnet50_2", "wide_resnet50_2"),
        ),
        (TIMM, "timm", "resnet50", "resnet50"),
        (
            "registry/efficientnet_lite0",
            *("timm", "tf_efficientnet_lite0", "efficientnet_lite0"),
        ),
        (
            "registry/mobilenet_v2_deep_sort",
            *("torchvision", "mobilenet_v2", "mobilenet_v2"),
        ),
    ],
)
def test_published_weights_are_a_source(
    pretrained: str, family: str, name: str, label: str
) -> None:
    plan = make_plan(changed(published(pretrained, size=128)))
    (source,) = (s for s in plan.studies[STUDY].sources if isinstance(s.recipe, ImportedRecipe))
    recipe = source.recipe
    assert isinstance(recipe, ImportedRecipe)
    assert recipe.model == ModelRecipe(family, {"name": name}) and recipe.size == 128
    assert (source.model, source.training, source.seed_blocks) == (label, "imagenet", ((0,),))
    assert recipe.pretrained == pretrained
    origin, _, known = pretrained.partition("/")
    assert recipe.sha256 == (REGISTRY[known].member_sha256 if origin == "registry" else "")
    assert address(recipe).startswith("pretrained-mine-")
    paths = {row["path"] for row in index_rows(plan)}
    assert f"results/sources/{address(recipe)}/seed0/model.safetensors" in paths
    # An edit of the family's file, or of what it imports, makes the source anew.
    assert [path.stem for path in recipe_modules(recipe)] == [family]


def test_what_decides_the_address() -> None:
    first = recipe_of(published())
    assert first.size == 224
    others = [
        recipe_of(published(size=128)),
        recipe_of(published(TIMM)),
        recipe_of(published(sha256="ab" * 32)),
        recipe_of(published("torchvision/ResNet50_Weights.IMAGENET1K_V2")),
    ]
    assert len({address(recipe) for recipe in [first, *others]}) == 5
    # What tables call it does not.
    assert recipe_of(published(training="natural_imagenet")) == first


def test_a_file_keeps_its_address() -> None:
    """That there are published weights changes no artefact of what was imported before."""
    changes = {"checkpoints.mine": FILE, f"{SOURCES}.checkpoints": ["mine"]}
    recipe = recipe_of(changes)
    assert address(recipe).startswith("imported-mine-") and recipe.pretrained == ""


def test_entry_and_head_of_a_file() -> None:
    """They decide the address where they are set, and only there."""
    plain = recipe_of(with_file())
    assert "entry" not in to_json(plain) and "head" not in to_json(plain)
    assert recipe_of(with_file(head=True)) == plain
    chosen = recipe_of(with_file(entry="state_dict_ema"))
    trunk = recipe_of(with_file(head=False, classes_file=None))
    assert (chosen.entry, trunk.head, trunk.classes) == ("state_dict_ema", False, ())
    assert len({address(recipe) for recipe in (plain, chosen, trunk)}) == 3


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        # Of a file and of published weights; a target that resizes, and one as it is stored.
        (
            {"checkpoints.mine.size": 64},
            ["checkpoints.mine.size: this network takes images of 64x64 pixels", "32x32 ones"],
        ),
        (
            {"checkpoints.mine": {"pretrained": TIMM, "training": "l2_3", "size": 128}},
            ["checkpoints.mine.size: this network takes images of 128x128 pixels"],
        ),
        (
            {f"{TARGETS}.near.size": 48},
            [f"{TARGETS}.near would give it 48x48 ones of cifar10", "set `size: 32`"],
        ),
        (
            {f"{TARGETS}.mnist.size": None},
            [f"{TARGETS}.mnist would give it 28x28 ones of mnist", "or `size: 28` in"],
        ),
    ],
)
def test_a_size_that_a_network_does_not_take(changes: dict[str, Any], parts: list[str]) -> None:
    text = refusal(changed(with_file() | changes))
    for part in parts:
        assert part in text, text


def test_sizes_that_fit(tmp_path: Path) -> None:
    make_and_check(with_file())
    make_and_check({})
    # Of a pack, its images are looked at.
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = np.zeros((4, 24, 24, 3), np.uint8)
    dataset = {"data.datasets.mine": {"pack": str(tmp_path / "a.h5")}}
    target = {f"{TARGETS}.near.dataset": "mine"}
    assert "24x24 ones of hdf5_pack" in refusal(changed(with_file() | dataset | target))
    make_and_check(with_file() | dataset | target | {f"{TARGETS}.near.size": 32})


def make_and_check(changes: dict[str, Any]) -> None:
    check_all_sizes(make_plan(changed(changes)))


@pytest.mark.parametrize(
    "data",
    [
        b"cat\nh\xc3\xb6rn owl\n",
        b"\xef\xbb\xbfcat\r\n\r\nh\xc3\xb6rn owl  \r\n",
        b"cat\n\n\tho\xcc\x88rn owl",
    ],
)
def test_class_names_of_every_system(data: bytes, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_bytes(data)
    part = FILE | {"classes_file": str(names)}
    recipe = recipe_of({"checkpoints.mine": part, f"{SOURCES}.checkpoints": ["mine"]})
    assert recipe.classes == ("cat", "h\N{LATIN SMALL LETTER O WITH DIAERESIS}rn owl")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"cat\ndog\ncat\n", "the class 'cat' is in line 1 and again in line 3"),
        (b"cat\nh\xf6rn\n", "line 2 seems to be in Latin-1"),
        (b"", "no class name in it"),
    ],
)
def test_class_names_that_cannot_be_meant(data: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(data)
    part = FILE | {"classes_file": str(tmp_path / "names.txt")}
    text = message(changed({"checkpoints.mine": part, f"{SOURCES}.checkpoints": ["mine"]}))
    assert text.startswith(f"checkpoints.mine.classes_file: {tmp_path}/names.txt: ")
    assert says in text


def test_the_tables_step_plans_with_what_the_study_uses() -> None:
    """It is given the used part of the configuration alone."""
    plan = make_plan(changed(published("registry/efficientnet_lite0")))
    assert list(json.loads(plan.slices[STUDY])["checkpoints"]) == ["mine"]
    assert as_collected(plan, STUDY).sources == plan.studies[STUDY].sources


def test_the_defaults_are_weights_of_the_registry() -> None:
    named = {name: part["pretrained"] for name, part in DEFAULTS["checkpoints"].items()}
    assert named == {
        "efficientnet_lite0": "registry/efficientnet_lite0",
        "mobilenet_v2": "registry/mobilenet_v2_deep_sort",
    }
    part = {
        **PART,
        "sources": {"checkpoints": list(named)},
        "baseline": "imagenet",
        "robust": "other",
    }
    config = changed({f"studies.{STUDY}": part, "checkpoints.mobilenet_v2.training": "other"})
    grids = {name: {**g, "trainings": ["imagenet", "other"]} for name, g in part["grids"].items()}
    config["studies"][STUDY]["grids"] = {"heads": grids["heads"]}
    config["studies"][STUDY]["figures"] = {"images": ["heads"]}
    sources = make_plan(config).studies[STUDY].sources
    assert [source.model for source in sources] == list(named)


def test_no_heavy_import_in_the_plan() -> None:
    code = (
        "import sys\n"
        "from workflow_scripts.config.load import load\n"
        "from workflow_scripts.studies.plan import make_plan\n"
        "make_plan(load())\n"
        "heavy = ('torch', 'torchvision', 'timm', 'h5py', 'pydantic')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (
            published("registry/efficientnet"),
            ["checkpoints.mine.pretrained: no 'efficientnet'", "registry/efficientnet_lite0"],
        ),
        (
            published("torchvision/ResNet50_Weights.DEFAULT"),
            ["checkpoints.mine.pretrained", "IMAGENET1K_V1", "DEFAULT would change"],
        ),
        (published("torchvision/resnet50"), ["names no weights of torchvision"]),
        (published("timm/resnet50"), ["names no weights of timm", "timm/resnet50.a1_in1k"]),
        (published("hub/resnet50"), ["checkpoints.mine.pretrained: 'hub/resnet50' does not fit"]),
        (published("timm/../a"), ["checkpoints.mine.pretrained: 'timm/../a' does not fit"]),
        (published(pretrain=TIMM), ["checkpoints.mine.pretrain: no such key", "'pretrained'"]),
        *(
            (
                published(TIMM, **{key: value}),
                [f"checkpoints.mine.{key}: published weights bring their own", f"leave out {key}"],
            )
            for key, value in (
                FILE | {"mean": [0.5], "std": [0.5], "entry": "model", "head": False}
            ).items()
            if key not in ("size", "training")
        ),
        (
            published("registry/efficientnet_lite0", sha256="ab" * 32),
            ["checkpoints.mine.sha256", "579344248a93", "leave sha256 out"],
        ),
        # Whether a study uses the entry or not.
        *(
            (
                {"checkpoints.unused": {k: v for k, v in FILE.items() if k != key}},
                [f"checkpoints.unused.{key} is missing", "`pretrained`"],
            )
            for key in ("file", "model", "classes_file", "size")
        ),
        (
            {"checkpoints.unused": FILE | {"head": False}},
            ["checkpoints.unused.classes_file", "leave one of the two out"],
        ),
        (with_file(entry="-x"), ["checkpoints.mine.entry: '-x' does not fit"]),
        (with_file(entry=""), ["checkpoints.mine.entry"]),
        (
            {"checkpoints.unused": {"pretrained": TIMM}},
            ["checkpoints.unused.training is missing"],
        ),
        (
            {"checkpoints.unused": {"pretrained": "registry/x", "training": "a"}},
            ["checkpoints.unused.pretrained: no 'x'"],
        ),
    ],
)
def test_mistakes(changes: dict[str, Any], parts: list[str]) -> None:
    text = message(changed(changes))
    for part in parts:
        assert part in text, text
