"""Accuracy and robustness of a source together, and its width (Salman et al.)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...advtransfer.attacks.recipe import attack_label
from ...advtransfer.epsilon import parse_epsilon
from ...advtransfer.errors import UserError
from ...config.check import Config
from ..checkpoints import read_checkpoint
from ..facts import mode_in_words
from ..kinds.whole_targets import design as whole_targets
from ..reader import repeated
from ..sources import check_not_baseline, check_training, trainings_of_names

MIN_ARCHITECTURES = 3  # with fewer, a correlation is +-1 or undefined

BASE = "whole_targets"  # the kind of study that this one extends


@dataclass(frozen=True)
class AccuracyStudy(whole_targets.TransferStudy):
    """Sources transferred to whole targets, and how the study compares them."""

    robust: str  # the adversarial training that the statements on width are about
    architectures: tuple[str, ...]  # models that correlations and predictors are over
    widths: Mapping[str, int]  # models that differ in width alone: how wide
    robustness: Mapping[str, Any]  # attack, norm, epsilon: the robust accuracy that predicts
    known_accuracy: tuple[Mapping[str, Any], ...]  # of checkpoints: model, training, accuracy

    def settings(self, config: Config) -> Mapping[str, Any]:
        return {
            **super().settings(config),
            "robust": self.robust,
            "architectures": list(self.architectures),
            "widths": dict(self.widths),
            "robustness": dict(self.robustness),
            "known_accuracy": [dict(known) for known in self.known_accuracy],
        }

    def facts(self, config: Config) -> Mapping[str, Any]:
        facts = dict(super().facts(config))
        attack = self.robustness
        for target in self.targets:
            modes = [mode_in_words(mode.mode) for mode in target.transfers[0].modes]
            facts[f"modes of transfer to {target.name}"] = ", ".join(modes)
        return facts | {
            "architectures compared": list(self.architectures),
            "widths compared": dict(self.widths),
            "robustness": f"{attack['attack']} {attack['norm']} {attack['epsilon']:g}",
            "images that measure sources": self.evaluation_images,
            "bootstrap resamples": config["statistics"]["bootstrap"],
        }


class Reader(whole_targets.Reader):
    """The part of the configuration of such a study."""

    def study(self) -> AccuracyStudy:
        base = super().study()
        known = {(source.model, source.training) for source in base.sources}
        check_training(self, "robust", trainings_of_names(base.sources))
        check_not_baseline(self)
        unknown_epsilon = [source for source in base.sources if source.epsilon is None]
        if unknown_epsilon:
            raise UserError(
                f"{self.key}.sources: the epsilon of '{unknown_epsilon[0].training}' is not known; "
                "add norm and epsilon to its checkpoint."
            )
        architectures, widths = tuple(self.part["architectures"]), dict(self.part["widths"])
        for key, names in (("architectures", architectures), ("widths", tuple(widths))):
            models = list(dict.fromkeys(source.model for source in base.sources))
            unknown = [name for name in names if name not in models]
            if unknown:
                raise UserError(
                    f"{self.key}.{key}: no source has model '{unknown[0]}'; there are "
                    f"{', '.join(models)}."
                )
        if len(architectures) < MIN_ARCHITECTURES:
            raise UserError(
                f"{self.key}.architectures: a correlation needs at least {MIN_ARCHITECTURES}; "
                "eight or more say something."
            )
        if twice := repeated(list(widths.values())):
            raise UserError(f"{self.key}.widths: two models have width {twice[0]}.")
        for model in widths:
            for training in (base.baseline, self.part["robust"]):
                if (model, training) not in known:
                    raise UserError(
                        f"{self.key}.widths: '{model}' has no source with training '{training}'; "
                        f"add it to a group of {self.key}.sources."
                    )
        return AccuracyStudy(
            **{item.name: getattr(base, item.name) for item in dataclasses.fields(base)},
            robust=self.part["robust"],
            architectures=architectures,
            widths=widths,
            robustness=self._robustness(),
            known_accuracy=self._known_accuracy(),
        )

    def _robustness(self) -> dict[str, Any]:
        """The attack of the evaluation that measures how robust a source is."""
        wanted = {**self.part["robustness"]}
        wanted["epsilon"] = parse_epsilon(wanted["epsilon"])
        attacks = self.evaluation_attacks()
        if wanted not in [{k: getattr(attack, k) for k in wanted} for attack in attacks]:
            block = self.config["evaluation"]["attacks"]
            raise UserError(
                f"{self.key}.robustness: no such attack among attacks.{block}, with which sources "
                f"are evaluated; there are {', '.join(map(attack_label, attacks))}."
            )
        return wanted

    def _known_accuracy(self) -> tuple[dict[str, Any], ...]:
        """Accuracies that the config gives for checkpoints, which cannot be evaluated here."""
        given = self.part.get("accuracies", {})
        used = self.part["sources"].get("checkpoints", [])
        if unknown := [name for name in given if name not in used]:
            raise UserError(
                f"{self.key}.accuracies: '{unknown[0]}' is none of {self.key}.sources.checkpoints; "
                f"there are {', '.join(used) or 'none'}."
            )
        key = f"{self.key}.sources.checkpoints"
        known = [(read_checkpoint(self, name, key), value) for name, value in given.items()]
        return tuple(
            {"model": source.model, "training": source.training, "accuracy": accuracy}
            for source, accuracy in known
        )
