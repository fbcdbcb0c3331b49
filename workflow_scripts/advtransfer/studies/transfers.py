"""Sources transferred to whole targets (Salman et al.): what several studies are built on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..addresses import Seeds
from ..attacks.recipe import AttackRecipe
from ..config import Config
from ..data.view_recipe import ViewRecipe
from ..errors import UserError
from ..training.evaluation_recipe import EvaluationRecipe
from ..training.imported_recipe import Network
from ..training.recipe import SourceRecipe
from ..transfer.recipe import ModeRecipe, TransferRecipe
from .checkpoints import models_of, read_checkpoint, trained_against
from .reader import (
    TRANSFER_MODES,
    IndexRow,
    Reader,
    evaluation_of_source,
    files_of,
    index_of,
    recipes_of,
    repeated,
    seed_blocks,
    selection_warning,
    training_in_words,
    trainings_of,
)


@dataclass(frozen=True)
class TransferSource:
    """A source of the study, and what the tables call it."""

    recipe: Network
    seed_blocks: tuple[Seeds, ...]
    model: str
    training: str
    norm: str  # of its adversarial training: "l2", "linf"; "": natural, or not known
    epsilon: float | None  # of its adversarial training; 0: natural; None: not known

    @property
    def robust(self) -> bool | None:
        """Whether it was trained adversarially; None: imported, and the config does not say."""
        return None if self.epsilon is None else self.epsilon > 0

    @property
    def family(self) -> str:
        return self.recipe.model.family


@dataclass(frozen=True)
class TransferTarget:
    """A target task and how the study's sources are carried over to it: one recipe a trial."""

    name: str
    train: ViewRecipe
    test: ViewRecipe
    transfers: tuple[TransferRecipe, ...]
    metric: str = "accuracy"  # the column of the tables that it is scored by


@dataclass(frozen=True)
class TransferStudy:
    """What such a study needs; it owns no computation."""

    name: str
    sources: tuple[TransferSource, ...]
    targets: tuple[TransferTarget, ...]
    baseline: str  # training that all others are compared with
    evaluation_attacks: tuple[AttackRecipe, ...]
    evaluation_images: int

    def evaluation(self, source: TransferSource) -> EvaluationRecipe | None:
        """None: what an imported source was trained on is not at hand."""
        attacks, images = self.evaluation_attacks, self.evaluation_images
        return evaluation_of_source(source.recipe, attacks, images)

    def artefacts(self, source: TransferSource) -> Iterator[tuple[str, str, Any, str]]:
        """What is made of a block of a source's seeds: stage, label, recipe, suffix of the file."""
        evaluation = self.evaluation(source)
        if evaluation is not None:
            yield "evaluations", "", evaluation, "csv"
        for target in self.targets:
            for transfer in target.transfers:
                trial = f", trial {transfer.trial}" if len(target.transfers) > 1 else ""
                for suffix in ("h5", "csv"):
                    yield "transfers", f" -> {target.name}{trial}", transfer, suffix

    def recipes(self) -> Iterator[Any]:
        return recipes_of(self)

    def index(self) -> Iterator[IndexRow]:
        return index_of(self)

    def files(self) -> list[str]:
        return files_of(self)

    def figure_values(self) -> Mapping[str, Any]:
        return {
            "baseline": self.baseline,
            "targets": {t.name: list(t.train.classes) for t in self.targets},
            "trainings": list(dict.fromkeys(source.training for source in self.sources)),
        }

    def page_values(self, config: Config) -> dict[str, Any]:
        part = config["studies"][self.name]
        facts: dict[str, Any] = {}
        if "images" in part["sources"]:
            facts["training images of a source"] = part["sources"]["images"]
        for model in dict.fromkeys(source.model for source in self.sources):
            own = [source for source in self.sources if source.model == model]
            facts[f"sources {model} (seeds)"] = ", ".join(
                f"{source.training} ({sum(map(len, source.seed_blocks))})" for source in own
            )
        for source in self.sources:
            if isinstance(source.recipe, SourceRecipe):
                facts[f"training {source.training}"] = training_in_words(source.recipe.training)
        for target in self.targets:
            facts[f"target {target.name}"] = (
                f"{target.train.images or 'all'} training and "
                f"{target.test.images or 'all'} test images"
            )
        facts["trials of a source"] = len(self.targets[0].transfers)
        modes = {mode.mode: mode for t in self.targets for mode in t.transfers[0].modes}
        for mode in modes.values():
            if mode.training is None:
                how = "solved by L-BFGS"
            else:
                rates = mode.learning_rates or (mode.training.learning_rate,)
                how = f"SGD, {mode.training.epochs} epochs, learning rate "
                how += " or ".join(f"{rate:g}" for rate in rates)
            facts[f"transfer {mode.mode}"] = how
        facts["arithmetic"] = config["precision"]
        facts.update(selection_warning(trainings_of(self.sources)))
        return {**self.figure_values(), "facts": facts}


