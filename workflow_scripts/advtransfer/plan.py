"""From the configuration to recipes: everything that the studies need, by address.

An address is ``<readable name>-<digest>``; the name follows from the recipe alone, so two studies
that need the same artefact share the file. The Snakefile asks this module what to make; the steps
that collect tables ask it where things are. No torch here: it runs at every start of Snakemake.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from shlex import quote
from typing import Any

from .config import Config, check_config, parse_epsilon, without_nulls
from .errors import UserError
from .recipes import (
    AttackBlockRecipe,
    AttackRecipe,
    DatasetRecipe,
    EvaluationRecipe,
    MetricsRecipe,
    ModelRecipe,
    ModeRecipe,
    PairingRecipe,
    SourceRecipe,
    TrainingRecipe,
    TransferRecipe,
    ViewRecipe,
    attack_label,
    digest,
    format_epsilon,
    to_json,
)
from .seals import RESULTS

MAX_NAME = 255  # bytes of a folder's or file's name
MAX_RECIPE = 112 << 10  # bytes, quoted: a command of at most 128 KiB, to Linux, has more to say
SAME_CLASS = {"car": "automobile"}  # STL-10's name for it
# Extension points: their folder, and what a module of theirs defines (one of these).
EXTENSIONS = {
    "model family": ("models/families", "def build("),
    "attack": ("attacks", "def perturb("),
    "dataset": ("data/datasets", "DATASET = ", "def from_recipe("),
}
Seeds = tuple[int, ...]  # a block: one job transfers, attacks and compares all of it


@dataclass(frozen=True)
class Source:
    """A source of a study: a recipe, its blocks of seeds, and what the tables call it."""

    recipe: SourceRecipe
    seed_blocks: tuple[Seeds, ...]
    model: str
    training: str
    mixture: str = ""
    animals: float | None = None  # per cent

    def shared_classes(self, target: Target) -> int:
        """How many classes source and target have in common."""
        own, other = (
            {SAME_CLASS.get(name, name) for name in view.classes}
            for view in (self.recipe.view, target.train)
        )
        return len(own & other)

    @property
    def robust(self) -> bool:
        return self.recipe.training.attack is not None


@dataclass(frozen=True)
class Reference:
    """A reference architecture on one target, with its blocks of seeds."""

    recipe: SourceRecipe
    model: str
    seed_blocks: tuple[Seeds, ...]


@dataclass(frozen=True)
class Target:
    """A target task of a study."""

    name: str
    train: ViewRecipe  # of the references
    transfer: TransferRecipe
    attacked: ViewRecipe
    references: tuple[Reference, ...]


@dataclass(frozen=True)
class Study:
    """What one study needs; it owns no computation."""

    name: str
    sources: tuple[Source, ...]
    targets: tuple[Target, ...]
    blocks: tuple[tuple[AttackRecipe, ...], ...]
    mask: str
    evaluation_attacks: tuple[AttackRecipe, ...]
    evaluation_images: int
    primary: Mapping[str, Any]

    def evaluation(self, source: Source) -> EvaluationRecipe:
        """Test images of the source's own classes, and the attacks that measure its robustness."""
        view = source.recipe.view
        own = ViewRecipe(
            view.dataset, "test", view.classes, images=self.evaluation_images, size=view.size
        )
        return EvaluationRecipe(own, self.evaluation_attacks)

    def attack_blocks(self, target: Target) -> list[AttackBlockRecipe]:
        return [AttackBlockRecipe(target.attacked, block) for block in self.blocks]

    def metrics(self, target: Target) -> Iterator[tuple[Reference, MetricsRecipe]]:
        """Every (reference, block of its seeds, block of attacks) on a target."""
        for reference in target.references:
            for seeds in reference.seed_blocks:
                for block in self.attack_blocks(target):
                    pairing = PairingRecipe(reference.recipe, seeds, block)
                    yield reference, MetricsRecipe(pairing, self.mask)

    def artefacts(self, source: Source) -> Iterator[tuple[str, str, Any, str]]:
        """What is made of a block of a source's seeds: stage, label, recipe, suffix of the file."""
        yield "evaluations", "", self.evaluation(source), "csv"
        for target in self.targets:
            label = f" -> {target.name}"
            for suffix in ("h5", "csv"):
                yield "transfers", label, target.transfer, suffix
            for block in self.attack_blocks(target):
                yield "attacks", label, block, "h5"
            for reference, metrics in self.metrics(target):
                against = f"{label}, reference {reference.model}"
                yield "responses", against, metrics.pairing, "h5"
                for suffix in ("csv", "h5"):
                    yield "metrics", against, metrics, suffix


