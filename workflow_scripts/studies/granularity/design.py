"""The study of granularity (Salman et al. 2020): which epsilon is best for how fine a target."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...advtransfer.data.view_recipe import ViewRecipe
from ...advtransfer.errors import UserError
from ...advtransfer.metrics.granularity_recipe import GranularityRecipe
from ...config.check import Config
from ..base import Artefact
from ..kinds.whole_targets import design as whole_targets
from ..reader import BY_IMAGES
from ..sources import Source, Target

Path = tuple[str, ...]

BASE = "whole_targets"  # the kind of study that this one extends


@dataclass(frozen=True)
class GranularityStudy(whole_targets.TransferStudy):
    """Transfers over a grid of epsilons, and measures of what the targets are like."""

    datasets: Mapping[str, str]  # of every target, by the config's name
    scores: Mapping[str, str]  # what a target is scored by, where that is not accuracy: a column
    paths: Mapping[str, Path]  # of every class in the hierarchy, from below its root
    measured_images: int
    estimator: str  # of the best epsilon: the one that counts; all are reported
    temperature: float
    primary: tuple[str, str]  # measure and basis: the test named in advance

    def measures(self, source: Source) -> Iterator[tuple[Target, Any]]:
        """Every target, in the features of the sources with the baseline's training."""
        if source.training != self.baseline:
            return
        for target in self.targets:
            view, first = target.train, None
            if view.images is None:  # how many there are, only its file knows
                first = self.measured_images
            else:
                images = min(self.measured_images, view.images)
                view = dataclasses.replace(view, images=images)
            known = [self.paths[name] for name in view.classes if name in self.paths]
            yield target, GranularityRecipe(view, tuple(known), first)

    def artefacts(self, source: Source) -> Iterator[Artefact]:
        yield from super().artefacts(source)
        for target, recipe in self.measures(source):
            yield Artefact("granularity", f" on {target.name}", recipe, "csv")

    @property
    def series(self) -> dict[str, list[str]]:
        """Targets that differ in their detail alone, the least first, by the last one's name."""
        alike: dict[ViewRecipe, list[Target]] = {}
        for target in self.targets:
            full = dataclasses.replace(target.train, detail=None)
            alike.setdefault(full, []).append(target)
        found = {}
        for targets in alike.values():
            if len(targets) > 1:
                targets.sort(key=lambda t: (t.train.detail is None, t.train.detail or 0))
                found[targets[-1].name] = [target.name for target in targets]
        return found

    def settings(self, config: Config) -> Mapping[str, Any]:
        measure, basis = self.primary
        return {
            **super().settings(config),
            "model": self.sources[0].model,  # of several architectures figures show the first
            "estimator": self.estimator,
            "temperature": self.temperature,
            "measure": measure,
            "basis": basis,
            "series": self.series,
            "scores": dict(self.scores),
        }

    def facts(self, config: Config) -> Mapping[str, Any]:
        facts = dict(super().facts(config))
        for target in self.targets:
            view = target.train
            parts = [
                f"{view.images or 'all'} training and {target.test.images or 'all'} test images of "
                f"{self.datasets[target.name]}",
                ", ".join(view.classes)
                if len(view.classes) < 6
                else f"{len(view.classes)} classes",
            ]
            if view.superclasses:
                parts.append(f"labels {', '.join(view.label_names)}")
            if view.detail:
                parts.append(f"reduced to {view.detail} pixels")
            facts[f"target {target.name}"] = "; ".join(parts)
        facts["images measured"] = self.measured_images
        facts["best epsilon"] = self.estimator
        facts["primary measure"] = f"{self.primary[0]} of {self.primary[1]}"
        return facts


class Reader(whole_targets.Reader):
    """The part of the configuration of such a study."""

    def study(self) -> GranularityStudy:
        base = super().study()
        self._check_grid(base)
        paths: dict[str, Path] = {}
        for path in _leaves(self.part.get("hierarchy", {})):
            if path[-1] in paths:
                raise UserError(
                    f"{self.key}.hierarchy: '{path[-1]}' stands twice, below "
                    f"{_shown(paths[path[-1]])} and below {_shown(path)}."
                )
            paths[path[-1]] = path
        for target in base.targets:
            missing = [name for name in target.train.classes if name not in paths]
            if missing and len(missing) < len(target.train.classes):
                raise UserError(
                    f"{self.key}.hierarchy: '{missing[0]}' of target '{target.name}' is not in it, "
                    "though others of its classes are. Add it, or leave out all of them."
                )
        best = self.part["best_epsilon"]
        datasets = {name: part["dataset"] for name, part in self.part["targets"].items()}
        scores = {name: self.metric(dataset) for name, dataset in datasets.items()}
        return GranularityStudy(
            **{field.name: getattr(base, field.name) for field in dataclasses.fields(base)},
            datasets=datasets,
            scores={name: column for name, column in scores.items() if column != BY_IMAGES},
            paths=paths,
            measured_images=self.part["measured_images"],
            estimator=best["estimator"],
            temperature=float(best["temperature"]),
            primary=(self.part["primary"]["measure"], self.part["primary"]["basis"]),
        )

    def _check_grid(self, study: whole_targets.TransferStudy) -> None:
        """Refuse sources that have no place on one axis of epsilons."""
        key = f"{self.key}.sources"
        for model in dict.fromkeys(source.model for source in study.sources):
            own = [source for source in study.sources if source.model == model]
            unknown = [source.training for source in own if source.epsilon is None]
            if unknown:
                raise UserError(
                    f"{key}: the epsilon of '{unknown[0]}' is not known; add norm and epsilon to "
                    "its checkpoint."
                )
            norms = sorted({source.norm for source in own if source.norm})
            if len(norms) > 1:
                raise UserError(
                    f"{key}: sources of {model} are robust in {' and in '.join(norms)}; one axis "
                    "of epsilons takes one norm."
                )
            of_epsilon: dict[float, str] = {}
            for source in own:
                assert source.epsilon is not None
                if source.epsilon in of_epsilon:
                    raise UserError(
                        f"{key}: '{of_epsilon[source.epsilon]}' and '{source.training}' of {model} "
                        f"both have epsilon {source.epsilon:g}; leave one out."
                    )
                of_epsilon[source.epsilon] = source.training
            if len(of_epsilon) < 3 or of_epsilon.get(0) != study.baseline:
                raise UserError(
                    f"{key}: {model} needs sources of at least three epsilons, one of them the "
                    f"baseline '{study.baseline}' with epsilon 0; it has "
                    f"{', '.join(f'{epsilon:g}' for epsilon in sorted(of_epsilon))}."
                )


def _leaves(part: Any, above: Path = ()) -> Iterator[Path]:
    """Paths to the classes of a hierarchy: names in names, lists of classes at their ends."""
    if isinstance(part, Mapping):
        for name, below in part.items():
            yield from _leaves(below, (*above, name))
    else:
        for name in part:
            yield (*above, name)


def _shown(path: Path) -> str:
    return f"'{' / '.join(path[:-1])}'"
