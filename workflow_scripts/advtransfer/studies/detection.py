"""Object detection and instance segmentation on the study's sources (Salman et al., figure 4)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..addresses import dataset_path
from ..attacks.recipe import AttackRecipe
from ..config import Config
from ..data.view_recipe import ViewRecipe
from ..detection.data_recipe import CocoRecipe, ComposedRecipe, DetectionDataRecipe, VocRecipe
from ..detection.formats import voc_list
from ..detection.paths import detection_data_path, detector_path
from ..detection.recipe import DetectorRecipe
from ..errors import UserError
from ..training.evaluation_recipe import EvaluationRecipe
from ..training.recipe import SourceRecipe
from .checkpoints import models_of, trained_against
from .data_efficiency import EfficiencyReader
from .reader import (
    IndexRow,
    Reader,
    evaluation_of_source,
    files_of,
    index_of,
    recipes_of,
    repeated,
    selection_warning,
    trainings_of,
)
from .transfers import TransferSource

MISSING = "missing"  # instead of the digest of annotations that are not there
KINDS = ("composed", "coco", "voc")


@dataclass(frozen=True)
class DetectionTask:
    """What detectors are trained for: data, and how."""

    name: str
    recipe: DetectorRecipe
    trainings: tuple[str, ...]  # sources that take part

    @property
    def quantities(self) -> tuple[str, ...]:
        """What average precision is measured of."""
        return ("box", "mask") if self.recipe.masks else ("box",)


@dataclass(frozen=True)
class DetectionStudy:
    """What the study needs; it owns no computation."""

    name: str
    sources: tuple[TransferSource, ...]
    tasks: tuple[DetectionTask, ...]
    baseline: str  # training that all others are compared with
    robust: str  # the adversarial training of the pictures and of the page's verdict
    evaluation_attacks: tuple[AttackRecipe, ...]
    evaluation_images: int

    def evaluation(self, source: TransferSource) -> EvaluationRecipe | None:
        """None: what an imported source was trained on is not at hand."""
        attacks, images = self.evaluation_attacks, self.evaluation_images
        return evaluation_of_source(source.recipe, attacks, images)

    def tasks_of(self, source: TransferSource) -> Iterator[DetectionTask]:
        for task in self.tasks:
            if source.training in task.trainings:
                yield task

    def detectors(self) -> Iterator[tuple[TransferSource, DetectionTask, int]]:
        """Every detector of the study: source, task, seed."""
        for source in self.sources:
            for task in self.tasks_of(source):
                for block in source.seed_blocks:
                    for seed in block:
                        yield source, task, seed

    def class_views(self) -> Iterator[ViewRecipe]:
        """Classes of known datasets that composed data name; nothing is made of these views."""
        for task in self.tasks:
            composed = task.recipe.data.composed
            if composed is not None:
                yield ViewRecipe(composed.objects, "train", composed.object_classes)
                yield ViewRecipe(composed.backgrounds, "train", composed.background_classes)

    def artefacts(self, source: TransferSource) -> Iterator[tuple[str, str, Any, str]]:
        """What is made of a block of a source's seeds; detectors are made of one seed each."""
        evaluation = self.evaluation(source)
        if evaluation is not None:
            yield "evaluations", "", evaluation, "csv"

    def recipes(self) -> Iterator[Any]:
        yield from recipes_of(self)
        for task in self.tasks:
            yield task.recipe
            if task.recipe.data.composed is not None:
                yield task.recipe.data.composed.objects
                yield task.recipe.data.composed.backgrounds

    def index(self) -> Iterator[IndexRow]:
        for task in self.tasks:
            data = task.recipe.data
            yield IndexRow("detection data", data.name, (), detection_data_path(data))
            if data.composed is not None:
                for part in (data.composed.objects, data.composed.backgrounds):
                    yield IndexRow("dataset", part.name, (), dataset_path(part))
        yield from index_of(self)
        for source, task, seed in self.detectors():
            name = f"{source.model}/{source.training} -> {task.name}"
            path = detector_path(source.recipe, seed, task.recipe, "model.safetensors")
            yield IndexRow("detector", name, (seed,), path)

    def files(self) -> list[str]:
        detectors = [
            detector_path(source.recipe, seed, task.recipe, file)
            for source, task, seed in self.detectors()
            for file in ("ap.csv", "history.csv")
        ]
        return [*files_of(self), *dict.fromkeys(detectors)]

    @property
    def model(self) -> str:
        """Of several architectures figures and page show the first that has both trainings which
        they compare."""
        return _compared(self.sources, self.baseline, self.robust)[0]

    def pictured(self) -> tuple[DetectionTask, dict[str, str]]:
        """What the figure of pictures shows: the last task with masks, or the last; predictions of
        the first seed of `model`, by training."""
        with_masks = [task for task in self.tasks if task.recipe.masks]
        task = (with_masks or list(self.tasks))[-1]
        found: dict[str, str] = {}
        for source, other, seed in self.detectors():
            training = source.training
            of_both = training in (self.baseline, self.robust) and source.model == self.model
            if other == task and of_both:
                path = detector_path(source.recipe, seed, task.recipe, "predictions.json")
                found.setdefault(training, path)
        return task, {name: found[name] for name in (self.baseline, self.robust)}

    def figure_values(self) -> Mapping[str, Any]:
        return {
            "model": self.model,
            "baseline": self.baseline,
            "robust": self.robust,
            "trainings": list(dict.fromkeys(source.training for source in self.sources)),
            "tasks": {task.name: _title(task) for task in self.tasks},
            "areas": {task.name: list(task.recipe.data.areas) for task in self.tasks},
            "pictured": self.pictured()[0].name,
        }

    def page_values(self, config: Config) -> dict[str, Any]:
        part = config["studies"][self.name]
        facts: dict[str, Any] = {}
        if "images" in part["sources"]:
            facts["training images of a source"] = part["sources"]["images"]
        facts["models"] = list(dict.fromkeys(source.model for source in self.sources))
        facts["seeds"] = max(sum(map(len, source.seed_blocks)) for source in self.sources)
        for task in self.tasks:
            recipe = task.recipe
            facts[task.name] = (
                f"{_title(task)}; {recipe.epochs} epochs of SGD, batches of {recipe.batch_size}, "
                f"learning rate {recipe.learning_rate:g}; {recipe.levels} levels of "
                f"{recipe.channels} features; {len(task.trainings)} trainings"
            )
            composed = recipe.data.composed
            if composed is not None:
                facts[f"data {recipe.data.name}"] = (
                    f"composed of {composed.objects.name} on {composed.backgrounds.name} "
                    f"({', '.join(composed.background_classes)}); {composed.train_images} training "
                    f"and {composed.val_images} validation images of {composed.size} pixels"
                )
            small, large = recipe.data.areas
            facts[f"sizes of {recipe.data.name}"] = (
                f"small below {small}, large from {large} pixels a side (COCO: 32, 96)"
            )
        facts["arithmetic of detectors"] = "fp32"
        facts.update(selection_warning(trainings_of(self.sources)))
        return {**self.figure_values(), "facts": facts}