def name_of(recipe: Any) -> str:
    """Readable part of an address: a function of the recipe alone."""
    if isinstance(recipe, DatasetRecipe):
        return recipe.name
    if isinstance(recipe, ViewRecipe):
        return f"{recipe.dataset.name}-{recipe.split}-{len(recipe.classes)}classes"
    if isinstance(recipe, SourceRecipe):
        attack = recipe.training.attack
        training = "natural"
        if attack is not None:
            training = f"{attack.norm}_{format_epsilon(attack.epsilon).replace('/', '_')}"
        view = recipe.view
        classes = f"{len(view.classes)}classes"
        return f"{recipe.model.family}-{view.dataset.name}-{classes}-{training}"
    if isinstance(recipe, (AttackBlockRecipe, EvaluationRecipe)):
        return name_of(recipe.view)
    if isinstance(recipe, TransferRecipe):
        return name_of(recipe.train)
    if isinstance(recipe, PairingRecipe):
        return name_of(recipe.reference)
    if isinstance(recipe, MetricsRecipe):
        return name_of(recipe.pairing)
    raise TypeError(f"no address for {type(recipe).__name__}")


def address(recipe: Any) -> str:
    """``<readable name>-<digest>``."""
    return f"{name_of(recipe)}-{digest(recipe)}"


@dataclass
class Plan:
    """All studies of a configuration, and every recipe by its address."""

    config: Config
    studies: dict[str, Study]
    recipes: dict[str, Any] = field(default_factory=dict)

    def register(self, recipe: Any) -> str:
        """Address of a recipe, which is remembered; two recipes at one address are an error."""
        where = address(recipe)
        _check_length(to_json(recipe), f"the recipe of '{where}'")
        if self.recipes.setdefault(where, recipe) != recipe:
            raise UserError(f"two different recipes share the address '{where}': rename one model.")
        return where

    def json(self, where: str) -> str:
        """Canonical JSON of the recipe at an address.

        Raises:
            UserError: the configuration asks for no such artefact.
        """
        return to_json(self.get(where))

    def get(self, where: str) -> Any:
        """The recipe at an address."""
        if where not in self.recipes:
            raise UserError(
                f"'{where}' is not made by this configuration; results/index.csv lists what is."
            )
        return self.recipes[where]


# Paths of artefacts ------------------------------------------------------------------------------


def dataset_path(recipe: DatasetRecipe) -> str:
    return f"{RESULTS}/data/datasets/{address(recipe)}.h5"


def view_path(recipe: ViewRecipe) -> str:
    return f"{RESULTS}/data/views/{address(recipe)}.h5"


def source_path(recipe: SourceRecipe, seed: int, file: str) -> str:
    return f"{RESULTS}/sources/{address(recipe)}/seed{seed}/{file}"


def seeds_name(seeds: Seeds) -> str:
    """A block of seeds in a path: ``seeds0-1-2``."""
    return "seeds" + "-".join(map(str, seeds))


def block_path(stage: str, source: SourceRecipe, seeds: Seeds, recipe: Any, suffix: str) -> str:
    """Artefact of a stage for a block of a source's seeds; what else decides it is ``recipe``."""
    where = f"{RESULTS}/{stage}/{address(source)}/{seeds_name(seeds)}"
    return f"{where}/{address(recipe)}.{suffix}"


