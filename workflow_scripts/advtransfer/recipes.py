"""What an artefact is made from: typed, frozen recipes and their canonical JSON.

A recipe holds everything that decides the bytes of an artefact, its upstream recipes included, and
nothing else: no device, threads, paths of results or labels. Its digest is part of the artefact's
path, and its canonical JSON is the one science parameter of a Snakemake rule.

A field that has its default value is left out of the JSON. So a new hyper-parameter that gets a
neutral default (the behaviour before it existed) changes no digest; a field whose *meaning* changes
needs a new name.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .errors import UserError

R = TypeVar("R")
T = TypeVar("T")
Parameters = dict[str, Any]
FREE_ATTACKS = ("fgsm", "pgd")  # whose step is the one that free adversarial training takes


@dataclass(frozen=True)
class DatasetRecipe:
    """One dataset as a whole. ``name`` is a module of ``advtransfer.data.datasets``."""

    name: str
    path: str | None = None  # hdf5_pack: the file; image_folder: the folder
    # hdf5_pack: the file's content, so that another file is another recipe; image_folder: names and
    # sizes of the files.
    sha256: str | None = None
    size: int | None = None  # photographs: pixels a side that they are decoded to
    # image_folder without train/ and test/: so many of each class train, or the file that lists the
    # test images.
    split: int | str | None = None


@dataclass(frozen=True)
class ViewRecipe:
    """A fixed selection of images. Labels are positions in ``label_names``."""

    dataset: DatasetRecipe
    split: str
    classes: tuple[str, ...]
    images: int | None = None  # as even over the classes as it can be; None: all
    half: int | None = None  # 0 or 1: one of two disjoint halves of every class
    subset_seed: int = 0
    size: int | None = None  # pixels a side after resizing; None: as stored
    detail: int | None = None  # pixels a side that images are reduced to first; None: not
    superclasses: tuple[str, ...] = ()  # the superclass of every class, if those are the labels

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the labels in their order: the classes, or superclasses as they first occur."""
        return tuple(dict.fromkeys(self.superclasses)) or self.classes


@dataclass(frozen=True)
class ModelRecipe:
    """An architecture. ``family`` is a module of ``advtransfer.models.families``."""

    family: str
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True)
class AttackRecipe:
    """One attack at one strength. ``attack`` is a module of ``advtransfer.attacks``.

    Epsilon and step size are in pixel units, images being in [0, 1].
    """

    attack: str
    norm: str  # "linf" or "l2"
    epsilon: float
    steps: int = 1
    step_size: float | None = None  # None: the attack's own rule
    random_start: bool = False
    restarts: int = 1
    tolerance: float = 0.0  # images that rise by less than this share leave the batch; 0: none
    labels: str = "predicted"  # or "true"
    precision: str = "fp32"


@dataclass(frozen=True)
class TrainingRecipe:
    """How a network is fitted. ``attack`` makes it adversarial training (Madry et al. 2018)."""

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    schedule: str = "cosine"  # "one_cycle", "cosine", "step", "constant"
    augmentation: str = "none"  # "crop_flip", "resized_crop_flip" or "none"
    attack: AttackRecipe | None = None
    validation_images: int = 0  # held out of the training view
    checkpoint: str = "last"  # or "best_on_validation", "best_on_test" (the papers' choice)
    batch_norm: str = "adapt"  # "frozen": statistics stay as they are
    precision: str = "fp32"
    # Free adversarial training (Shafahi et al. 2019): every batch is used so many times in a row,
    # the perturbation goes on from one to the next; 0: the attack as it stands.
    replays: int = 0


@dataclass(frozen=True)
class SourceRecipe:
    """A trained network: a source or a reference model, they are made alike."""

    view: ViewRecipe
    model: ModelRecipe
    training: TrainingRecipe
    test: ViewRecipe | None = None  # only for checkpoint: best_on_test


@dataclass(frozen=True)
class ImportedRecipe:
    """A source that another program trained; ``name`` says what it is, its bytes what it does.

    Published weights are known by ``pretrained``; what it leaves open, they bring along: classes
    and normaliser, and ``sha256`` where the publisher's own name of a file pins it.
    """

    name: str
    sha256: str
    model: ModelRecipe
    classes: tuple[str, ...]
    size: int
    mean: tuple[float, ...] = ()  # of the normaliser that its training had
    std: tuple[float, ...] = ()
    pretrained: str = ""  # where it is published, such as "timm/resnet50.a1_in1k"; "": a file


