"""The studies of Liang et al.: sources against references of a target, in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..addresses import Seeds, block_path, source_path, view_path
from ..attacks.block_recipe import AttackBlockRecipe
from ..attacks.recipe import AttackRecipe, attack_label
from ..config import Config, parse_epsilon
from ..data.view_recipe import ViewRecipe
from ..epsilon import format_epsilon
from ..errors import UserError
from ..metrics.pairing_recipe import PairingRecipe
from ..metrics.recipe import MetricsRecipe
from ..training.evaluation_recipe import EvaluationRecipe
from ..training.recipe import SourceRecipe
from ..transfer.recipe import TransferRecipe
from .reader import (
    IndexRow,
    Reader,
    evaluation_of,
    index_network,
    repeated,
    seed_blocks,
    selection_warning,
    trainings_of,
)

SAME_CLASS = {"car": "automobile"}  # STL-10's name for it


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
class PairStudy:
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
        return evaluation_of(source.recipe.view, self.evaluation_attacks, self.evaluation_images)

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

    def recipes(self) -> Iterator[Any]:
        for source in self.sources:
            yield source.recipe
            yield self.evaluation(source)
        for target in self.targets:
            yield target.transfer
            yield from self.attack_blocks(target)
            for reference, metrics in self.metrics(target):
                yield reference.recipe
                yield metrics

    def index(self) -> Iterator[IndexRow]:
        for target in self.targets:
            attacked = view_path(target.attacked)
            yield IndexRow("view", f"{target.name} attacked images", (), attacked)
            for reference in target.references:
                name = f"{target.name}/{reference.model}"
                for seeds in reference.seed_blocks:
                    yield from index_network("reference", name, reference.recipe, seeds)
                    for block in self.attack_blocks(target):
                        path = block_path("attacks", reference.recipe, seeds, block, "h5")
                        yield IndexRow("attacks", f"{name} -> {target.name}", seeds, path)
        for source in self.sources:
            name = "/".join(filter(None, (source.mixture, source.model, source.training)))
            for seeds in source.seed_blocks:
                yield from index_network("source", name, source.recipe, seeds)
                for stage, label, recipe, suffix in self.artefacts(source):
                    path = block_path(stage, source.recipe, seeds, recipe, suffix)
                    yield IndexRow(stage, f"{name}{label}", seeds, path)

    def files(self) -> list[str]:
        files = [
            source_path(source.recipe, seed, "history.csv")
            for source in self.sources
            for block in source.seed_blocks
            for seed in block
        ]
        files += [
            block_path(stage, source.recipe, seeds, recipe, suffix)
            for source in self.sources
            for seeds in source.seed_blocks
            for stage, _, recipe, suffix in self.artefacts(source)
            if stage in ("evaluations", "transfers", "metrics")
        ]
        return files

    def figure_values(self) -> Mapping[str, Any]:
        return {**self.primary, "targets": {t.name: list(t.train.classes) for t in self.targets}}

    def page_values(self, config: Config) -> dict[str, Any]:
        part = config["studies"][self.name]
        target = part["targets"][self.primary["target"]]
        values: dict[str, Any] = dict(self.figure_values())
        del values["direction"], values["metric"], values["transfer"]
        values["mixtures"] = {
            s.mixture: list(s.recipe.view.classes) for s in self.sources if s.mixture
        }
        values["facts"] = {
            "training images of a source": part["sources"]["images"],
            "epochs of a source": config["trainings"][part["sources"]["training"]]["epochs"],
            "source seeds": sum(map(len, part["sources"]["seeds"])),
            "reference seeds": sum(map(len, part["references"]["seeds"])),
            "target images for transfer": target["transfer_images"],
            "target test images": target["test_images"],
            "attacked images": target["attacked_images"],
            "attacks": [attack_label(a).replace("_", "/") for block in self.blocks for a in block],
            "images that count": part["mask"].replace("_", " "),
            "arithmetic": config["precision"],
            "bootstrap resamples": config["statistics"]["bootstrap"],
        }
        trainings = trainings_of(self.sources)
        modes = [mode for t in self.targets for mode in t.transfer.modes]
        trainings += [mode.training for mode in modes if mode.training]
        values["facts"].update(selection_warning(trainings))
        return values


class PairReader(Reader):
    """The part of the configuration of such a study."""

    @staticmethod
    def used(config: Config, own: Config) -> dict[str, set[str]]:
        """Names of models, trainings, ... that decide the study's tables."""
        sources, references, targets = own["sources"], own["references"], own["targets"].values()
        robust = sources.get("robust", {"models": [], "trainings": []})
        return {
            "models": {*sources["models"], *robust["models"], *references["models"]},
            "trainings": {sources["training"], *robust["trainings"], references["training"]},
            "transfers": {own["transfer"]},
            "attacks": {*own["attacks"], config["evaluation"]["attacks"]},
            "datasets": {sources["dataset"], *(target["dataset"] for target in targets)},
        }

    def study(self) -> PairStudy:
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
                self.check_disjoint(source.recipe.view, target.name, target.train)
        study = PairStudy(
            name=self.name,
            sources=sources,
            targets=targets,
            blocks=tuple(
                self.attack_block(name, f"{self.key}.attacks") for name in self.part["attacks"]
            ),
            mask=self.part["mask"],
            evaluation_attacks=self.evaluation_attacks(),
            evaluation_images=self.config["evaluation"]["images"],
            primary=self._primary(),
        )
        self._check_primary(study)
        return study

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
            view = self.view(part, classes, "train", part["images"])
            for model, training in pairs:
                recipe = self.network(view, model, training, key)
                yield Source(
                    recipe, seed_blocks(part["seeds"], key), model, training, mixture, animals
                )

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
        train = self.view(part, part["classes"], "train", part["images"])
        test = self.view(part, part["classes"], "test", part["test_images"])
        references = self.part["references"]
        return Target(
            name=name,
            train=train,
            transfer=TransferRecipe(
                train=self.view(part, part["classes"], "train", part["transfer_images"]),
                test=test,
                modes=self.modes(),
            ),
            attacked=self.view(part, part["classes"], "test", part["attacked_images"]),
            references=tuple(
                Reference(
                    self.network(train, model, references["training"], f"{self.key}.references"),
                    model,
                    seed_blocks(references["seeds"], f"{self.key}.references"),
                )
                for model in references["models"]
            ),
        )

    def _primary(self) -> dict[str, Any]:
        return {**self.part["primary"], "epsilon": parse_epsilon(self.part["primary"]["epsilon"])}

    def _check_primary(self, study: PairStudy) -> None:
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
        twice = repeated([attack_label(attack) for attack in attacks])
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