class TransferReader(Reader):
    """The part of the configuration of such a study.

    A study with other targets overrides `target_views`, and perhaps `target_names`.
    """

    @staticmethod
    def used(config: Config, own: Config) -> dict[str, set[str]]:
        """Names of models, trainings, ... that decide the study's tables."""
        sources = own["sources"]
        groups = sources.get("groups", {}).values()
        imported = sources.get("checkpoints", [])
        models = {model for group in groups for model in group["models"]}
        datasets = {target["dataset"] for target in own["targets"].values()}
        return {
            "models": models | models_of(config, imported),
            "trainings": {training for group in groups for training in group["trainings"]},
            "checkpoints": set(imported),
            "transfers": {own["transfer"]},
            "attacks": {config["evaluation"]["attacks"]},
            "datasets": datasets | ({sources["dataset"]} if "dataset" in sources else set()),
        }

    def study(self) -> TransferStudy:
        sources = tuple(self.sources())
        twice = repeated([(source.model, source.training) for source in sources])
        if twice:
            raise UserError(
                f"{self.key}.sources: {' with training '.join(twice[0])} stands twice; its rows "
                "could not be told apart. Leave one out, or give a checkpoint another `training`."
            )
        trainings = list(dict.fromkeys(source.training for source in sources))
        if self.part["baseline"] not in trainings:
            raise UserError(
                f"{self.key}.baseline: no source has training '{self.part['baseline']}'; there are "
                f"{', '.join(trainings)}."
            )
        targets = tuple(self.target(name) for name in self.target_names())
        for source in sources:
            if isinstance(source.recipe, SourceRecipe):
                for target in targets:
                    self.check_disjoint(source.recipe.view, target.name, target.train)
        return TransferStudy(
            name=self.name,
            sources=sources,
            targets=targets,
            baseline=self.part["baseline"],
            evaluation_attacks=self.evaluation_attacks(),
            evaluation_images=self.config["evaluation"]["images"],
        )

    def sources(self) -> Iterator[TransferSource]:
        """Every group's models with every of its trainings, then the checkpoints."""
        part = self.part["sources"]
        key = f"{self.key}.sources"
        groups = part.get("groups", {})
        if not groups and not part.get("checkpoints"):
            raise UserError(f"{key}: name groups of models and trainings, or checkpoints.")
        if groups:
            missing = [name for name in ("dataset", "classes", "images") if name not in part]
            if missing:
                raise UserError(f"{key}.{missing[0]} is missing: the groups' models train on it.")
            view = self.view(part, part["classes"], "train", part["images"])
        for name, group in groups.items():
            where = f"{key}.groups.{name}"
            blocks = seed_blocks(group["seeds"], where)
            for model in group["models"]:
                for training in group["trainings"]:
                    recipe = self.network(view, model, training, where)
                    attack = recipe.training.attack
                    norm, epsilon = (attack.norm, attack.epsilon) if attack else ("", 0.0)
                    yield TransferSource(recipe, blocks, model, training, norm, epsilon)
        for name in part.get("checkpoints", []):
            imported, model, training = read_checkpoint(self, name, f"{key}.checkpoints")
            against = trained_against(self.config, name)
            yield TransferSource(imported, ((0,),), model, training, *against)

    def target_names(self) -> list[str]:
        return list(self.part["targets"])

    def target_views(self, name: str) -> tuple[ViewRecipe, ViewRecipe]:
        """Training and test images of a target."""
        part = self.part["targets"][name]
        return (
            self.view(part, part["classes"], "train", part.get("images")),
            self.view(part, part["classes"], "test", part.get("test_images")),
        )

    def modes(self, wanted: Sequence[str] = TRANSFER_MODES) -> tuple[ModeRecipe, ...]:
        """As every study's, without selection on test images: the tables have these apart."""
        modes = super().modes(wanted)
        for mode in modes:
            if mode.training and mode.training.checkpoint == "best_on_test":
                raise UserError(
                    f"transfers.{self.part['transfer']}.{mode.mode}.training.checkpoint: "
                    f"{self.key} chooses nothing on test images; use checkpoint: last, not "
                    "best_on_test."
                )
        return modes

    def target(self, name: str) -> TransferTarget:
        train, test = self.target_views(name)
        wanted = self.part.get("modes", TRANSFER_MODES)
        modes = self.modes(self.part["targets"].get(name, {}).get("modes", wanted))
        trials = range(self.part.get("trials", 1))
        transfers = tuple(TransferRecipe(train, test, modes, trial) for trial in trials)
        dataset = self.part["targets"].get(name, {}).get("dataset")
        metric = "accuracy" if dataset is None else self.metric(dataset)
        return TransferTarget(name, train, test, transfers, metric)