@dataclass(frozen=True)
class EvaluationRecipe:
    """Clean and robust accuracy of a source on test images of its own classes."""

    view: ViewRecipe
    attacks: tuple[AttackRecipe, ...]


@dataclass(frozen=True)
class ModeRecipe:
    """One way to carry a network over to a target."""

    mode: str  # "last_layer", "unfrozen_blocks" or "full_network"
    solver: str = "sgd"  # last_layer only: "lbfgs" solves the head on cached features
    regularization: float = 0.0  # lbfgs only: l2 penalty on the weights, per image
    training: TrainingRecipe | None = None  # sgd only
    blocks: int = 0  # unfrozen_blocks only: the last so many that have weights are trained too
    precision: str = "fp32"  # lbfgs only: of the features that the head is solved on
    regularizations: tuple[float, ...] = ()  # lbfgs only: one is chosen on held-out training images
    initial_head: str = "uniform"  # sgd only; "normal": N(0, 1) and no bias (Utrera et al. 2021)
    # unfrozen_blocks only: batch norm statistics of the frozen blocks move too, as in the papers'
    # released code.
    moving_statistics: bool = False
    # sgd only: one is chosen on held-out training images, instead of training.learning_rate.
    learning_rates: tuple[float, ...] = ()


@dataclass(frozen=True)
class TransferRecipe:
    """Knowledge transfer to one target: a block of modes that one job makes."""

    train: ViewRecipe
    test: ViewRecipe
    modes: tuple[ModeRecipe, ...]
    trial: int = 0  # the same transfer with other first heads and orders of the images


@dataclass(frozen=True)
class FeaturesRecipe:
    """Activations where a network's frozen part ends, of every image of a target's views."""

    train: ViewRecipe
    test: ViewRecipe
    blocks: (
        int  # unfrozen: the cut is before the last so many that have weights; 0: the head's input
    )
    precision: str = "fp32"  # of the training images; test images are always float32


@dataclass(frozen=True)
class SubsetsRecipe:
    """Knowledge transfer by one mode to random subsets of a target: a block of sizes and seeds.

    A subset depends on the view it is drawn from, its size and its seed alone, so that all sources
    meet the same ones.
    """

    train: ViewRecipe  # what the subsets are drawn from
    test: ViewRecipe
    mode: ModeRecipe
    images: tuple[int, ...]
    subset_seeds: tuple[int, ...]
    attacks: tuple[AttackRecipe, ...] = ()  # on the transferred networks: their robust accuracy
    attacked_images: int = 0  # the first so many test images


@dataclass(frozen=True)
class SimilarityRecipe:
    """How far a target's images are from the source's own, in the source's features."""

    source: ViewRecipe
    target: ViewRecipe


@dataclass(frozen=True)
class GranularityRecipe:
    """How fine-grained a target is: its images, its labels, and the features of a source."""

    view: ViewRecipe
    # Where every class of the view stands in a hierarchy: names from below its root to the class.
    paths: tuple[tuple[str, ...], ...] = ()
    images: int | None = None  # the first of the view, at most; None: all


@dataclass(frozen=True)
class AttackBlockRecipe:
    """Perturbations of one view: a block of attacks that one job makes."""

    view: ViewRecipe
    attacks: tuple[AttackRecipe, ...]


@dataclass(frozen=True)
class ComposedRecipe:
    """Scenes with masks, composed from two datasets (detection/compose.py). Sizes in pixels."""

    objects: DatasetRecipe  # grey on black: what is above the threshold is the object
    object_classes: tuple[str, ...]
    backgrounds: DatasetRecipe
    background_classes: tuple[str, ...]
    size: int  # of the square canvas
    train_images: int
    val_images: int
    objects_per_image: tuple[int, ...]  # fewest, most
    scales: tuple[int, ...]  # an object's smallest and largest side
    threshold: int = 24  # grey level
    visible: float = 0.25  # an object of which a smaller share is seen is not labelled
    seed: int = 0


