"""Sources that another program trained: the part `checkpoints` of the configuration.

No torch here: it runs at every start of Snakemake.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..advtransfer.artifacts.files import file_sha256
from ..advtransfer.data.text_lists import read_class_names
from ..advtransfer.epsilon import check_radius, parse_epsilon
from ..advtransfer.errors import UserError
from ..advtransfer.home import expanded
from ..advtransfer.models.recipe import ModelRecipe
from ..advtransfer.models.registry import REGISTRY
from ..advtransfer.training.imported_recipe import ImportedRecipe
from ..config.check import Config
from .reader import StudyReader

MISSING = "missing"  # instead of the digest of a checkpoint that is not there
FILE_KEYS = {
    "file": "file with weights",
    "model": "a name in `models`",
    "classes_file": "file with one class name a line",
    "size": "pixels a side of its images",
}
# What published weights bring along.
OWN = ("file", "entry", "head", "model", "classes_file", "mean", "std")
DEFAULT_SIZE = 224


class Checkpoint(NamedTuple):
    """An imported source, and what tables call it."""

    recipe: ImportedRecipe
    model: str
    training: str


def check_checkpoints(config: Config) -> None:
    """Refuse entries with too few keys or too many, used or not.

    Raises:
        UserError: with the key and the way out.
    """
    for name, part in config.get("checkpoints", {}).items():
        where = f"checkpoints.{name}"
        if "pretrained" not in part:
            headless = not part.get("head", True)
            if headless and "classes_file" in part:
                raise UserError(
                    f"{where}.classes_file: a trunk without its head (`head: false`) has no "
                    "classes; leave one of the two out."
                )
            for key, what in FILE_KEYS.items():
                if key not in part and not (headless and key == "classes_file"):
                    raise UserError(
                        f"{where}.{key} is missing: {what} (or name published weights with "
                        "`pretrained`)."
                    )
            continue
        for key in OWN:
            if key in part:
                raise UserError(
                    f"{where}.{key}: published weights bring their own; leave out {key}, or leave "
                    "out pretrained to import a file."
                )
        _published(part, where)


def models_of(config: Config, names: Iterable[str]) -> set[str]:
    """Names in `models` that these entries of `checkpoints` use."""
    parts = [config["checkpoints"][name] for name in names]
    return {part["model"] for part in parts if "model" in part}


def trained_against(config: Config, name: str) -> tuple[str, float | None]:
    """Norm and epsilon of the adversarial training of an entry of `checkpoints`.

    Returns:
        "l2" or "linf" and its radius; "" and 0 of a natural one; "" and None where the
        configuration does not say.

    Raises:
        UserError: there is an epsilon above 0 without its norm.
    """
    part = config["checkpoints"][name]
    if "epsilon" not in part:
        return "", None
    radius = parse_epsilon(part["epsilon"])
    if not radius:
        return "", radius
    if "norm" not in part:
        raise UserError(f"checkpoints.{name}.norm is missing: that of its epsilon.")
    check_radius(f"checkpoints.{name}.epsilon", part["norm"], radius)
    return part["norm"], radius


def read_checkpoint(reader: StudyReader, name: str, key: str) -> Checkpoint:
    """The entry ``name`` of `checkpoints`, which the configuration names at ``key``.

    Raises:
        UserError: there is none, its model is unknown, or its file is another one than asked for.
    """
    part = reader.lookup("checkpoints", name, key)
    where = f"checkpoints.{name}"
    if "pretrained" in part:
        model, architecture, sha256 = _published(part, where)
        recipe = ImportedRecipe(
            name=name,
            sha256=sha256,
            model=architecture,
            classes=(),
            size=part.get("size", DEFAULT_SIZE),
            pretrained=part["pretrained"],
        )
        return Checkpoint(recipe, model, part["training"])
    given = reader.lookup("models", part["model"], f"{where}.model")
    # Without its files a study can be planned, not made: other studies need not wait for them.
    content = part.get("sha256", MISSING)
    names: tuple[str, ...] = ()
    if os.path.isfile(expanded(part["file"])):
        try:
            content = file_sha256(expanded(part["file"]))
        except UserError as error:
            raise UserError(f"{where}.file: {error}") from None
    if content != part.get("sha256", content):
        raise UserError(
            f"{where}.file: '{part['file']}' is another file than the one that sha256 names "
            f"(it has {content}); download it again."
        )
    if "classes_file" in part and os.path.isfile(expanded(part["classes_file"])):
        try:
            names = read_class_names(part["classes_file"])
        except UserError as error:
            raise UserError(f"{where}.classes_file: {error}") from None
    recipe = ImportedRecipe(
        name=name,
        sha256=content,
        model=ModelRecipe(
            given["family"],
            {k: v for k, v in given.items() if k not in ("family", "learning_rate")},
        ),
        classes=names,
        size=part["size"],
        mean=tuple(part.get("mean", ())),
        std=tuple(part.get("std", ())),
        entry=part.get("entry", ""),
        head=part.get("head", True),
    )
    return Checkpoint(recipe, part["model"], part["training"])


def _published(part: Mapping[str, Any], where: str) -> tuple[str, ModelRecipe, str]:
    """What tables call published weights' architecture, that architecture, and their sha256 or,
    where only their name is known beforehand, nothing.

    What torchvision and timm have is not asked here: importing them takes seconds.
    """
    origin, _, name = part["pretrained"].partition("/")
    sha256 = part.get("sha256", "")
    if origin == "registry":
        if name not in REGISTRY:
            raise UserError(
                f"{where}.pretrained: no '{name}' among the packages with weights; there are "
                f"{', '.join(f'registry/{known}' for known in REGISTRY)}."
            )
        weights = REGISTRY[name]
        if sha256 not in ("", weights.member_sha256):
            raise UserError(
                f"{where}.sha256: the file of {part['pretrained']} has {weights.member_sha256}; "
                "leave sha256 out."
            )
        label = weights.model.parameters["name"].removeprefix("tf_")
        return label, weights.model, weights.member_sha256
    if origin == "torchvision":
        enum, _, version = name.partition(".")
        if not enum.endswith("_Weights") or version in ("", "DEFAULT"):
            raise UserError(
                f"{where}.pretrained: '{part['pretrained']}' names no weights of torchvision; "
                "write them like torchvision/ResNet50_Weights.IMAGENET1K_V1 (DEFAULT would change "
                "with its version)."
            )
        model = enum.removesuffix("_Weights").lower()  # so for all of torchvision's
    else:
        model, _, tag = name.partition(".")
        if not tag:
            raise UserError(
                f"{where}.pretrained: '{part['pretrained']}' names no weights of timm; write them "
                "like timm/resnet50.a1_in1k, model and tag."
            )
    return model, ModelRecipe(origin, {"name": model}), sha256
