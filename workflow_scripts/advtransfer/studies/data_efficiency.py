"""The study of Utrera et al.: sources transferred with few images, epochs and unfrozen blocks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..addresses import Seeds
from ..attacks.recipe import AttackRecipe, attack_label
from ..config import Config
from ..data.view_recipe import ViewRecipe
from ..errors import UserError
from ..metrics.similarity_recipe import SimilarityRecipe
from ..training.evaluation_recipe import EvaluationRecipe
from ..training.imported_recipe import ImportedRecipe, Network
from ..training.recipe import SourceRecipe, TrainingRecipe
from ..transfer.modes import has_moving_statistics
from ..transfer.recipe import ModeRecipe
from ..transfer.subsets_recipe import SubsetsRecipe, cached_features
from .checkpoints import models_of, read_checkpoint
from .reader import (
    IndexRow,
    Reader,
    evaluation_of_source,
    files_of,
    index_of,
    number_blocks,
    recipes_of,
    repeated,
    seed_blocks,
    selection_warning,
    training_in_words,
    trainings_of,
)

ALL = "all"  # blocks: the whole network is trained


@dataclass(frozen=True)
class EfficiencySource:
    """A source of the study, and what the tables call it."""

    recipe: Network
    seed_blocks: tuple[Seeds, ...]
    model: str
    training: str

    @property
    def robust(self) -> bool | None:
        """Whether it was trained adversarially; None: it was imported, only its name may say so."""
        if isinstance(self.recipe, ImportedRecipe):
            return None
        return self.recipe.training.attack is not None

    @property
    def family(self) -> str:
        return self.recipe.model.family


@dataclass(frozen=True)
class EfficiencyTarget:
    """A target task: what subsets are drawn from, and what measures them."""

    name: str
    train: ViewRecipe
    test: ViewRecipe


@dataclass(frozen=True)
class Cell:
    """A part of the transfer grid that one job makes for a block of a source's seeds."""

    grid: str
    target: EfficiencyTarget
    blocks: str  # how many are unfrozen, or "all"
    recipe: SubsetsRecipe


@dataclass(frozen=True)
class Grid:
    """One way to transfer, to which subsets, by which sources."""

    name: str
    modes: tuple[tuple[str, ModeRecipe], ...]  # unfrozen blocks, mode
    images: tuple[Seeds, ...]
    subset_seeds: tuple[Seeds, ...]
    trainings: tuple[str, ...]
    targets: tuple[EfficiencyTarget, ...]
    attacks: tuple[AttackRecipe, ...]
    attacked_images: int

    def cells(self) -> Iterator[Cell]:
        for target in self.targets:
            for blocks, mode in self.modes:
                for images in self.images:
                    for seeds in self.subset_seeds:
                        recipe = SubsetsRecipe(
                            target.train,
                            target.test,
                            mode,
                            images,
                            seeds,
                            self.attacks,
                            self.attacked_images,
                        )
                        yield Cell(self.name, target, blocks, recipe)