def check_writable(folder: str | Path) -> None:
    """Refuse a folder for results that cannot be written, which Snakemake would tell at length."""
    if os.path.isdir(folder) and not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(
            f"{Path(folder).absolute()} cannot be written: its disk is mounted read-only, or you "
            "lack the permission. Nothing was changed; make it writable and run the same command "
            "again, or run in a copy of the workflow."
        )


# From the configuration --------------------------------------------------------------------------


def make_plan(config: Config) -> Plan:
    """Check a configuration and expand it.

    Raises:
        UserError: a problem, by key.
    """
    config = without_nulls(config)
    check_config(config)
    _check_length(json.dumps(config), "the configuration")
    plan = Plan(config, {name: _Reader(config, name).study() for name in config["studies"]})
    for study in plan.studies.values():
        for source in study.sources:
            _register_source(plan, source.recipe)
            _register_view(plan, study.evaluation(source).view)
            plan.register(study.evaluation(source))
        for target in study.targets:
            for view in (
                target.train,
                target.transfer.train,
                target.transfer.test,
                target.attacked,
            ):
                _register_view(plan, view)
            plan.register(target.transfer)
            for block in study.attack_blocks(target):
                plan.register(block)
            for reference, metrics in study.metrics(target):
                _register_source(plan, reference.recipe)
                plan.register(metrics.pairing)
                plan.register(metrics)
    return plan


def study_config(config: Config, study: str) -> str:
    """The part of the configuration that decides a study's tables, as canonical JSON.

    Of the named parts (models, trainings, ...) only those that the study uses: another one re-runs
    nothing.
    """
    own = config["studies"][study]
    sources, references, targets = own["sources"], own["references"], own["targets"].values()
    robust = sources.get("robust", {"models": [], "trainings": []})
    used = {
        "models": {*sources["models"], *robust["models"], *references["models"]},
        "trainings": {sources["training"], *robust["trainings"], references["training"]},
        "transfers": {own["transfer"]},
        "attacks": {*own["attacks"], config["evaluation"]["attacks"]},
    }
    datasets = {sources["dataset"], *(target["dataset"] for target in targets)}
    part = {
        "label": "",
        "data": {"datasets": _only(config["data"]["datasets"], datasets), "providers": ["local"]},
        **{section: _only(config[section], names) for section, names in used.items()},
        "precision": config["precision"],
        "evaluation": config["evaluation"],
        "statistics": {"bootstrap": 1, "permutations": 1},  # no table has any
        "studies": {study: own},
    }
    return json.dumps(part, sort_keys=True, separators=(",", ":"))


def _only(section: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in section.items() if name in names}


def _register_source(plan: Plan, recipe: SourceRecipe) -> None:
    plan.register(recipe)
    _register_view(plan, recipe.view)
    if recipe.test is not None:
        _register_view(plan, recipe.test)


def _register_view(plan: Plan, recipe: ViewRecipe) -> None:
    plan.register(recipe)
    plan.register(recipe.dataset)


@cache
def _known_modules(kind: str) -> list[str]:
    folder, *definitions = EXTENSIONS[kind]
    files = sorted((Path(__file__).parent / folder).glob("*.py"))
    return [f.stem for f in files if any(text in f.read_text() for text in definitions)]


@cache
def _limits(attack: str) -> tuple[tuple[str, ...], bool]:
    """Norms of an attack, and whether it has random starts, as its module says without importing it
    (that would import torch)."""
    found = {"NORMS": ("linf", "l2"), "RANDOM_START": True}
    tree = ast.parse((Path(__file__).parent / f"attacks/{attack}.py").read_text())
    for node in tree.body:
        name = ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else ""
        if name in found:
            found[name] = ast.literal_eval(node.value)  # type: ignore[attr-defined]
    return found["NORMS"], found["RANDOM_START"]  # type: ignore[return-value]


