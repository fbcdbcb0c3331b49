"""The sections of the configuration that studies share; `data` has a module of its own.

A study's own section is the class `Settings` of its kind: `studies/<kind>/settings.py`, or
`studies/kinds/<kind>/settings.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from .data import Data
from .section import (
    NAME_PATTERN,
    NO_OPTION,
    UNIQUE,
    Classes,
    Detail,
    Epsilon,
    Half,
    Modes,
    Name,
    Norm,
    Section,
    Superclasses,
)

LABEL_PATTERN = (
    r"^(?!(?:results|data|sources|evaluations|transfers|features|subsets|similarity|granularity|"
    r"detectors|attacks|responses|metrics|logs|tables|figures|pages|(?:[Cc][Oo][Nn]|[Pp][Rr][Nn]|"
    r"[Aa][Uu][Xx]|[Nn][Uu][Ll]|(?:[Cc][Oo][Mm]|[Ll][Pp][Tt])[0-9]))$)"
    r"(?:[A-Za-z0-9_][A-Za-z0-9_-]{0,63})?$(?!\n)"
)
PRETRAINED_PATTERN = r"^(torchvision|timm|registry)/[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$(?!\n)"
Arithmetic = Literal["bf16", "fp32"]
Positive = Annotated[float, Field(gt=0)]
Penalty = Annotated[float, Field(ge=0)]
LearningRates = Annotated[
    list[Positive],
    Field(
        default_factory=list,
        min_length=1,
        json_schema_extra=UNIQUE,
        description="sgd: of these one is chosen on held-out training images, instead of "
        "training.learning_rate",
    ),
]
InitialHead = Annotated[
    Literal["uniform", "normal"],
    Field(description="sgd: torch's initialisation of a linear layer, or N(0, 1) and no bias"),
]


class Model(Section):
    """An architecture"""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "additionalProperties": {"description": "A parameter of the family's build()"}
        },
    )

    family: str = Field(description="A module of advtransfer.models.families")
    learning_rate: Positive | None = Field(
        None, description="Replaces the training's learning rate for this model"
    )


class Checkpoint(Section):
    """A checkpoint of another program: a file with its model, classes and size, or published
    weights by name"""

    pretrained: str | None = Field(
        None,
        pattern=PRETRAINED_PATTERN,
        description="Published weights: torchvision/<weights>, timm/<model>.<tag> or "
        "registry/<name> (docs/import-a-checkpoint.md)",
    )
    file: str | None = Field(
        None,
        pattern=NO_OPTION,
        description="File with weights (docs/import-a-checkpoint.md says which); one that begins "
        "with - is written ./-",
    )
    sha256: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$(?!\n)",
        description="SHA-256 of the file with the weights: 64 digits 0-9 and a-f",
    )
    entry: str | None = Field(
        None,
        min_length=1,
        pattern=NO_OPTION,
        description="Which set of weights is taken, if the file holds several, such as "
        "state_dict_ema",
    )
    head: bool = Field(
        True,
        description="false: the trunk alone is imported, without the last layer; it needs no "
        "classes_file and can be transferred, not evaluated",
    )
    model: str | None = Field(None, description="A name in models")
    training: str = Field(
        pattern=NAME_PATTERN,
        description="What its training is called in tables and figures: letters, digits, _ and -",
    )
    classes_file: str | None = Field(
        None,
        pattern=NO_OPTION,
        description="File with one class name a line, in the order of the logits",
    )
    size: int | None = Field(None, ge=8, description="Pixels a side of its images")
    mean: list[float] = Field(
        default_factory=list,
        min_length=1,
        max_length=3,
        description="Of its normaliser: one value or 3",
    )
    std: list[Positive] = Field(
        default_factory=list,
        min_length=1,
        max_length=3,
        description="Of its normaliser: one value or 3",
    )
    norm: Norm | None = Field(None, description="Norm of its adversarial training, if it is known")
    epsilon: Epsilon | None = Field(
        None, description="Radius of its adversarial training, if it is known; 0: natural"
    )


class Attack(Section):
    """One attack"""

    attack: str = Field(description="A module of advtransfer.attacks")
    norm: Norm = Field(description="Norm of the ball")
    epsilon: Epsilon
    steps: int = Field(1, ge=1, description="Iterations")
    step_size: Epsilon | None = Field(
        None, description="Length of a step; default: the attack's own rule"
    )
    random_start: bool = Field(False, description="Start at a random point of the ball")
    restarts: int = Field(1, ge=1, description="Random starts of which the best by loss is kept")
    tolerance: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="An image whose log-odds rose in five steps by less than this share of their "
        "whole rise leaves the batch; 0: none does",
    )
    labels: Literal["predicted", "true"] = Field(
        "predicted", description="What the attack moves away from"
    )


class Training(Section):
    """How a network is fitted"""

    epochs: int = Field(
        ge=0, description="Passes over the training images; 0: an untrained network"
    )
    batch_size: int = Field(ge=1, description="Images a step")
    learning_rate: Positive = Field(description="Peak learning rate of SGD")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of SGD")
    nesterov: bool = Field(False, description="Nesterov momentum")
    weight_decay: float = Field(0.0, ge=0, description="l2 penalty of SGD")
    schedule: Literal["one_cycle", "cosine", "step", "constant"] = Field(
        "cosine", description="Learning rate over the steps"
    )
    augmentation: Literal["crop_flip", "resized_crop_flip", "none"] = Field(
        "none",
        description="Random crop (padding 4) and flip; a random part resized to the whole, and "
        "flip; or nothing",
    )
    checkpoint: Literal["last", "best_on_validation", "best_on_test"] = Field(
        "last", description="Which epoch's weights are kept"
    )
    validation_images: int = Field(
        0, ge=0, description="Training images held out for best_on_validation"
    )
    batch_norm: Literal["adapt", "frozen"] = Field(
        "adapt", description="Whether batch norm statistics move during training"
    )
    attack: Attack | None = Field(None, description="Makes the training adversarial")
    replays: int | None = Field(
        None,
        ge=1,
        description="Free adversarial training: updates from every batch in a row, the "
        "perturbation carried on",
    )


class LastLayer(Section):
    """Only a new head is trained"""

    solver: Literal["lbfgs", "sgd"] = Field(description="How the head is found")
    regularization: Penalty = Field(0.0, description="lbfgs: l2 penalty on standardised features")
    training: Training | None = None
    regularizations: list[Penalty] = Field(
        default_factory=list,
        min_length=1,
        json_schema_extra=UNIQUE,
        description="lbfgs: l2 penalties of which held-out training images choose one, instead of "
        "regularization",
    )
    learning_rates: LearningRates
    initial_head: InitialHead = "uniform"


class FullNetwork(Section):
    """Everything is trained"""

    training: Training
    learning_rates: LearningRates


class Transfer(Section):
    """A transfer protocol"""

    last_layer: LastLayer
    full_network: FullNetwork | None = None


class Precision(Section):
    """Arithmetic"""

    training: Arithmetic = Field(description="Of training")
    attacks: Arithmetic = Field(description="Of attacks")


class Evaluation(Section):
    """Clean and robust accuracy of the sources"""

    images: int = Field(ge=1, description="Test images")
    attacks: str = Field(description="A block of attacks")


class Statistics(Section):
    """Intervals and tests"""

    bootstrap: int = Field(ge=1, description="Bootstrap resamples")
    permutations: int = Field(ge=1, description="Random permutations where not all are tried")


class NamedSources(Section):
    """What sources of several studies have in common"""

    dataset: str | None = Field(None, description="A name in data.datasets")
    half: Half | None = None
    size: int | None = Field(None, ge=8, description="Pixels a side after resizing")
    classes: Classes | None = Field(None, description="Classes of the sources, or all")
    images: int | None = Field(None, ge=1, description="Training images of a source")


class NamedTarget(Section):
    """What a target has in common in several studies"""

    dataset: str | None = Field(None, description="A name in data.datasets")
    half: Half | None = None
    size: int | None = Field(None, ge=8, description="Pixels a side after resizing")
    classes: Classes | None = Field(None, description="Classes, in label order, or all")
    images: int | None = Field(None, ge=1, description="Training images")
    transfer_images: int | None = Field(
        None, ge=1, description="Training images of a transferred source"
    )
    test_images: int | None = Field(None, ge=1, description="Test images that measure transfer")
    attacked_images: int | None = Field(
        None, ge=1, description="The first of the test images, which are attacked"
    )
    modes: Modes | None = Field(None, description="Modes for this target; default: the study's")
    detail: Detail | None = None
    superclasses: Superclasses | None = None


class Configuration(Section):
    """The whole configuration"""

    label: str = Field(
        pattern=LABEL_PATTERN,
        description="Subfolder of results/ for tables, figures and report: at most 64 letters a-z, "
        "digits, _ and -, the first no -, and no folder of results/ or device name of Windows",
    )
    main_job: list[str] = Field(
        min_length=1,
        json_schema_extra=UNIQUE,
        description="Studies that plain `snakemake` makes, by name",
    )
    data: Data
    models: dict[Name, Model] = Field(description="Architectures by name")
    checkpoints: dict[Name, Checkpoint] = Field(
        default_factory=dict, description="Sources that another program trained, by name"
    )
    trainings: dict[Name, Training] = Field(description="Trainings by name")
    transfers: dict[Name, Transfer] = Field(description="Transfer protocols by name")
    attacks: dict[Name, Annotated[list[Attack], Field(min_length=1)]] = Field(
        description="Blocks of attacks by name"
    )
    precision: Precision
    evaluation: Evaluation
    statistics: Statistics
    sources: dict[Name, NamedSources] = Field(
        default_factory=dict,
        description="Sources of several studies by name; a study refers to one with `use`",
    )
    targets: dict[Name, NamedTarget] = Field(
        default_factory=dict,
        description="Targets of several studies by name; a study refers to one with `use`",
    )
    studies: dict[Name, dict[str, Any]] = Field(min_length=1, description="The studies")
