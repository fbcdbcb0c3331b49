"""What the plan, the rules and the generic steps ask of a study; it owns no computation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..advtransfer.addresses import (
    Seeds,
    block_path,
    comparison_path,
    dataset_path,
    source_path,
    view_path,
)
from ..advtransfer.attacks.recipe import AttackRecipe
from ..advtransfer.data.comparison_recipe import ComparisonRecipe
from ..advtransfer.data.view_recipe import ViewRecipe
from ..advtransfer.training.evaluation_recipe import EvaluationRecipe
from ..advtransfer.training.recipe import SourceRecipe
from ..advtransfer.transfer.compared import compared
from ..advtransfer.transfer.recipe import TransferRecipe
from ..advtransfer.transfer.subsets_recipe import SubsetsRecipe
from ..config.check import Config
from .sources import Source, Target

NOT_GATHERED = ("features", "attacks", "responses")  # stages whose files only other stages read


class Artefact(NamedTuple):
    """What is made of a block of a source's seeds."""

    stage: str
    label: str  # behind the source's name in the index
    recipe: Any
    suffix: str  # of its file


class IndexRow(NamedTuple):
    """An artefact, by the name that the configuration knows it by."""

    kind: str
    name: str
    seeds: Seeds
    path: str


@dataclass(frozen=True)
class Study:
    """Sources, targets, and what is made of them."""

    name: str
    sources: tuple[Source, ...]
    targets: tuple[Target, ...]
    evaluation_attacks: tuple[AttackRecipe, ...]
    evaluation_images: int

    # What the stages make for it ------------------------------------------------------------------

    def evaluation(self, source: Source) -> EvaluationRecipe | None:
        """Clean and robust accuracy on test images of the source's own classes.

        None for an imported source: the images that it was trained on are not at hand.
        """
        if not isinstance(source.recipe, SourceRecipe):
            return None
        view, images = source.recipe.view, self.evaluation_images
        own = ViewRecipe(view.dataset, "test", view.classes, images=images, size=view.size)
        return EvaluationRecipe(own, self.evaluation_attacks)

    def artefacts(self, source: Source) -> Iterator[Artefact]:
        """What is made of a block of a source's seeds. A study adds its own to these."""
        evaluation = self.evaluation(source)
        if evaluation is not None:
            yield Artefact("evaluations", "", evaluation, "csv")

    def comparisons(self) -> list[ComparisonRecipe]:
        """Return the comparisons of sources' images with targets' that transfers need."""
        found: dict[ComparisonRecipe, None] = {}
        for source in self.sources:
            for artefact in self.artefacts(source):
                if isinstance(artefact.recipe, TransferRecipe | SubsetsRecipe):
                    comparison = compared(source.recipe, artefact.recipe)
                    if comparison is not None:
                        found[comparison] = None
        return list(found)

    def recipes(self) -> Iterator[Any]:
        """Everything that is made for the study; what those recipes hold, the plan finds."""
        for source in self.sources:
            yield source.recipe
            for artefact in self.artefacts(source):
                yield artefact.recipe
        yield from self.comparisons()

    def index(self) -> Iterator[IndexRow]:
        """Its artefacts by the names of the configuration."""
        for source in self.sources:
            for seeds in source.seed_blocks:
                if isinstance(source.recipe, SourceRecipe):
                    yield from index_network("source", source.label, source.recipe, seeds)
                else:
                    path = source_path(source.recipe, 0, "model.safetensors")
                    yield IndexRow("source", source.label, seeds, path)
                for stage, label, recipe, suffix in self.artefacts(source):
                    path = block_path(stage, source.recipe, seeds, recipe, suffix)
                    yield IndexRow(stage, f"{source.label}{label}", seeds, path)

    def files(self) -> list[str]:
        """Every file that the study's tables are gathered from."""
        files = dict.fromkeys(map(comparison_path, self.comparisons()))
        for source in self.sources:
            for seeds in source.seed_blocks:
                if isinstance(source.recipe, SourceRecipe):
                    for seed in seeds:
                        files[source_path(source.recipe, seed, "history.csv")] = None
                for stage, _, recipe, suffix in self.artefacts(source):
                    if stage not in NOT_GATHERED:
                        files[block_path(stage, source.recipe, seeds, recipe, suffix)] = None
        return list(files)

    def class_views(self) -> Iterator[ViewRecipe]:
        """Views whose class names are checked in the plan although nothing is made of them."""
        return iter(())

    # What its own parts are given -----------------------------------------------------------------

    def settings(self, config: Config) -> Mapping[str, Any]:
        """Values that analyses, figures and the page may ask for by name, besides tables."""
        return dict(config["statistics"])

    def facts(self, config: Config) -> Mapping[str, Any]:
        """How the study was run, as its page states it: a value by its name."""
        return {}

    def figure_files(self, figure: str) -> Mapping[str, str]:
        """Artefacts that a figure shows besides tables, by name."""
        return {}


def index_network(kind: str, name: str, recipe: SourceRecipe, seeds: Seeds) -> Iterator[IndexRow]:
    """A trained network, and what it was trained on."""
    yield IndexRow("dataset", recipe.view.dataset.name, (), dataset_path(recipe.view.dataset))
    yield IndexRow("view", f"{name} training images", (), view_path(recipe.view))
    for seed in seeds:
        yield IndexRow(kind, name, (seed,), source_path(recipe, seed, "model.safetensors"))