@dataclass(frozen=True)
class EfficiencyStudy:
    """What the study needs; it owns no computation."""

    name: str
    sources: tuple[EfficiencySource, ...]
    targets: tuple[EfficiencyTarget, ...]
    grids: tuple[Grid, ...]
    figures: Mapping[str, tuple[str, ...]]  # role in the figures: grids that play it
    baseline: str  # training that all others are compared with
    robust: str  # the adversarial training that the main figures show
    evaluation_attacks: tuple[AttackRecipe, ...]
    evaluation_images: int
    similarity_images: int

    def evaluation(self, source: EfficiencySource) -> EvaluationRecipe | None:
        """None: what an imported source was trained on is not at hand."""
        attacks, images = self.evaluation_attacks, self.evaluation_images
        return evaluation_of_source(source.recipe, attacks, images)

    def cells(self, source: EfficiencySource) -> Iterator[Cell]:
        for grid in self.grids:
            if source.training in grid.trainings:
                yield from grid.cells()

    def similarities(
        self, source: EfficiencySource
    ) -> Iterator[tuple[EfficiencyTarget, SimilarityRecipe]]:
        """Every target, in the features of the sources with the baseline's training."""
        if source.training != self.baseline or isinstance(source.recipe, ImportedRecipe):
            return
        view = source.recipe.view
        own = ViewRecipe(
            view.dataset, "test", view.classes, images=self.similarity_images, size=view.size
        )
        for target in self.targets:
            yield target, SimilarityRecipe(own, target.test)

    def artefacts(self, source: EfficiencySource) -> Iterator[tuple[str, str, Any, str]]:
        """What is made of a block of a source's seeds: stage, label, recipe, suffix of the file."""
        evaluation = self.evaluation(source)
        if evaluation is not None:
            yield "evaluations", "", evaluation, "csv"
        for cell in self.cells(source):
            label = f" -> {cell.target.name}"
            features = cached_features(cell.recipe)
            if features is not None:
                yield "features", f"{label}, cut before {cell.blocks} blocks", features, "h5"
            yield "subsets", f"{label}, {cell.grid}, {cell.blocks} blocks", cell.recipe, "csv"
        for target, similarity in self.similarities(source):
            yield "similarity", f" -> {target.name}", similarity, "csv"

    def recipes(self) -> Iterator[Any]:
        return recipes_of(self)

    def index(self) -> Iterator[IndexRow]:
        return index_of(self)

    def files(self) -> list[str]:
        return files_of(self)

    def figure_values(self) -> Mapping[str, Any]:
        return {
            "model": self.sources[0].model,  # of several architectures figures show the first
            "baseline": self.baseline,
            "robust": self.robust,
            "grids": {role: list(names) for role, names in self.figures.items()},
            "targets": {t.name: list(t.train.classes) for t in self.targets},
            "trainings": list(dict.fromkeys(source.training for source in self.sources)),
        }

    def page_values(self, config: Config) -> dict[str, Any]:
        part = config["studies"][self.name]
        facts: dict[str, Any] = {}
        if "images" in part["sources"]:
            facts["training images of a source"] = part["sources"]["images"]
        facts["models"] = list(dict.fromkeys(source.model for source in self.sources))
        facts["source seeds"] = max(sum(map(len, s.seed_blocks)) for s in self.sources)
        for target in self.targets:
            facts[f"target {target.name}"] = (
                f"{target.train.images} images to draw from, {target.test.images} test images"
            )
        for source in self.sources:
            if isinstance(source.recipe, SourceRecipe):
                facts[f"training {source.training}"] = training_in_words(source.recipe.training)
        for grid in self.grids:
            sizes = [n for block in grid.images for n in block]
            seeds = sum(map(len, grid.subset_seeds))
            mode = grid.modes[0][1]
            how = "solved" if mode.training is None else f"SGD, {mode.training.epochs} epochs"
            moving = ", moving batch norm statistics" if has_moving_statistics(mode) else ""
            facts[f"grid {grid.name}"] = (
                f"{', '.join(blocks for blocks, _ in grid.modes)} unfrozen blocks; {how}{moving}; "
                f"{', '.join(map(str, sizes))} images; {seeds} subset seeds; "
                f"{len(grid.trainings)} trainings"
            )
            if grid.attacks:
                facts[f"attacks of {grid.name}"] = [
                    attack_label(attack).replace("_", "/") for attack in grid.attacks
                ]
        facts["arithmetic"] = config["precision"]
        modes = [mode for grid in self.grids for _, mode in grid.modes]
        trainings = trainings_of(self.sources) + [m.training for m in modes if m.training]
        facts.update(selection_warning(trainings))
        return {**self.figure_values(), "facts": facts}


def _one_seed(grid: Grid) -> Grid:
    """A grid with one block of subset seeds: one cell for each that differs otherwise."""
    return dataclasses.replace(grid, subset_seeds=grid.subset_seeds[:1])


def _is_untrained(source: EfficiencySource) -> bool:
    return isinstance(source.recipe, SourceRecipe) and source.recipe.training.epochs == 0


