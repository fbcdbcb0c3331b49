"""Object detection and instance segmentation on the study's sources (Salman et al., figure 4)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...advtransfer.addresses import dataset_path
from ...advtransfer.artifacts.files import file_sha256
from ...advtransfer.data.text_lists import composed
from ...advtransfer.data.view_recipe import ViewRecipe
from ...advtransfer.detection.data_recipe import (
    CocoRecipe,
    ComposedRecipe,
    DetectionDataRecipe,
    VocRecipe,
)
from ...advtransfer.detection.formats import voc_list
from ...advtransfer.detection.paths import detection_data_path, detector_path
from ...advtransfer.detection.recipe import DetectorRecipe
from ...advtransfer.errors import UserError
from ...advtransfer.home import expanded
from ...advtransfer.training.recipe import SourceRecipe
from ...advtransfer.wording import listed
from ...config.check import Config
from ..base import IndexRow, Study
from ..facts import selection_warning, sources_in_words, trainings_of
from ..reader import StudyReader
from ..sources import (
    Source,
    check_not_baseline,
    check_once,
    check_training,
    models_and_checkpoints,
    trainings_of_names,
)

MISSING = "missing"  # instead of the digest of annotations that are not there
KINDS = ("composed", "coco", "voc")
PICTURES = "detections"  # the figure that shows images


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
class DetectionStudy(Study):
    """Detectors of every task on every source."""

    tasks: tuple[DetectionTask, ...]
    baseline: str  # training that all others are compared with
    robust: str  # the adversarial training of the pictures and of the page's verdict

    def tasks_of(self, source: Source) -> Iterator[DetectionTask]:
        for task in self.tasks:
            if source.training in task.trainings:
                yield task

    def detectors(self) -> Iterator[tuple[Source, DetectionTask, int]]:
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

    def recipes(self) -> Iterator[Any]:
        yield from super().recipes()
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
        yield from super().index()
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
        return [*super().files(), *dict.fromkeys(detectors)]

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

    def settings(self, config: Config) -> Mapping[str, Any]:
        return {
            **super().settings(config),
            "model": self.model,
            "baseline": self.baseline,
            "robust": self.robust,
            "trainings": trainings_of_names(self.sources),
            "tasks": {task.name: _title(task) for task in self.tasks},
            "areas": {task.name: list(task.recipe.data.areas) for task in self.tasks},
            "pictured": self.pictured()[0].name,
        }

    def figure_files(self, figure: str) -> Mapping[str, str]:
        """Of the figure of pictures: the data, and predictions by the training of their source."""
        if figure != PICTURES:
            return {}
        task, predictions = self.pictured()
        named = {f"predictions:{training}": path for training, path in predictions.items()}
        return {"data": detection_data_path(task.recipe.data), **named}

    def facts(self, config: Config) -> Mapping[str, Any]:
        facts = sources_in_words(config["studies"][self.name], self.sources)
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
        return facts | selection_warning(trainings_of(self.sources))


def _compared(sources: Iterable[Source], *trainings: str) -> list[str]:
    """Architectures that have all of the trainings."""
    found: dict[str, set[str]] = {}
    for source in sources:
        found.setdefault(source.model, set()).add(source.training)
    return [model for model, own in found.items() if own.issuperset(trainings)]


def _title(task: DetectionTask) -> str:
    kind = "Mask R-CNN" if task.recipe.masks else "Faster R-CNN"
    return f"{kind}, {task.recipe.data.name}"


class Reader(StudyReader):
    """The part of the configuration of such a study."""

    def study(self) -> DetectionStudy:
        sources = tuple(models_and_checkpoints(self))
        check_once(self, sources, "Give one of them another `training`.")
        trainings = tuple(trainings_of_names(sources))
        for role in ("baseline", "robust"):
            check_training(self, role, trainings)
        check_not_baseline(self)
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
            targets=(),  # detectors have tasks
            tasks=tasks,
            baseline=self.part["baseline"],
            robust=self.part["robust"],
            evaluation_attacks=self.evaluation_attacks(),
            evaluation_images=self.config["evaluation"]["images"],
        )

    def _check_unseen(self, source: Source, task: DetectionTask) -> None:
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
                    f"{self.key}.tasks.{task.name}: sources are trained on {listed(shared)}, "
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
        part = self.lookup("data.detection", name, key)
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
                sha256=tuple(_digest(expanded(split["annotations"])) for split in (train, val)),
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
            fields[field] = composed(tuple(part[field]))
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
    return file_sha256(path) if os.path.isfile(path) else MISSING
