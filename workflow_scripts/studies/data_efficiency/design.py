"""The study of Utrera et al.: sources transferred with few images, epochs and unfrozen blocks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...advtransfer.addresses import Seeds
from ...advtransfer.attacks.recipe import AttackRecipe, attack_label
from ...advtransfer.data.view_recipe import ViewRecipe
from ...advtransfer.errors import UserError
from ...advtransfer.metrics.similarity_recipe import SimilarityRecipe
from ...advtransfer.training.imported_recipe import ImportedRecipe
from ...advtransfer.training.recipe import SourceRecipe, TrainingRecipe
from ...advtransfer.transfer.modes import has_moving_statistics
from ...advtransfer.transfer.recipe import ModeRecipe
from ...advtransfer.transfer.subsets_recipe import SubsetsRecipe, cached_features
from ...config.check import Config
from ..base import Artefact, Study
from ..facts import selection_warning, sources_in_words, training_in_words, trainings_of
from ..reader import StudyReader, number_blocks, repeated
from ..sources import (
    Source,
    Target,
    check_not_baseline,
    check_once,
    check_training,
    check_unseen,
    models_and_checkpoints,
    trainings_of_names,
)

ALL = "all"  # blocks: the whole network is trained


@dataclass(frozen=True)
class Cell:
    """A part of the transfer grid that one job makes for a block of a source's seeds."""

    grid: str
    target: Target
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
    targets: tuple[Target, ...]
    attacks: tuple[AttackRecipe, ...]
    attacked_images: int
    shared_images: str

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
                            self.shared_images,
                        )
                        yield Cell(self.name, target, blocks, recipe)


@dataclass(frozen=True)
class EfficiencyStudy(Study):
    """Parts of the transfer grid of every source, and how figures show them."""

    grids: tuple[Grid, ...]
    figures: Mapping[str, tuple[str, ...]]  # role in the figures: grids that play it
    baseline: str  # training that all others are compared with
    robust: str  # the adversarial training that the main figures show
    similarity_images: int

    def cells(self, source: Source) -> Iterator[Cell]:
        for grid in self.grids:
            if source.training in grid.trainings:
                yield from grid.cells()

    def similarities(self, source: Source) -> Iterator[tuple[Target, SimilarityRecipe]]:
        """Every target, in the features of the sources with the baseline's training."""
        if source.training != self.baseline or isinstance(source.recipe, ImportedRecipe):
            return
        view = source.recipe.view
        own = ViewRecipe(
            view.dataset, "test", view.classes, images=self.similarity_images, size=view.size
        )
        for target in self.targets:
            yield target, SimilarityRecipe(own, target.test)

    def artefacts(self, source: Source) -> Iterator[Artefact]:
        yield from super().artefacts(source)
        for cell in self.cells(source):
            label = f" -> {cell.target.name}"
            features = cached_features(cell.recipe)
            if features is not None:
                cut = f"{label}, cut before {cell.blocks} blocks"
                yield Artefact("features", cut, features, "h5")
            part = f"{label}, {cell.grid}, {cell.blocks} blocks"
            yield Artefact("subsets", part, cell.recipe, "csv")
        for target, similarity in self.similarities(source):
            yield Artefact("similarity", f" -> {target.name}", similarity, "csv")

    def settings(self, config: Config) -> Mapping[str, Any]:
        return {
            **super().settings(config),
            "model": self.sources[0].model,  # of several architectures figures show the first
            "baseline": self.baseline,
            "robust": self.robust,
            "grids": {role: list(names) for role, names in self.figures.items()},
            "targets": {t.name: list(t.train.classes) for t in self.targets},
            "trainings": trainings_of_names(self.sources),
        }

    def facts(self, config: Config) -> Mapping[str, Any]:
        facts = sources_in_words(config["studies"][self.name], self.sources)
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
        return facts | selection_warning(trainings)


def _one_seed(grid: Grid) -> Grid:
    """A grid with one block of subset seeds: one cell for each that differs otherwise."""
    return dataclasses.replace(grid, subset_seeds=grid.subset_seeds[:1])


def _is_untrained(source: Source) -> bool:
    return isinstance(source.recipe, SourceRecipe) and source.recipe.training.epochs == 0


class Reader(StudyReader):
    """The part of the configuration of such a study."""

    def study(self) -> EfficiencyStudy:
        sources = tuple(models_and_checkpoints(self))
        check_once(self, sources, "Give one of them another `training`.")
        trainings = tuple(trainings_of_names(sources))
        targets = tuple(self._target(name) for name in self.part["targets"])
        check_unseen(self, sources, targets)
        for role in ("baseline", "robust"):
            check_training(self, role, trainings)
        check_not_baseline(self)
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
        sources: tuple[Source, ...],
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

    def _target(self, name: str) -> Target:
        part = self.part["targets"][name]
        return Target(
            name,
            train=self.view(part, part["classes"], "train", part["images"]),
            test=self.view(part, part["classes"], "test", part["test_images"]),
        )

    def _grid(self, name: str, trainings: tuple[str, ...], targets: tuple[Target, ...]) -> Grid:
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
            shared_images=self.shared_images(),
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