def _compared(sources: Iterable[TransferSource], *trainings: str) -> list[str]:
    """Architectures that have all of the trainings."""
    found: dict[str, set[str]] = {}
    for source in sources:
        found.setdefault(source.model, set()).add(source.training)
    return [model for model, own in found.items() if own.issuperset(trainings)]


def _title(task: DetectionTask) -> str:
    kind = "Mask R-CNN" if task.recipe.masks else "Faster R-CNN"
    return f"{kind}, {task.recipe.data.name}"


class DetectionReader(Reader):
    """The part of the configuration of such a study."""

    @staticmethod
    def used(config: Config, own: Config) -> dict[str, set[str]]:
        """Names of models, trainings, ... that decide the study's tables."""
        sources = own["sources"]
        imported = sources.get("checkpoints", [])
        scenes = {task["data"] for task in own["tasks"].values()}
        parts = [config["data"].get("detection", {}).get(name, {}) for name in scenes]
        composed = [part["composed"] for part in parts if "composed" in part]
        datasets = {part[kind] for part in composed for kind in ("objects", "backgrounds")}
        return {
            "models": {*sources.get("models", []), *models_of(config, imported)},
            "trainings": set(sources.get("trainings", [])),
            "checkpoints": set(imported),
            "transfers": set(),
            "attacks": {config["evaluation"]["attacks"]},
            "datasets": datasets | ({sources["dataset"]} if "dataset" in sources else set()),
            "detection": scenes,
        }

    def study(self) -> DetectionStudy:
        sources = tuple(self._sources())
        trainings = tuple(dict.fromkeys(source.training for source in sources))
        for role in ("baseline", "robust"):
            if self.part[role] not in trainings:
                raise UserError(
                    f"{self.key}.{role}: no source has training '{self.part[role]}'; there are "
                    f"{', '.join(trainings)}."
                )
        if self.part["baseline"] == self.part["robust"]:
            raise UserError(f"{self.key}.robust: must be another training than the baseline.")
        tasks = tuple(self._task(name, trainings) for name in self.part["tasks"])
        for source in sources:
            for task in tasks:
                self._check_unseen(source, task)
        if not _compared(sources, self.part["baseline"], self.part["robust"]):
            raise UserError(
                f"{self.key}.sources: no architecture has both trainings that are compared, "
                f"'{self.part['baseline']}' and '{self.part['robust']}'; add one."
            )
        return DetectionStudy(
            name=self.name,
            sources=sources,
            tasks=tasks,
            baseline=self.part["baseline"],
            robust=self.part["robust"],
            evaluation_attacks=self.evaluation_attacks(),
            evaluation_images=self.config["evaluation"]["images"],
        )

    def _sources(self) -> Iterator[TransferSource]:
        found = list(EfficiencyReader(self.config, self.name).sources())
        twice = repeated([(source.model, source.training) for source in found])
        if twice:
            raise UserError(
                f"{self.key}.sources: {' with training '.join(twice[0])} stands twice; its rows "
                "could not be told apart. Give one of them another `training`."
            )
        for source in found:
            own = source.recipe, source.seed_blocks, source.model, source.training
            if isinstance(source.recipe, SourceRecipe):
                attack = source.recipe.training.attack
                norm, epsilon = (attack.norm, attack.epsilon) if attack else ("", 0.0)
                yield TransferSource(*own, norm, epsilon)
                continue
            yield TransferSource(*own, *trained_against(self.config, source.recipe.name))

    def _check_unseen(self, source: TransferSource, task: DetectionTask) -> None:
        """Refuse composed scenes out of images that a source was trained on."""
        composed = task.recipe.data.composed
        if composed is None or not isinstance(source.recipe, SourceRecipe):
            return
        for dataset, classes, what in (
            (composed.objects, composed.object_classes, "objects"),
            (composed.backgrounds, composed.background_classes, "backgrounds"),
        ):
            shared = sorted(set(classes) & set(source.recipe.view.classes))
            if dataset == source.recipe.view.dataset and shared:
                raise UserError(
                    f"{self.key}.tasks.{task.name}: sources are trained on {', '.join(shared)}, "
                    f"which are among the {what} of its data; give the data other classes."
                )

    def _task(self, name: str, trainings: tuple[str, ...]) -> DetectionTask:
        part = self.part["tasks"][name]
        key = f"{self.key}.tasks.{name}"
        chosen = tuple(part.get("trainings", trainings))
        unknown = [item for item in chosen if item not in trainings]
        if unknown:
            raise UserError(
                f"{key}.trainings: '{unknown[0]}' is not in the study; there are "
                f"{', '.join(trainings)}."
            )
        for role in ("baseline", "robust"):
            if self.part[role] not in chosen:
                raise UserError(
                    f"{key}.trainings: the {role}, '{self.part[role]}', is missing; every task "
                    "compares it."
                )
        detector = dict(part["detector"])
        levels, anchors = detector.get("levels", 4), detector["anchors"]
        if len(anchors) not in (levels, levels + 1):
            raise UserError(
                f"{key}.detector.anchors: {len(anchors)} sizes for {levels} levels; give one a "
                "level, or one more for a pooled level."
            )
        for field in ("anchors", "decays"):
            if field in detector:
                detector[field] = tuple(detector[field])
        if "learning_rate" in detector:
            detector["learning_rate"] = float(detector["learning_rate"])
        data = self._data(part["data"], f"{key}.data")
        if part["masks"] and data.voc is not None:
            raise UserError(
                f"{key}.masks: Pascal VOC is read for its boxes; use masks: false, or data in "
                "COCO's format."
            )
        recipe = DetectorRecipe(data=data, masks=part["masks"], **detector)
        if recipe.min_size > recipe.max_size:
            raise UserError(
                f"{key}.detector: min_size ({recipe.min_size}) is above max_size "
                f"({recipe.max_size})."
            )
        return DetectionTask(name, recipe, chosen)

    def _data(self, name: str, key: str) -> DetectionDataRecipe:
        known = self.config["data"].get("detection", {})
        if name not in known:
            raise UserError(
                f"{key}: no '{name}' in `data.detection`; there are {', '.join(known) or 'none'}."
            )
        part = known[name]
        where = f"data.detection.{name}"
        kinds = [kind for kind in KINDS if kind in part]
        if len(kinds) != 1:
            raise UserError(f"{where}: give exactly one of {', '.join(KINDS)}.")
        areas = tuple(part.get("areas", (32, 96)))
        if areas[0] >= areas[1]:
            raise UserError(f"{where}.areas: the first side must be below the second.")
        if "composed" in part:
            return DetectionDataRecipe(
                name, composed=self._composed(part["composed"], f"{where}.composed"), areas=areas
            )
        if "coco" in part:
            train, val = part["coco"]["train"], part["coco"]["val"]
            coco = CocoRecipe(
                train_annotations=train["annotations"],
                train_images=train["images"],
                val_annotations=val["annotations"],
                val_images=val["images"],
                sha256=tuple(_digest(Path(split["annotations"])) for split in (train, val)),
            )
            return DetectionDataRecipe(name, coco=coco, areas=areas)
        root, train, val = (part["voc"][field] for field in ("root", "train", "val"))
        shared = sorted(set(train) & set(val))
        if shared:
            raise UserError(f"{where}.voc: {shared[0]} is in train and in val.")
        lists = [voc_list(root, item) for item in (*train, *val)]
        voc = VocRecipe(root, tuple(train), tuple(val), tuple(map(_digest, lists)))
        return DetectionDataRecipe(name, voc=voc, areas=areas)

    def _composed(self, part: Mapping[str, Any], key: str) -> ComposedRecipe:
        fields = dict(part)
        for field in ("objects", "backgrounds"):
            fields[field] = self.dataset(part[field], f"{key}.{field}")
        for field in ("object_classes", "background_classes", "objects_per_image", "scales"):
            fields[field] = tuple(part[field])
        recipe = ComposedRecipe(**fields)
        for field in ("objects_per_image", "scales"):
            low, high = getattr(recipe, field)
            if low > high:
                raise UserError(f"{key}.{field}: {low} is above {high}.")
        if recipe.scales[1] > recipe.size:
            raise UserError(
                f"{key}.scales: objects of {recipe.scales[1]} pixels do not fit a canvas of "
                f"{recipe.size}."
            )
        return recipe


def _digest(path: Path) -> str:
    """SHA-256 of a file; without it a study can be planned, not made."""
    if not path.is_file():
        return MISSING
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