def _check_module(kind: str, name: str, key: str, way_out: str) -> None:
    """Refuse a name for which an extension point has no module, before anything is made."""
    known = _known_modules(kind)
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        raise UserError(
            f"{key}: unknown {kind} '{name}'. {hint}There are {', '.join(known)} ({way_out})."
        )


def _check_length(text: str, what: str) -> None:
    """Refuse a recipe that no command could be given."""
    if len(quote(text)) > MAX_RECIPE:
        raise UserError(
            f"{what} is {len(text)} characters long, more than the {MAX_RECIPE} that a "
            "command can be given. Shorten its class names, or name fewer classes."
        )


def _blocks(seeds: list[list[int]], key: str) -> tuple[Seeds, ...]:
    twice = _repeated([seed for block in seeds for seed in block])
    if twice:  # its rows would count twice in every mean and interval
        raise UserError(f"{key}.seeds: seed {', '.join(map(str, twice))} stands in two blocks.")
    for k, block in enumerate(seeds):
        length = len(seeds_name(tuple(block)))
        if length > MAX_NAME:
            raise UserError(
                f"{key}.seeds[{k}]: a folder is named after the {len(block)} seeds of this block, "
                f"and its name would have {length} characters, more than {MAX_NAME}. Split the "
                "block."
            )
    return tuple(tuple(block) for block in seeds)


def _repeated(items: list[Any]) -> list[Any]:
    return sorted({item for item in items if items.count(item) > 1})