@dataclass(frozen=True)
class CocoRecipe:
    """Annotations in COCO's format and their folders of images, on this machine."""

    train_annotations: str
    train_images: str
    val_annotations: str
    val_images: str
    sha256: tuple[str, ...]  # of both files of annotations


@dataclass(frozen=True)
class VocRecipe:
    """A VOCdevkit folder on this machine; sets are ``<year>/<set>``, as in ``2007/trainval``."""

    root: str
    train: tuple[str, ...]
    val: tuple[str, ...]
    sha256: tuple[str, ...]  # of the lists of images, in the order of train and val


@dataclass(frozen=True)
class DetectionDataRecipe:
    """Images with annotated objects: exactly one of three kinds."""

    name: str
    composed: ComposedRecipe | None = None
    coco: CocoRecipe | None = None
    voc: VocRecipe | None = None
    areas: tuple[int, ...] = (32, 96)  # sides that part small, medium and large; these are COCO's


@dataclass(frozen=True)
class DetectorRecipe:
    """A detector on a source's backbone: Faster R-CNN, or Mask R-CNN with ``masks``.

    What has a default has torchvision's.
    """

    data: DetectionDataRecipe
    masks: bool
    epochs: int
    batch_size: int
    learning_rate: float
    anchors: tuple[int, ...]  # pixels a side, one a level; one more adds a pooled level
    levels: int = 4  # of the feature pyramid: the backbone's last strides
    momentum: float = 0.9
    weight_decay: float = 0.0001
    warmup: int = 1000  # steps of a linearly rising learning rate
    decays: tuple[float, ...] = (2 / 3, 8 / 9)  # shares of training after which it falls tenfold
    flip: bool = True  # half of the training images are mirrored
    frozen_blocks: int = 0  # the first so many blocks of the source are not trained
    min_size: int = 800  # pixels of an image's short side after resizing
    max_size: int = 1333  # of its long side, at most
    channels: int = 256  # of the feature pyramid
    hidden: int = 1024  # of the box head
    pooled: int = 7  # a side of what the box head sees of an object; the mask head sees twice that
    mask_layers: int = 4
    proposals: int = 1000  # an image, that the second stage sees
    anchors_sampled: int = 256  # an image, in the loss of the first stage
    rois_sampled: int = 512  # an image, in the loss of the second stage
    detections: int = 100  # an image, at most


@dataclass(frozen=True)
class PairingRecipe:
    """A source against a block of reference seeds, on one block of attacks, in both directions."""

    reference: SourceRecipe
    reference_seeds: tuple[int, ...]
    attacks: AttackBlockRecipe


@dataclass(frozen=True)
class MetricsRecipe:
    """Transferability metrics of a pairing, over the images that ``mask`` lets count."""

    pairing: PairingRecipe
    mask: str = "reference_correct"  # or "all"


def to_plain(recipe: Any) -> Any:
    """Recipe to JSON types, fields that have their default left out."""
    if dataclasses.is_dataclass(recipe) and not isinstance(recipe, type):
        plain = {}
        for item in dataclasses.fields(recipe):
            value = getattr(recipe, item.name)
            if "float" in str(item.type) and type(value) is int:
                value = float(value)  # YAML's 1 and 1.0 are one recipe
            default = (
                item.default_factory()
                if item.default_factory is not dataclasses.MISSING
                else item.default
            )
            if value != default:
                plain[item.name] = to_plain(value)
        return plain
    if isinstance(recipe, (list, tuple)):
        return [to_plain(item) for item in recipe]
    if isinstance(recipe, dict):
        return {str(key): to_plain(value) for key, value in recipe.items()}
    if recipe is None or isinstance(recipe, (bool, int, float, str)):
        return recipe
    raise TypeError(f"a recipe cannot hold {type(recipe).__name__}: {recipe!r}")


def once_per_recipe(function: Callable[[Any], T]) -> Callable[[Any], T]:
    """Keep what ``function`` gives for a recipe beside its fields: it can never change, and a plan
    of thousands of jobs asks for it hundreds of thousands of times."""
    name = f"_{function.__name__}"

    @functools.wraps(function)
    def remembering(recipe: Any) -> T:
        if not dataclasses.is_dataclass(recipe):
            return function(recipe)
        kept = vars(recipe)
        if name not in kept:
            kept[name] = function(recipe)
        return typing.cast(T, kept[name])

    return remembering