class EfficiencyReader(Reader):
    """The part of the configuration of such a study."""

    @staticmethod
    def used(config: Config, own: Config) -> dict[str, set[str]]:
        """Names of models, trainings, ... that decide the study's tables."""
        sources = own["sources"]
        imported = sources.get("checkpoints", [])
        attacks = {grid["attacks"] for grid in own["grids"].values() if "attacks" in grid}
        datasets = {target["dataset"] for target in own["targets"].values()}
        return {
            "models": {*sources.get("models", []), *models_of(config, imported)},
            "trainings": set(sources.get("trainings", [])),
            "checkpoints": set(imported),
            "transfers": set(),
            "attacks": attacks | {config["evaluation"]["attacks"]},
            "datasets": datasets | ({sources["dataset"]} if "dataset" in sources else set()),
        }

    def study(self) -> EfficiencyStudy:
        sources = tuple(self.sources())
        twice = repeated([(source.model, source.training) for source in sources])
        if twice:
            raise UserError(
                f"{self.key}.sources: {' with training '.join(twice[0])} stands twice; its rows "
                "could not be told apart. Give one of them another `training`."
            )
        trainings = tuple(dict.fromkeys(source.training for source in sources))
        targets = tuple(self._target(name) for name in self.part["targets"])
        for source in sources:
            if isinstance(source.recipe, SourceRecipe):
                for target in targets:
                    self.check_disjoint(source.recipe.view, target.name, target.train)
        for role in ("baseline", "robust"):
            if self.part[role] not in trainings:
                raise UserError(
                    f"{self.key}.{role}: no source has training '{self.part[role]}'; there are "
                    f"{', '.join(trainings)}."
                )
        if self.part["baseline"] == self.part["robust"]:
            raise UserError(f"{self.key}.robust: must be another training than the baseline.")
        grids = tuple(self._grid(name, trainings, targets) for name in self.part["grids"])
        figures = {role: tuple(names) for role, names in self.part["figures"].items()}
        for role, names in figures.items():
            unknown = [name for name in names if name not in self.part["grids"]]
            if unknown:
                raise UserError(
                    f"{self.key}.figures.{role}: no '{unknown[0]}' in {self.key}.grids; there are "
                    f"{', '.join(self.part['grids'])}."
                )
        self._check_figures(figures, {grid.name: grid for grid in grids}, sources)
        return EfficiencyStudy(
            name=self.name,
            sources=sources,
            targets=targets,
            grids=grids,
            figures=figures,
            baseline=self.part["baseline"],
            robust=self.part["robust"],
            evaluation_attacks=self.evaluation_attacks(),
            evaluation_images=self.config["evaluation"]["images"],
            similarity_images=self.part["similarity_images"],
        )

    def _check_figures(
        self,
        figures: Mapping[str, tuple[str, ...]],
        grids: Mapping[str, Grid],
        sources: tuple[EfficiencySource, ...],
    ) -> None:
        """Refuse what a figure would average over although it differs."""
        for role, names in figures.items():
            places = [
                (cell.target.name, cell.blocks, images)
                for name in names
                for cell in _one_seed(grids[name]).cells()
                for images in cell.recipe.images
            ]
            if twice := repeated(places):
                target, blocks, images = twice[0]
                raise UserError(
                    f"{self.key}.figures.{role}: two of its grids transfer {images} images of "
                    f"'{target}' with {blocks} unfrozen blocks; name one of them."
                )
        trained = {s.training for s in sources if not _is_untrained(s)}
        for name in figures.get("scratch", ()):
            known = trained & set(grids[name].trainings)
            if known or len(grids[name].modes) > 1:
                raise UserError(
                    f"{self.key}.figures.scratch: '{name}' is no training from scratch: give it "
                    "one entry of blocks, and only trainings with epochs: 0."
                )

    def sources(self) -> Iterator[EfficiencySource]:
        """Models with every training, then checkpoints."""
        part = self.part["sources"]
        key = f"{self.key}.sources"
        models, trainings = part.get("models", []), part.get("trainings", [])
        if models or trainings:
            missing = [k for k in ("dataset", "classes", "images", "seeds") if k not in part]
            if missing:
                raise UserError(f"{key}.{missing[0]} is missing: models are trained on it.")
            view = self.view(part, part["classes"], "train", part["images"])
            blocks = seed_blocks(part["seeds"], key)
            for model in models:
                for training in trainings:
                    recipe = self.network(view, model, training, key)
                    yield EfficiencySource(recipe, blocks, model, training)
        for name in part.get("checkpoints", []):
            imported, model, training = read_checkpoint(self, name, f"{key}.checkpoints")
            yield EfficiencySource(imported, ((0,),), model, training)
        if not (models and trainings) and not part.get("checkpoints"):
            raise UserError(f"{key}: name models and trainings, or checkpoints.")

    def _target(self, name: str) -> EfficiencyTarget:
        part = self.part["targets"][name]
        return EfficiencyTarget(
            name,
            train=self.view(part, part["classes"], "train", part["images"]),
            test=self.view(part, part["classes"], "test", part["test_images"]),
        )

    def _grid(
        self, name: str, trainings: tuple[str, ...], targets: tuple[EfficiencyTarget, ...]
    ) -> Grid:
        part = self.part["grids"][name]
        key = f"{self.key}.grids.{name}"
        for field, known in (("trainings", trainings), ("targets", [t.name for t in targets])):
            unknown = [item for item in part.get(field, []) if item not in known]
            if unknown:
                raise UserError(
                    f"{key}.{field}: '{unknown[0]}' is not in the study; there are "
                    f"{', '.join(known)}."
                )
        chosen = tuple(t for t in targets if t.name in part.get("targets", [t.name]))
        sizes = number_blocks(part["images"], f"{key}.images")
        for target in chosen:
            most = max(n for block in sizes for n in block)
            if target.train.images is not None and most > target.train.images:
                raise UserError(
                    f"{key}.images: subsets of {most} images cannot be drawn from the "
                    f"{target.train.images} of target '{target.name}'."
                )
        if "attacks" in part and "attacked_images" not in part:
            raise UserError(f"{key}.attacked_images is missing: attacks need it.")
        for target in chosen:
            measured = target.test.images
            if measured is not None and part.get("attacked_images", 0) > measured:
                raise UserError(
                    f"{key}.attacked_images ({part['attacked_images']}) must not be more than the "
                    f"test images of target '{target.name}' ({measured})."
                )
        attacks = self.attack_block(part["attacks"], f"{key}.attacks") if "attacks" in part else ()
        if repeated([(attack.attack, attack.norm, attack.epsilon) for attack in attacks]):
            raise UserError(
                f"{key}.attacks: two attacks of '{part['attacks']}' differ in their steps alone; "
                "give them a grid each."
            )
        return Grid(
            name=name,
            modes=tuple((str(blocks), self._mode(part, key, blocks)) for blocks in part["blocks"]),
            images=sizes,
            subset_seeds=number_blocks(part["subset_seeds"], f"{key}.subset_seeds", "seed "),
            trainings=tuple(part.get("trainings", trainings)),
            targets=chosen,
            attacks=attacks,
            attacked_images=part.get("attacked_images", 0),
        )

    def _mode(self, part: Mapping[str, Any], key: str, blocks: int | str) -> ModeRecipe:
        solved = part["solver"] == "lbfgs"
        idle = ("training", "initial_head", "moving_statistics") if solved else ("regularizations",)
        for field in idle:
            if field in part:
                raise UserError(f"{key}.{field}: solver {part['solver']} has no use for it.")
        if solved:
            if blocks != 0:
                raise UserError(f"{key}: solver lbfgs finds heads only; use blocks: [0].")
            if "regularizations" not in part:
                raise UserError(f"{key}.regularizations is missing: solver lbfgs chooses one.")
            values = tuple(float(value) for value in part["regularizations"])
            if repeated(list(values)):
                raise UserError(f"{key}.regularizations: a value stands twice.")
            precision = self.config["precision"]["training"]
            return ModeRecipe("last_layer", "lbfgs", precision=precision, regularizations=values)
        if "training" not in part:
            raise UserError(f"{key}.training is missing: solver sgd needs it.")
        training = self._fine_tuning(part["training"], f"{key}.training")
        head = part.get("initial_head", "uniform")
        moving = part.get("moving_statistics", False)
        if blocks == 0:
            if moving != (training.batch_norm == "adapt"):
                raise UserError(
                    f"{key}: with 0 unfrozen blocks all batch norm is in the frozen part: give "
                    "batch_norm: frozen to the training, or moving_statistics: true to the grid."
                )
            return ModeRecipe("last_layer", training=training, initial_head=head)
        if moving and (blocks == ALL or training.batch_norm == "frozen"):
            raise UserError(
                f"{key}.moving_statistics: needs frozen blocks, and batch_norm: adapt in its "
                "training."
            )
        if blocks == ALL:
            return ModeRecipe("full_network", training=training, initial_head=head)
        return ModeRecipe(
            "unfrozen_blocks",
            training=training,
            blocks=int(blocks),
            initial_head=head,
            moving_statistics=moving,
        )

    def _fine_tuning(self, part: Mapping[str, Any], key: str) -> TrainingRecipe:
        training = self.training(part, key)
        if not training.epochs:
            raise UserError(f"{key}.epochs: a transfer trains for at least 1.")
        if training.checkpoint != "last" or training.validation_images:
            raise UserError(
                f"{key}: every epoch is kept, so leave out checkpoint and validation_images."
            )
        return training
