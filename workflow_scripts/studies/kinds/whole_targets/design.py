"""Sources transferred to whole targets (Salman et al.): the kind that several studies extend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ....advtransfer.data.view_recipe import ViewRecipe
from ....advtransfer.errors import UserError
from ....advtransfer.training.recipe import SourceRecipe
from ....advtransfer.transfer.recipe import ModeRecipe, TransferRecipe
from ....config.check import Config
from ...base import Artefact, Study
from ...facts import mode_in_words, selection_warning, training_in_words, trainings_of
from ...reader import TRANSFER_MODES, StudyReader
from ...sources import (
    Source,
    Target,
    check_once,
    check_training,
    check_unseen,
    groups_and_checkpoints,
    trainings_of_names,
)


@dataclass(frozen=True)
class TransferStudy(Study):
    """Sources, and the whole targets that each is carried over to."""

    baseline: str  # training that all others are compared with

    def artefacts(self, source: Source) -> Iterator[Artefact]:
        yield from super().artefacts(source)
        for target in self.targets:
            for transfer in target.transfers:
                trial = f", trial {transfer.trial}" if len(target.transfers) > 1 else ""
                for suffix in ("h5", "csv"):
                    yield Artefact("transfers", f" -> {target.name}{trial}", transfer, suffix)

    def settings(self, config: Config) -> Mapping[str, Any]:
        return {
            **super().settings(config),
            "baseline": self.baseline,
            "targets": {t.name: list(t.train.classes) for t in self.targets},
            "trainings": trainings_of_names(self.sources),
            "metrics": {target.name: target.metric for target in self.targets},
        }

    def facts(self, config: Config) -> Mapping[str, Any]:
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
            facts[f"{mode_in_words(mode.mode)} transfer"] = how
        facts["arithmetic"] = config["precision"]
        facts.update(selection_warning(trainings_of(self.sources)))
        return facts


class Reader(StudyReader):
    """Reads the section of such a study.

    A study with other targets overrides `target_views`, and perhaps `target_names`.
    """

    def study(self) -> TransferStudy:
        sources = tuple(groups_and_checkpoints(self))
        check_once(self, sources, "Leave one out, or give a checkpoint another `training`.")
        check_training(self, "baseline", trainings_of_names(sources))
        targets = tuple(self.target(name) for name in self.target_names())
        check_unseen(self, sources, targets)
        return TransferStudy(
            name=self.name,
            sources=sources,
            targets=targets,
            baseline=self.part["baseline"],
            evaluation_attacks=self.evaluation_attacks(),
            evaluation_images=self.config["evaluation"]["images"],
        )

    def target_names(self) -> list[str]:
        return list(self.part["targets"])

    def target_views(self, name: str) -> tuple[ViewRecipe, ViewRecipe]:
        """Return the training and the test images of a target."""
        part = self.part["targets"][name]
        return (
            self.view(part, part["classes"], "train", part.get("images")),
            self.view(part, part["classes"], "test", part.get("test_images")),
        )

    def modes(self, wanted: Sequence[str] = TRANSFER_MODES) -> tuple[ModeRecipe, ...]:
        """Return the modes as every study does, but refuse selection on test images.

        The tables show apart what such a selection gives.
        """
        modes = super().modes(wanted)
        for mode in modes:
            if mode.training and mode.training.checkpoint == "best_on_test":
                raise UserError(
                    f"transfers.{self.part['transfer']}.{mode.mode}.training.checkpoint: "
                    f"{self.key} chooses nothing on test images; use checkpoint: last, not "
                    "best_on_test."
                )
        return modes

    def target(self, name: str) -> Target:
        train, test = self.target_views(name)
        wanted = self.part.get("modes", TRANSFER_MODES)
        modes = self.modes(self.part["targets"].get(name, {}).get("modes", wanted))
        trials = range(self.part.get("trials", 1))
        transfers = tuple(
            TransferRecipe(train, test, modes, trial, self.shared_images()) for trial in trials
        )
        dataset = self.part["targets"].get(name, {}).get("dataset")
        metric = "accuracy" if dataset is None else self.metric(dataset)
        return Target(name, train, test, transfers, metric)
