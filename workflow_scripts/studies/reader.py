"""What every study reads from the configuration: datasets, views, networks, attacks, seeds.

No torch here: it runs at every start of Snakemake.
"""

from __future__ import annotations

import ast
import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from ..advtransfer.addresses import Seeds, seeds_name
from ..advtransfer.artifacts.files import file_sha256
from ..advtransfer.attacks.recipe import AttackRecipe, attack_label
from ..advtransfer.data.folders import class_folders
from ..advtransfer.data.recipe import DROP, REFUSE, DatasetRecipe
from ..advtransfer.data.view_recipe import ViewRecipe
from ..advtransfer.epsilon import check_radius, parse_epsilon
from ..advtransfer.errors import UserError
from ..advtransfer.home import expanded
from ..advtransfer.models.recipe import ModelRecipe
from ..advtransfer.training.recipe import SourceRecipe, TrainingRecipe, check_replays
from ..advtransfer.transfer.modes import check_mode
from ..advtransfer.transfer.recipe import ModeRecipe
from ..advtransfer.wording import listed
from ..config.check import Config

LIBRARY = Path(__file__).parents[1] / "advtransfer"
TRANSFER_MODES = ("last_layer", "full_network")  # of a protocol: fixed-feature, full-network
MAX_NAME = 255  # bytes of a folder's or file's name
PHOTOGRAPHS = "PHOTOGRAPHS = "
# Extension points: their folder, and what a module of theirs defines (one of these).
EXTENSIONS = {
    "model family": ("models/families", "def build("),
    "attack": ("attacks", "def perturb("),
    "dataset": ("data/datasets", "DATASET = ", PHOTOGRAPHS, "def from_recipe("),
}
BY_IMAGES = "accuracy"  # the metric of a dataset, unless its module says another


@cache
def _known_modules(kind: str) -> list[str]:
    folder, *definitions = EXTENSIONS[kind]
    files = sorted((LIBRARY / folder).glob("*.py"))
    return [f.stem for f in files if any(text in f.read_text() for text in definitions)]


@cache
def _limits(attack: str) -> tuple[tuple[str, ...], bool]:
    """Norms of an attack, and whether it has random starts, as its module says without importing it
    (that would import torch)."""
    found = {"NORMS": ("linf", "l2"), "RANDOM_START": True}
    tree = ast.parse((LIBRARY / f"attacks/{attack}.py").read_text())
    for node in tree.body:
        name = ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else ""
        if name in found:
            found[name] = ast.literal_eval(node.value)  # type: ignore[attr-defined]
    return found["NORMS"], found["RANDOM_START"]  # type: ignore[return-value]


@cache
def _described_metric(dataset: str) -> str:
    """The accuracy that papers report of a dataset, as its module says without importing it."""
    for node in ast.walk(ast.parse((LIBRARY / f"data/datasets/{dataset}.py").read_text())):
        if isinstance(node, ast.keyword) and node.arg == "metric":
            return str(ast.literal_eval(node.value))
    return BY_IMAGES


def _is_of_photographs(dataset: str) -> bool:
    return PHOTOGRAPHS in (LIBRARY / f"data/datasets/{dataset}.py").read_text()


def check_module(kind: str, name: str, key: str, way_out: str) -> None:
    """Refuse a name for which an extension point has no module, before anything is made."""
    known = _known_modules(kind)
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        raise UserError(
            f"{key}: unknown {kind} '{name}'. {hint}There are {listed(known)} ({way_out})."
        )


def seed_blocks(seeds: list[list[int]], key: str) -> tuple[Seeds, ...]:
    """Blocks of a source's seeds."""
    blocks = number_blocks(seeds, f"{key}.seeds", "seed ")
    for k, block in enumerate(blocks):
        length = len(seeds_name(block))
        if length > MAX_NAME:
            raise UserError(
                f"{key}.seeds[{k}]: a folder is named after the {len(block)} seeds of this block, "
                f"and its name would have {length} characters, more than {MAX_NAME}. Split the "
                "block."
            )
    return blocks


def number_blocks(numbers: list[list[int]], key: str, what: str = "") -> tuple[Seeds, ...]:
    """Blocks that one job each takes; a number that stands twice would count twice in every mean
    and interval."""
    twice = repeated([number for block in numbers for number in block])
    if twice:
        raise UserError(f"{key}: {what}{', '.join(map(str, twice))} stands in two blocks.")
    return tuple(tuple(block) for block in numbers)