@once_per_recipe
def to_json(recipe: Any) -> str:
    """Canonical JSON: sorted keys, no white space, defaults left out."""
    return json.dumps(to_plain(recipe), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _build(kind: Any, value: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        kind = next(option for option in typing.get_args(kind) if option is not type(None))
        return _build(kind, value)
    if origin is tuple:
        return tuple(_build(typing.get_args(kind)[0], item) for item in value)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        unknown = set(value) - set(hints)
        if unknown:
            raise UserError(
                f"{kind.__name__} has no field {sorted(unknown)}; it has {sorted(hints)}"
            )
        try:
            return kind(**{key: _build(hints[key], item) for key, item in value.items()})
        except TypeError as error:
            raise UserError(f"{kind.__name__}: {error}") from None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def from_plain(kind: type[R], value: Any) -> R:
    """The recipe of type ``kind`` that JSON types describe; the inverse of `to_plain`.

    Raises:
        UserError: a field is unknown or missing.
    """
    if not isinstance(value, dict):
        raise UserError(f"a recipe is a JSON object, not {type(value).__name__}")
    return typing.cast(R, _build(kind, value))


def from_json(kind: type[R], text: str) -> R:
    """The recipe of type ``kind`` that canonical (or hand-written) JSON describes.

    Raises:
        UserError: the text is not JSON, or a field is unknown or missing.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"the recipe is not JSON: {error}") from None
    return from_plain(kind, value)


@once_per_recipe
def digest(recipe: Any) -> str:
    """Ten base32 characters (50 bits) of the SHA-256 of the canonical JSON."""
    raw = hashlib.sha256(to_json(recipe).encode()).digest()
    return base64.b32encode(raw).decode().lower()[:10]


def derived_seed(recipe: Any, seed: int, purpose: str) -> int:
    """A 63-bit random seed from a recipe, the seed index and what it is for."""
    text = f"{to_json(recipe)}|{seed}|{purpose}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def format_epsilon(epsilon: float) -> str:
    """A short decimal where that is exact, else ``8/255`` for whole numbers of grey levels.

    >>> format_epsilon(8 / 255), format_epsilon(0.25)
    ('8/255', '0.25')
    """
    levels = epsilon * 255
    if float(f"{epsilon:g}") != epsilon and abs(levels - round(levels)) < 1e-9:
        return f"{round(levels)}/255"
    return f"{epsilon:g}"


def attack_label(attack: AttackRecipe) -> str:
    """Short name of an attack inside a block, e.g. ``pgd-linf-8_255``."""
    steps = f"{attack.steps}" if attack.steps > 1 else ""
    return f"{attack.attack}{steps}-{attack.norm}-{format_epsilon(attack.epsilon)}".replace(
        "/", "_"
    )


def check_replays(training: TrainingRecipe, name: str) -> None:
    """Free adversarial training needs an attack, of one step.

    Raises:
        UserError: it has none, or another.
    """
    attack, replays = training.attack, training.replays
    if replays < 0:
        raise UserError(f"{name}: replays must not be negative ({replays}).")
    if not replays:
        return
    if attack is None:
        raise UserError(f"{name}: replays are of adversarial training; add an `attack`.")
    if attack.attack not in FREE_ATTACKS:
        raise UserError(
            f"{name}: with replays the attack is {' or '.join(FREE_ATTACKS)}, not "
            f"'{attack.attack}'; leave out replays to train against it."
        )
    if attack.steps > 1 or attack.random_start or attack.restarts > 1:
        raise UserError(
            f"{name}: with replays every use of a batch is one step of its attack, which goes on "
            "from where the last one ended; leave out the attack's steps, random_start and "
            "restarts, or leave out replays."
        )


def pair_name(source_seed: int, reference_seed: int, label: str, what: str) -> str:
    """Name of one pair's array under one attack in a file of responses or metrics."""
    return f"source{source_seed}/reference{reference_seed}/{label}/{what}"
