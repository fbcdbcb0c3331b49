"""The studies of Liang et al.: sources against references of a target, in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ....advtransfer.addresses import block_path, view_path
from ....advtransfer.attacks.block_recipe import AttackBlockRecipe
from ....advtransfer.attacks.recipe import AttackRecipe, attack_label
from ....advtransfer.epsilon import format_epsilon, parse_epsilon
from ....advtransfer.errors import UserError
from ....advtransfer.metrics.pairing_recipe import PairingRecipe
from ....advtransfer.metrics.recipe import MetricsRecipe
from ....advtransfer.training.recipe import SourceRecipe
from ....advtransfer.transfer.recipe import TransferRecipe
from ....config.check import Config
from ...base import Artefact, IndexRow, Study, index_network
from ...facts import selection_warning, trainings_of
from ...reader import StudyReader, repeated, seed_blocks
from ...sources import Reference, Source, Target, check_unseen, trained_sources

SAME_CLASS = {"car": "automobile"}  # STL-10's name for it


def shared_classes(source: Source, target: Target) -> int:
    """How many classes source and target have in common."""
    assert isinstance(source.recipe, SourceRecipe)  # no study of this kind imports sources
    own, other = (
        {SAME_CLASS.get(name, name) for name in view.classes}
        for view in (source.recipe.view, target.train)
    )
    return len(own & other)


@dataclass(frozen=True)
class PairStudy(Study):
    """Sources against references of every target, under every block of attacks."""

    blocks: tuple[tuple[AttackRecipe, ...], ...]
    mask: str
    primary: Mapping[str, Any]

    def attack_blocks(self, target: Target) -> list[AttackBlockRecipe]:
        """One recipe for every block of attacks on the target's attacked images."""
        assert target.attacked is not None
        return [AttackBlockRecipe(target.attacked, block) for block in self.blocks]

    def metrics(self, target: Target) -> Iterator[tuple[Reference, MetricsRecipe]]:
        """Every (reference, block of its seeds, block of attacks) on a target."""
        for reference in target.references:
            for seeds in reference.seed_blocks:
                for block in self.attack_blocks(target):
                    pairing = PairingRecipe(reference.recipe, seeds, block)
                    yield reference, MetricsRecipe(pairing, self.mask)

    def artefacts(self, source: Source) -> Iterator[Artefact]:
        yield from super().artefacts(source)
        for target in self.targets:
            label = f" -> {target.name}"
            for suffix in ("h5", "csv"):
                yield Artefact("transfers", label, target.transfers[0], suffix)
            for block in self.attack_blocks(target):
                yield Artefact("attacks", label, block, "h5")
            for reference, metrics in self.metrics(target):
                against = f"{label}, reference {reference.model}"
                yield Artefact("responses", against, metrics.pairing, "h5")
                for suffix in ("csv", "h5"):
                    yield Artefact("metrics", against, metrics, suffix)

    def recipes(self) -> Iterator[Any]:
        yield from super().recipes()
        for target in self.targets:
            for reference in target.references:
                yield reference.recipe

    def index(self) -> Iterator[IndexRow]:
        for target in self.targets:
            assert target.attacked is not None
            attacked = view_path(target.attacked)
            yield IndexRow("view", f"{target.name} attacked images", (), attacked)
            for reference in target.references:
                name = f"{target.name}/{reference.model}"
                for seeds in reference.seed_blocks:
                    yield from index_network("reference", name, reference.recipe, seeds)
                    for block in self.attack_blocks(target):
                        path = block_path("attacks", reference.recipe, seeds, block, "h5")
                        yield IndexRow("attacks", f"{name} -> {target.name}", seeds, path)
        yield from super().index()

    def settings(self, config: Config) -> Mapping[str, Any]:
        return {
            **super().settings(config),
            **self.primary,
            "primary": dict(self.primary),
            "targets": {t.name: list(t.train.classes) for t in self.targets},
            "mixtures": {
                source.mixture: list(source.recipe.view.classes)
                for source in self.sources
                if source.mixture and isinstance(source.recipe, SourceRecipe)
            },
        }

    def facts(self, config: Config) -> Mapping[str, Any]:
        part = config["studies"][self.name]
        target = part["targets"][self.primary["target"]]
        facts = {
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
        modes = [mode for t in self.targets for mode in t.transfers[0].modes]
        trainings += [mode.training for mode in modes if mode.training]
        return facts | selection_warning(trainings)


class Reader(StudyReader):
    """The part of the configuration of such a study."""

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
        check_unseen(self, sources, targets)
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
        if "mixtures" not in part and "classes" not in part:
            raise UserError(f"{key}: name the classes of all sources, or mixtures of classes.")
        if "mixtures" in part and "animals" not in part:
            raise UserError(f"{key}.animals is missing: the classes that count as animals.")
        mixtures = part.get("mixtures") or {"": part["classes"]}
        for mixture, classes in mixtures.items():
            animals = None
            if mixture:
                animals = 100 * sum(name in part["animals"] for name in classes) / len(classes)
            view = self.view(part, classes, "train", part["images"])
            yield from trained_sources(self, view, pairs, part["seeds"], key, mixture, animals)

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
            test=test,
            transfers=(
                TransferRecipe(
                    train=self.view(part, part["classes"], "train", part["transfer_images"]),
                    test=test,
                    modes=self.modes(),
                    shared_images=self.shared_images(),
                ),
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