def repeated(items: list[Any]) -> list[Any]:
    return sorted({item for item in items if items.count(item) > 1})


def _dataset(name: str, entry: Mapping[str, Any]) -> DatasetRecipe:
    """The recipe of an entry of ``data.datasets``.

    Raises:
        UserError: keys that do not go together, an unknown dataset, a pack or folder that is not
            there.
    """
    where = f"data.datasets.{name}"
    pack, folder, size = (entry.get(key) for key in ("pack", "folder", "size"))
    if pack is not None and folder is not None:
        raise UserError(f"{where}: a pack or a folder, not both.")
    if folder is None and "split" in entry:
        raise UserError(f"{where}.split: only a folder is split; leave it out.")
    shared = entry.get("shared_images", REFUSE)
    if folder is None and pack is None:
        if "shared_images" in entry:
            raise UserError(
                f"{where}.shared_images: only for data of your own, a pack or a folder; published "
                "datasets are used as they are. Leave it out."
            )
        way_out = f"your own: {where}.pack: path/to/file.h5, or {where}.folder: path/to/folder"
        check_module("dataset", name, where, way_out)
    photographs = folder is not None or (pack is None and _is_of_photographs(name))
    if photographs and size is None:
        raise UserError(
            f"{where}.size is missing: pixels a side that its photographs are decoded to (224 in "
            f"the papers), as in `{name}: {{size: 224}}`."
        )
    if not photographs and size is not None:
        raise UserError(
            f"{where}.size: its images have a size already; leave it out. The `size` of a target "
            "resizes them."
        )
    if folder is not None:
        try:
            digest = class_folders(Path(folder), entry.get("split")).digest
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        return DatasetRecipe(
            "image_folder",
            path=folder,
            sha256=digest,
            size=size,
            split=entry.get("split"),
            shared_images=shared,
        )
    if pack is None:
        return DatasetRecipe(name, size=size)
    if not os.path.isfile(expanded(pack)):
        raise UserError(f"{where}.pack: no such file '{pack}'.")
    # Size and time would re-make everything when a file is only touched; 100 MB hash in .1 s.
    try:
        content = file_sha256(expanded(pack))
    except UserError as error:
        raise UserError(f"{where}.pack: {error}") from None
    return DatasetRecipe("hdf5_pack", path=pack, sha256=content, shared_images=shared)


def _section(config: Config, dotted: str) -> Config:
    """A section of the configuration, such as ``models`` or ``data.datasets``."""
    for key in dotted.split("."):
        config = config.get(key, {})
    return config