class _Reader:
    """Turns one study's part of a checked configuration into recipes."""

    def __init__(self, config: Config, name: str) -> None:
        self.config, self.name = config, name
        self.part = config["studies"][name]
        self.key = f"studies.{name}"

    def study(self) -> Study:
        sources = tuple(self._sources())
        for k, source in enumerate(sources):
            same = [other.model for other in sources[:k] if other.recipe == source.recipe]
            if same:
                raise UserError(
                    f"{self.key}.sources: {same[0]} and {source.model} are the same network, which "
                    "every statistic would count twice. Leave one out."
                )
        targets = tuple(self._target(name) for name in self.part["targets"])
        for source in sources:
            for target in targets:
                self._check_disjoint(source, target)
        evaluation = self.config["evaluation"]
        study = Study(
            name=self.name,
            sources=sources,
            targets=targets,
            blocks=tuple(self._block(name, f"{self.key}.attacks") for name in self.part["attacks"]),
            mask=self.part["mask"],
            evaluation_attacks=self._block(evaluation["attacks"], "evaluation.attacks"),
            evaluation_images=evaluation["images"],
            primary=self._primary(),
        )
        self._check_primary(study)
        return study

    def _lookup(self, section: str, name: str, key: str) -> Any:
        if name not in self.config[section]:
            known = ", ".join(self.config[section])
            raise UserError(f"{key}: no '{name}' in `{section}`; there are {known}.")
        return self.config[section][name]

    def _dataset(self, name: str, key: str) -> DatasetRecipe:
        datasets = self.config["data"]["datasets"]
        if name not in datasets:
            raise UserError(
                f"{key}.dataset: no '{name}' in `data.datasets`; there are {', '.join(datasets)}."
            )
        pack = datasets[name].get("pack")
        if pack is None:
            where = f"data.datasets.{name}"
            _check_module("dataset", name, where, f"your own: {where}.pack: path/to/file.h5")
            return DatasetRecipe(name)
        if not Path(pack).is_file():
            raise UserError(f"data.datasets.{name}.pack: no such file '{pack}'.")
        # Size and time would re-make everything when a file is only touched; 100 MB hash in .1 s.
        with open(pack, "rb") as handle:
            content = hashlib.file_digest(handle, "sha256").hexdigest()
        return DatasetRecipe("hdf5_pack", path=pack, sha256=content)

    def _view(
        self, part: Mapping[str, Any], classes: list[str], split: str, images: int
    ) -> ViewRecipe:
        key = f"{self.key} ({split} images)"
        return ViewRecipe(
            dataset=self._dataset(part["dataset"], key),
            split=split,
            classes=tuple(classes),
            images=images,
            half=part.get("half") if split == "train" else None,
            size=part.get("size"),
        )

    def _attack(self, part: Mapping[str, Any], key: str) -> AttackRecipe:
        _check_module("attack", part["attack"], key, "docs/add-an-attack.md says how to add one")
        fields = dict(part)
        norms, starts = _limits(part["attack"])
        if part["norm"] not in norms:
            raise UserError(f"{key}: '{part['attack']}' has norm {' or '.join(norms)} only.")
        if not starts and (part.get("random_start") or part.get("restarts", 1) > 1):
            raise UserError(
                f"{key}: '{part['attack']}' has one answer; leave out random_start and restarts."
            )
        fields["epsilon"] = parse_epsilon(fields["epsilon"])
        if "step_size" in fields:
            fields["step_size"] = parse_epsilon(fields["step_size"])
        return AttackRecipe(**fields, precision=self.config["precision"]["attacks"])

    def _block(self, name: str, key: str) -> tuple[AttackRecipe, ...]:
        block = tuple(
            self._attack(part, f"attacks.{name}[{k}].attack")
            for k, part in enumerate(self._lookup("attacks", name, key))
        )
        twice = _repeated([attack_label(attack) for attack in block])
        if twice:
            raise UserError(
                f"attacks.{name}: {', '.join(twice)} stands twice; put the variant into a "
                "block of its own."
            )
        return block

    def _training(
        self, part: Mapping[str, Any], key: str, model: Mapping[str, Any] | None = None
    ) -> TrainingRecipe:
        fields = dict(part)
        if model is not None and "learning_rate" in model:
            fields["learning_rate"] = model["learning_rate"]
        if "attack" in fields:
            fields["attack"] = self._attack(fields["attack"], f"{key}.attack.attack")
        training = TrainingRecipe(**fields, precision=self.config["precision"]["training"])
        if training.nesterov and not training.momentum:
            raise UserError(f"{key}: nesterov needs a momentum above 0.")
        return training

    def _network(
        self, view: ViewRecipe, model_name: str, training_name: str, key: str
    ) -> SourceRecipe:
        model = self._lookup("models", model_name, f"{key}.models")
        where = f"models.{model_name}.family"
        way_out = "docs/add-a-model.md says how to add one"
        _check_module("model family", model["family"], where, way_out)
        where = f"trainings.{training_name}"
        part = self._lookup("trainings", training_name, f"{key}.training")
        training = self._training(part, where, model)
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

    def _sources(self) -> Iterator[Source]:
        part = self.part["sources"]
        key = f"{self.key}.sources"
        robust = part.get("robust", {"models": [], "trainings": []})
        pairs = [(model, part["training"]) for model in part["models"]]
        pairs += [(m, t) for m in robust["models"] for t in robust["trainings"]]
        mixtures = part.get("mixtures") or {"": part["classes"]}
        for mixture, classes in mixtures.items():
            animals = None
            if mixture:
                animals = 100 * sum(name in part["animals"] for name in classes) / len(classes)
            view = self._view(part, classes, "train", part["images"])
            for model, training in pairs:
                recipe = self._network(view, model, training, key)
                yield Source(recipe, _blocks(part["seeds"], key), model, training, mixture, animals)

    def _target(self, name: str) -> Target:
        part = self.part["targets"][name]
        key = f"{self.key}.targets.{name}"
        if part["transfer_images"] > part["images"]:
            raise UserError(
                f"{key}: transfer_images ({part['transfer_images']}) must not be more than images "
                f"({part['images']})."
            )
        if part["attacked_images"] > part["test_images"]:
            raise UserError(
                f"{key}: attacked_images ({part['attacked_images']}) must not be more than "
                f"test_images ({part['test_images']})."
            )
        train = self._view(part, part["classes"], "train", part["images"])
        test = self._view(part, part["classes"], "test", part["test_images"])
        references = self.part["references"]
        return Target(
            name=name,
            train=train,
            transfer=TransferRecipe(
                train=self._view(part, part["classes"], "train", part["transfer_images"]),
                test=test,
                modes=self._modes(),
            ),
            attacked=self._view(part, part["classes"], "test", part["attacked_images"]),
            references=tuple(
                Reference(
                    self._network(train, model, references["training"], f"{self.key}.references"),
                    model,
                    _blocks(references["seeds"], f"{self.key}.references"),
                )
                for model in references["models"]
            ),
        )

    def _modes(self) -> tuple[ModeRecipe, ...]:
        part = self._lookup("transfers", self.part["transfer"], f"{self.key}.transfer")
        modes = []
        for mode in ("last_layer", "full_network"):
            fields = dict(part[mode])
            key = f"transfers.{self.part['transfer']}.{mode}.training"
            if "training" in fields:
                fields["training"] = self._training(fields["training"], key)
                if fields["training"].checkpoint == "best_on_validation":
                    raise UserError(
                        f"{key}: a transfer holds no images out for best_on_validation; use "
                        "checkpoint: last (or best_on_test, which selects on test images)."
                    )
            elif fields["solver"] == "sgd":
                raise UserError(f"{key} is missing: solver sgd needs it.")
            if fields.get("solver") == "lbfgs":
                fields["precision"] = self.config["precision"]["training"]
            modes.append(ModeRecipe(mode, **fields))
        return tuple(modes)

    def _primary(self) -> dict[str, Any]:
        return {**self.part["primary"], "epsilon": parse_epsilon(self.part["primary"]["epsilon"])}

    def _check_primary(self, study: Study) -> None:
        primary = study.primary
        for kind, known in (
            ("target", list(self.part["targets"])),
            ("reference", self.part["references"]["models"]),
        ):
            if primary[kind] not in known:
                raise UserError(
                    f"{self.key}.primary.{kind}: '{primary[kind]}' is not in the study; there are "
                    f"{', '.join(known)}."
                )
        attacks = [attack for block in study.blocks for attack in block]
        twice = _repeated([attack_label(attack) for attack in attacks])
        if twice:
            raise UserError(
                f"{self.key}.attacks: {', '.join(twice)} stands in two blocks of the study; its "
                "tables could not tell them apart."
            )
        wanted = (primary["attack"], primary["norm"], primary["epsilon"])
        if wanted not in [(a.attack, a.norm, a.epsilon) for a in attacks]:
            raise UserError(
                f"{self.key}.primary: {wanted[0]} {wanted[1]} {format_epsilon(wanted[2])} is not "
                f"among the study's attacks: {', '.join(attack_label(a) for a in attacks)}."
            )

    def _check_disjoint(self, source: Source, target: Target) -> None:
        first, second = source.recipe.view, target.train
        if (first.dataset, first.split) != (second.dataset, second.split):
            return
        halves = {first.half, second.half}
        shared = sorted(set(first.classes) & set(second.classes))
        if shared and halves != {0, 1}:
            raise UserError(
                f"{self.key}: sources and target '{target.name}' would share images of "
                f"{', '.join(shared)}. Give them different classes, or `half: 0` to the sources "
                "and `half: 1` to the target."
            )


