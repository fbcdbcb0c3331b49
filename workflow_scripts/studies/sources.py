"""Sources and targets of every study, and how sources are read from the configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..advtransfer.addresses import Seeds
from ..advtransfer.data.view_recipe import ViewRecipe
from ..advtransfer.errors import UserError
from ..advtransfer.training.imported_recipe import ImportedRecipe, Network
from ..advtransfer.training.recipe import SourceRecipe
from ..advtransfer.transfer.recipe import TransferRecipe
from .checkpoints import read_checkpoint, trained_against
from .reader import StudyReader, repeated, seed_blocks


@dataclass(frozen=True)
class Source:
    """A source of a study: a recipe, its blocks of seeds, and what the tables call it."""

    recipe: Network
    seed_blocks: tuple[Seeds, ...]
    model: str
    training: str
    norm: str = ""  # of its adversarial training: "l2" or "linf"; "": natural, or not known
    epsilon: float | None = 0.0  # of its adversarial training; 0: natural; None: not known
    mixture: str = ""  # of classes, that it was trained on
    animals: float | None = None  # per cent of the mixture

    @property
    def robust(self) -> bool | None:
        """Whether it was trained adversarially; None: imported, and the config does not say."""
        return None if self.epsilon is None else self.epsilon > 0

    @property
    def family(self) -> str:
        return self.recipe.model.family

    @property
    def label(self) -> str:
        """Its name in the index."""
        return "/".join(filter(None, (self.mixture, self.model, self.training)))


@dataclass(frozen=True)
class Reference:
    """A reference architecture on one target, with its blocks of seeds."""

    recipe: SourceRecipe
    model: str
    seed_blocks: tuple[Seeds, ...]


@dataclass(frozen=True)
class Target:
    """A target task, and how the study's sources are carried over to it."""

    name: str
    train: ViewRecipe
    test: ViewRecipe
    transfers: tuple[TransferRecipe, ...] = ()  # of whole targets: one recipe a trial
    metric: str = "accuracy"  # the column of the tables that it is scored by
    attacked: ViewRecipe | None = None  # of studies with references
    references: tuple[Reference, ...] = ()  # trained on ``train``


def trained_sources(
    reader: StudyReader,
    view: ViewRecipe,
    pairs: Sequence[tuple[str, str]],
    seeds: list[list[int]],
    key: str,
    mixture: str = "",
    animals: float | None = None,
) -> Iterator[Source]:
    """A source for every pair of a model and a training, trained on a view.

    Args:
        key: where the configuration names them, for messages.
    """
    blocks = seed_blocks(seeds, key)
    for model, training in pairs:
        recipe = reader.network(view, model, training, key)
        attack = recipe.training.attack
        norm, epsilon = (attack.norm, attack.epsilon) if attack else ("", 0.0)
        yield Source(recipe, blocks, model, training, norm, epsilon, mixture, animals)


def imported_sources(reader: StudyReader) -> Iterator[Source]:
    """The sources of a study that are `checkpoints`."""
    for name in reader.part["sources"].get("checkpoints", []):
        recipe, model, training = read_checkpoint(reader, name, f"{reader.key}.sources.checkpoints")
        yield Source(recipe, ((0,),), model, training, *trained_against(reader.config, name))


def models_and_checkpoints(reader: StudyReader) -> Iterator[Source]:
    """Sources of a study that names models, trainings and checkpoints: every model with every
    training, then the checkpoints.

    Raises:
        UserError: there are none, or keys are missing that models are trained with.
    """
    part, key = reader.part["sources"], f"{reader.key}.sources"
    models, trainings = part.get("models", []), part.get("trainings", [])
    if models or trainings:
        missing = [k for k in ("dataset", "classes", "images", "seeds") if k not in part]
        if missing:
            raise UserError(f"{key}.{missing[0]} is missing: models are trained on it.")
        view = reader.view(part, part["classes"], "train", part["images"])
        pairs = [(model, training) for model in models for training in trainings]
        yield from trained_sources(reader, view, pairs, part["seeds"], key)
    yield from imported_sources(reader)
    if not (models and trainings) and not part.get("checkpoints"):
        raise UserError(f"{key}: name models and trainings, or checkpoints.")


def groups_and_checkpoints(reader: StudyReader) -> Iterator[Source]:
    """Sources of a study that names groups: every group's models with every of its trainings, then
    the checkpoints.

    Raises:
        UserError: there are none, or keys are missing that the groups are trained with.
    """
    part, key = reader.part["sources"], f"{reader.key}.sources"
    groups = part.get("groups", {})
    if not groups and not part.get("checkpoints"):
        raise UserError(f"{key}: name groups of models and trainings, or checkpoints.")
    if groups:
        missing = [name for name in ("dataset", "classes", "images") if name not in part]
        if missing:
            raise UserError(f"{key}.{missing[0]} is missing: the groups' models train on it.")
        view = reader.view(part, part["classes"], "train", part["images"])
    for name, group in groups.items():
        pairs = [(model, t) for model in group["models"] for t in group["trainings"]]
        yield from trained_sources(reader, view, pairs, group["seeds"], f"{key}.groups.{name}")
    yield from imported_sources(reader)


def check_once(reader: StudyReader, sources: Sequence[Source], way_out: str) -> None:
    """Refuse two sources of one name, whose rows in the tables could not be told apart."""
    twice = repeated([(source.model, source.training) for source in sources])
    if twice:
        raise UserError(
            f"{reader.key}.sources: {' with training '.join(twice[0])} stands twice; its rows "
            f"could not be told apart. {way_out}"
        )


def check_training(reader: StudyReader, key: str, trainings: Sequence[str]) -> None:
    """Refuse a role, such as the baseline, for a training that no source of the study has."""
    if reader.part[key] not in trainings:
        raise UserError(
            f"{reader.key}.{key}: no source has training '{reader.part[key]}'; there are "
            f"{', '.join(trainings)}."
        )


def check_not_baseline(reader: StudyReader) -> None:
    """Refuse a study that would compare the baseline with itself."""
    if reader.part["baseline"] == reader.part["robust"]:
        raise UserError(f"{reader.key}.robust: must be another training than the baseline.")


def trainings_of_names(sources: Sequence[Source]) -> list[str]:
    """Names of the sources' trainings, each once, in their order."""
    return list(dict.fromkeys(source.training for source in sources))


def check_unseen(reader: StudyReader, sources: Sequence[Source], targets: Sequence[Target]) -> None:
    """Refuse sources that were trained on images of a target."""
    for source in sources:
        if isinstance(source.recipe, ImportedRecipe):
            continue  # what it was trained on is not known
        for target in targets:
            reader.check_disjoint(source.recipe.view, target.name, target.train)