class StudyReader(ABC):
    """Turns one study's part of a checked configuration into recipes."""

    def __init__(self, config: Config, name: str) -> None:
        self.config, self.name = config, name
        self.part = config["studies"][name]
        self.key = f"studies.{name}"
        self._datasets: dict[str, DatasetRecipe] = {}
        self._used: dict[str, set[str]] = {}  # entries that were read, by their section

    @abstractmethod
    def study(self) -> Any:
        """Return the study, read and checked. Every kind of study has its own reader."""

    def lookup(self, section: str, name: str, key: str) -> Any:
        """The entry ``name`` of a section such as ``models`` or ``data.datasets``.

        Raises:
            UserError: there is none; the message names ``key``, where the study asks for it.
        """
        named = _section(self.config, section)
        if name not in named:
            near = get_close_matches(name, named, 1)
            hint = f"did you mean '{near[0]}'? There" if near else "there"
            raise UserError(
                f"{key}: no '{name}' in `{section}`; {hint} are {listed(named) or 'none'}."
            )
        self._used.setdefault(section, set()).add(name)
        return named[name]

    def slice(self) -> Config:
        """The part of the configuration that decides the study's tables, once `study` has read it.

        Of the named entries (models, trainings, ...) it holds those that were read, so that another
        one re-runs nothing.
        """
        own = {key: value for key, value in self.part.items() if key != "kind"}
        part: Config = {
            "precision": self.config["precision"],
            "evaluation": self.config["evaluation"],
            "studies": {self.name: own},
        }
        for section, names in self._used.items():
            entries = _section(self.config, section)
            kept = {name: entry for name, entry in entries.items() if name in names}
            *above, last = section.split(".")
            place = part
            for key in above:
                place = place.setdefault(key, {})
            place[last] = kept
        return part

    def dataset(self, name: str, key: str) -> DatasetRecipe:
        """The recipe of the dataset that the configuration names at ``key``."""
        entry = self.lookup("data.datasets", name, key)
        if name not in self._datasets:
            self._datasets[name] = _dataset(name, entry)
        return self._datasets[name]

    def metric(self, name: str) -> str:
        """What a dataset is scored by: ``accuracy``, or ``class_mean_accuracy`` where classes
        differ in size (the columns of the tables are called so)."""
        entry = self.config["data"]["datasets"].get(name, {})
        if "metric" in entry or "pack" in entry or "folder" in entry:
            return str(entry.get("metric", BY_IMAGES))
        return _described_metric(name)

    def view(
        self, part: Mapping[str, Any], classes: list[str], split: str, images: int | None
    ) -> ViewRecipe:
        return ViewRecipe(
            dataset=self.dataset(part["dataset"], f"{self._place(part)}.dataset"),
            split=split,
            classes=tuple(classes),
            images=images,
            half=part.get("half") if split == "train" else None,
            size=part.get("size"),
            detail=self._detail(part),
            superclasses=self._superclasses(part, classes),
        )

    def _place(self, part: Mapping[str, Any]) -> str:
        """The key of a target, or of the sources, in this study's configuration."""
        targets = self.part.get("targets", {}).items()
        places = (f"{self.key}.targets.{name}" for name, target in targets if target is part)
        return next(places, f"{self.key}.sources")

    def _detail(self, part: Mapping[str, Any]) -> int | None:
        """Pixels a side that images are reduced to before they get their size."""
        detail, size = part.get("detail"), part.get("size")
        if detail is not None and size is not None and detail > size:
            raise UserError(
                f"{self._place(part)}: detail {detail} is more than size {size}; images have no "
                "more detail than pixels. Lower it, or leave it out."
            )
        return detail

    def _superclasses(self, part: Mapping[str, Any], classes: list[str]) -> tuple[str, ...]:
        """The superclass of every class, where those are the labels."""
        if "superclasses" not in part:
            return ()
        key = f"{self._place(part)}.superclasses"
        above: dict[str, str] = {}
        for superclass, members in part["superclasses"].items():
            for name in members:
                if name not in classes:
                    raise UserError(
                        f"{key}: '{superclass}' has '{name}', which is none of the classes "
                        f"{listed(classes)}."
                    )
                if name in above:
                    raise UserError(
                        f"{key}: class '{name}' is in '{above[name]}' and in '{superclass}'; leave "
                        "it out of one."
                    )
                above[name] = superclass
        left = [name for name in classes if name not in above]
        if left:
            raise UserError(
                f"{key}: class '{left[0]}' is in none of {listed(part['superclasses'])}; add "
                "it to one, or leave it out of classes."
            )
        return tuple(above[name] for name in classes)

    def attack(self, part: Mapping[str, Any], key: str) -> AttackRecipe:
        check_module("attack", part["attack"], key, "docs/add-an-attack.md says how to add one")
        fields = dict(part)
        norms, starts = _limits(part["attack"])
        if part["norm"] not in norms:
            raise UserError(f"{key}: '{part['attack']}' has norm {' or '.join(norms)} only.")
        if not starts and (part.get("random_start") or part.get("restarts", 1) > 1):
            raise UserError(
                f"{key}: '{part['attack']}' has one answer; leave out random_start and restarts."
            )
        fields["epsilon"] = parse_epsilon(fields["epsilon"])
        where = key.removesuffix(".attack")
        check_radius(f"{where}.epsilon", part["norm"], fields["epsilon"])
        if "step_size" in fields:
            fields["step_size"] = parse_epsilon(fields["step_size"])
            check_radius(f"{where}.step_size", part["norm"], fields["step_size"])
            if not fields["step_size"]:
                raise UserError(
                    f"{where}.step_size: a step of length 0 leads nowhere; give a length above 0, "
                    "or leave it out for the attack's own rule."
                )
        return AttackRecipe(**fields, precision=self.config["precision"]["attacks"])

    def attack_block(self, name: str, key: str) -> tuple[AttackRecipe, ...]:
        block = tuple(
            self.attack(part, f"attacks.{name}[{k}].attack")
            for k, part in enumerate(self.lookup("attacks", name, key))
        )
        twice = repeated([attack_label(attack) for attack in block])
        if twice:
            raise UserError(
                f"attacks.{name}: {', '.join(twice)} stands twice; put the variant into a "
                "block of its own."
            )
        return block

    def training(
        self, part: Mapping[str, Any], key: str, model: Mapping[str, Any] | None = None
    ) -> TrainingRecipe:
        fields = dict(part)
        if model is not None and "learning_rate" in model:
            fields["learning_rate"] = model["learning_rate"]
        if "attack" in fields:
            fields["attack"] = self.attack(fields["attack"], f"{key}.attack.attack")
        training = TrainingRecipe(**fields, precision=self.config["precision"]["training"])
        if training.nesterov and not training.momentum:
            raise UserError(f"{key}: nesterov needs a momentum above 0.")
        check_replays(training, key)
        return training

    def network(
        self, view: ViewRecipe, model_name: str, training_name: str, key: str
    ) -> SourceRecipe:
        model = self.lookup("models", model_name, f"{key}.models")
        where = f"models.{model_name}.family"
        way_out = "docs/add-a-model.md says how to add one"
        check_module("model family", model["family"], where, way_out)
        where = f"trainings.{training_name}"
        part = self.lookup("trainings", training_name, f"{key}.training")
        training = self.training(part, where, model)
        if training.checkpoint == "best_on_validation" and not training.validation_images:
            raise UserError(f"{where}: checkpoint best_on_validation needs validation_images.")
        if view.images is not None and training.validation_images >= view.images:
            raise UserError(
                f"{where}: validation_images ({training.validation_images}) are taken out of the "
                f"{view.images} training images of {key}, and would leave none."
            )
        test = None
        if training.checkpoint == "best_on_test":
            test = ViewRecipe(view.dataset, "test", view.classes, size=view.size)
        parameters = {k: v for k, v in model.items() if k not in ("family", "learning_rate")}
        return SourceRecipe(view, ModelRecipe(model["family"], parameters), training, test)

    def modes(self, wanted: Sequence[str] = TRANSFER_MODES) -> tuple[ModeRecipe, ...]:
        """Of the study's transfer protocol the modes that are ``wanted``."""
        part = self.lookup("transfers", self.part["transfer"], f"{self.key}.transfer")
        modes = []
        for mode in wanted:
            where = f"transfers.{self.part['transfer']}.{mode}"
            if mode not in part:
                raise UserError(f"{where} is missing: {self.key} transfers by it.")
            fields = dict(part[mode])
            key = f"{where}.training"
            if "training" in fields:
                if "learning_rates" in fields:  # what is replaced must not make another recipe
                    rate = fields["learning_rates"][0]
                    fields["training"] = {**fields["training"], "learning_rate": rate}
                fields["training"] = self.training(fields["training"], key)
                if not fields["training"].epochs:
                    raise UserError(f"{key}.epochs: a transfer trains for at least 1.")
                if fields["training"].checkpoint == "best_on_validation":
                    raise UserError(
                        f"{key}: a transfer holds no images out for best_on_validation; use "
                        "checkpoint: last."
                    )
            elif fields.get("solver") == "sgd":
                raise UserError(f"{key} is missing: solver sgd needs it.")
            if fields.get("solver") == "lbfgs":
                fields["precision"] = self.config["precision"]["training"]
            for name in ("learning_rates", "regularizations"):
                if name in fields:
                    fields[name] = tuple(float(value) for value in fields[name])
            recipe = ModeRecipe(mode, **fields)
            try:
                check_mode(recipe)
            except UserError as error:
                raise UserError(f"{where}: {error}") from None
            modes.append(recipe)
        return tuple(modes)

    def shared_images(self) -> str:
        """What happens to images of a target that a source is trained on."""
        return str(self.part.get("shared_images", DROP))

    def evaluation_attacks(self) -> tuple[AttackRecipe, ...]:
        return self.attack_block(self.config["evaluation"]["attacks"], "evaluation.attacks")

    def check_disjoint(self, first: ViewRecipe, name: str, second: ViewRecipe) -> None:
        """Refuse sources whose images are among those that target ``name`` trains on."""
        # The same photographs decoded to two sizes are the same images.
        datasets = {
            dataclasses.replace(view.dataset, size=None, shared_images=REFUSE)
            for view in (first, second)
        }
        if len(datasets) > 1 or first.split != second.split:
            return
        shared = sorted(set(first.classes) & set(second.classes))
        halved = {first.half, second.half} == {0, 1} and (  # of the same images
            first.dataset.shared_images == second.dataset.shared_images
        )
        if shared and not halved:
            raise UserError(
                f"{self.key}: sources and target '{name}' would share images of "
                f"{listed(shared)}. Give them different classes, or `half: 0` to the sources "
                "and `half: 1` to the target."
            )