def index_rows(plan: Plan) -> list[dict[str, Any]]:
    """Names in the configuration and the paths of their artefacts, without repeats."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}

    def add(study: Study, kind: str, name: str, seeds: Seeds, path: str) -> None:
        text = " ".join(map(str, seeds))
        row = {"study": study.name, "kind": kind, "name": name, "seeds": text, "path": path}
        rows.setdefault((study.name, path), row)

    def add_networks(study: Study, kind: str, name: str, network: Source | Reference) -> None:
        view = network.recipe.view
        add(study, "dataset", view.dataset.name, (), dataset_path(view.dataset))
        add(study, "view", f"{name} training images", (), view_path(view))
        for seed in (seed for block in network.seed_blocks for seed in block):
            add(study, kind, name, (seed,), source_path(network.recipe, seed, "model.safetensors"))

    for study in plan.studies.values():
        for target in study.targets:
            add(study, "view", f"{target.name} attacked images", (), view_path(target.attacked))
            for reference in target.references:
                name = f"{target.name}/{reference.model}"
                add_networks(study, "reference", name, reference)
                for seeds in reference.seed_blocks:
                    for block in study.attack_blocks(target):
                        path = block_path("attacks", reference.recipe, seeds, block, "h5")
                        add(study, "attacks", f"{name} -> {target.name}", seeds, path)
        for source in study.sources:
            name = "/".join(filter(None, (source.mixture, source.model, source.training)))
            add_networks(study, "source", name, source)
            for seeds in source.seed_blocks:
                for stage, label, recipe, suffix in study.artefacts(source):
                    path = block_path(stage, source.recipe, seeds, recipe, suffix)
                    add(study, stage, f"{name}{label}", seeds, path)
    return list(rows.values())


def study_files(study: Study) -> list[str]:
    """Every file that the tables of a study are gathered from."""
    files = [
        source_path(source.recipe, seed, "history.csv")
        for source in study.sources
        for block in source.seed_blocks
        for seed in block
    ]
    files += [
        block_path(stage, source.recipe, seeds, recipe, suffix)
        for source in study.sources
        for seeds in source.seed_blocks
        for stage, _, recipe, suffix in study.artefacts(source)
        if stage in ("evaluations", "transfers", "metrics")
    ]
    return files


def statistics_recipe(plan: Plan, study: str) -> str:
    """What decides a study's table of correlations, as canonical JSON."""
    recipe = {
        "study": study,
        "primary": dict(plan.studies[study].primary),
        **plan.config["statistics"],
    }
    return json.dumps(recipe, sort_keys=True, separators=(",", ":"))


def figure_recipe(plan: Plan, study: str, keys: list[str]) -> str:
    """What decides a figure beside its tables: the primary test's values for ``keys``."""
    found = plan.studies[study]
    values = {**found.primary, "targets": {t.name: list(t.train.classes) for t in found.targets}}
    recipe = {"study": study, **{key: values[key] for key in keys}}
    return json.dumps(recipe, sort_keys=True, separators=(",", ":"))


def page_recipe(plan: Plan, study: str) -> str:
    """What decides a study's page beside its tables and figures."""
    found = plan.studies[study]
    part = plan.config["studies"][study]
    keys = ["target", "reference", "attack", "norm", "epsilon"]
    recipe = json.loads(figure_recipe(plan, study, [*keys, "targets"]))
    recipe["mixtures"] = {
        s.mixture: list(s.recipe.view.classes) for s in found.sources if s.mixture
    }
    target = part["targets"][found.primary["target"]]
    recipe["facts"] = {
        "training images of a source": part["sources"]["images"],
        "epochs of a source": plan.config["trainings"][part["sources"]["training"]]["epochs"],
        "source seeds": sum(map(len, part["sources"]["seeds"])),
        "reference seeds": sum(map(len, part["references"]["seeds"])),
        "target images for transfer": target["transfer_images"],
        "target test images": target["test_images"],
        "attacked images": target["attacked_images"],
        "attacks": [attack_label(a).replace("_", "/") for block in found.blocks for a in block],
        "images that count": part["mask"].replace("_", " "),
        "arithmetic": plan.config["precision"],
        "bootstrap resamples": plan.config["statistics"]["bootstrap"],
    }
    chosen = {s.recipe.training.checkpoint for s in found.sources}
    modes = [mode for t in found.targets for mode in t.transfer.modes]
    chosen |= {mode.training.checkpoint for mode in modes if mode.training}
    if "best_on_test" in chosen:
        recipe["facts"]["warning"] = "checkpoints were selected on test data, as in the paper"
    return json.dumps(recipe, sort_keys=True, separators=(",", ":"))
