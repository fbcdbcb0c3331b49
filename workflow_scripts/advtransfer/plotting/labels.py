"""Display names and printed numbers in figures and pages."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..epsilon import format_epsilon

if TYPE_CHECKING:
    import pandas as pd

METRIC_LABELS = {
    "alpha_1_mean": "α₁",
    "alpha_1_median": "α₁ (median)",
    "alpha_1_ratio_of_means": "α₁ (ratio of means)",
    "alpha_1_share_above_1": "share of images with α₁ > 1",
    "alpha_1_zero_denominators": "images without a defined α₁",
    "alpha_2": "α₂",
    "alpha_2_squared": "α₂ (squared form)",
    "alpha_2_squared_unbiased": "α₂ (squared form, unbiased)",
    "combined": "α₁∘α₂",
    "combined_squared": "α₁∘α₂ (squared form)",
    "combined_squared_unbiased": "α₁∘α₂ (squared form, unbiased)",
    "tau_1": "τ₁",
    "tau_2": "τ₂",
    "transfer_success_rate": "transfer success rate",
    "transferred_loss": "loss on transferred perturbations",
}
MODEL_LABELS = {
    "fcnet": "Fully connected",
    "fully_connected": "Fully connected",
    "mlp": "MLP",
    "lenet": "LeNet",
    "lenet5": "LeNet-5",
    "alexnet": "AlexNet",
    "vgg": "VGG",
    "resnet": "ResNet",
    "mobilenet": "MobileNet",
    "densenet": "DenseNet",
    "convmixer": "ConvMixer",
    "efficientnet": "EfficientNet",
    "convnext": "ConvNeXt",
    "vit": "ViT",
}
TARGET_LABELS = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "stl10": "STL-10",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "kmnist": "KMNIST",
    "svhn": "SVHN",
}
TRAINING_LABELS = {
    "natural": "natural",
    "natural_equal_cost": "natural, longer",
    "robust_l2_eighth": "robust ℓ₂, eighth",
    "robust_l2_quarter": "robust ℓ₂, quarter",
    "robust_l2": "robust ℓ₂",
    "robust_l2_one": "robust ℓ₂, one",
    "robust_linf_half": "robust ℓ∞, half",
    "robust_linf": "robust ℓ∞",
    "fast_linf": "fast robust ℓ∞",
    "free_linf": "free robust ℓ∞",
    "untrained": "untrained",
}
NORM_LABELS = {"linf": "ℓ∞", "l2": "ℓ₂"}
STATISTIC_LABELS = {
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "kendall": "Kendall τ",
    "partial_pearson": "partial r given source accuracy",
}


def metric_label(name: str) -> str:
    """Return the display name of a metric, or its own name if there is none."""
    return METRIC_LABELS.get(name, name)


def model_label(name: str) -> str:
    """Return the display name of an architecture: ``resnet18`` is ResNet-18.

    Unknown architectures keep their own name.
    """
    if name in MODEL_LABELS:
        return MODEL_LABELS[name]
    stem = name.rstrip("0123456789")
    if stem in MODEL_LABELS and stem != name:
        return f"{MODEL_LABELS[stem]}-{name[len(stem) :]}"
    return name.replace("_", " ")


def training_label(name: str) -> str:
    """Return the display name of a training."""
    return TRAINING_LABELS.get(name, name.replace("_", " "))


def target_label(name: str) -> str:
    """Return the display name of a target."""
    return TARGET_LABELS.get(name, name.replace("_", " "))


def target_title(name: str, classes: Sequence[str], width: int = 90) -> str:
    """Return a title with the name of a target and its classes."""
    text = f"Target {target_label(name)}"
    names = ", ".join(classes).replace(
        "$", r"\$"
    )  # matplotlib would typeset a formula between two of them
    return textwrap.fill(f"{text}: {names}" if classes else text, width)


def epsilon_label(epsilon: float, norm: str) -> str:
    """Return epsilon in grey levels for l-infinity, otherwise as a decimal.

    Values may come from a table with ten digits, so they are rounded.
    """
    return format_epsilon(round(epsilon * 255, 5) / 255) if norm == "linf" else f"{epsilon:g}"


def attack_label(attack: str, norm: str, epsilon: float | None = None) -> str:
    """Return a name such as ``PGD ℓ∞``, with the strength if one is given."""
    if attack == "none":
        return "clean"
    text = f"{attack.upper()} {NORM_LABELS.get(norm, norm)}"
    return text if epsilon is None else f"{text}, ε = {epsilon_label(epsilon, norm)}"


def number(value: float, digits: int = 2) -> str:
    """Return a number with fixed decimals and a real minus sign, or a dash for no value."""
    if value is None or math.isnan(value):
        return "–"
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")  # + 0.0: no "−0.00"


def interval(row: Mapping[str, Any] | pd.Series) -> str:
    """Return ``0.83 [0.41, 0.97]`` for a row of a table, or say that there is no interval."""
    if math.isnan(row["value"]):
        return "undefined"
    if math.isnan(row["ci_low"]) or math.isnan(row["ci_high"]):
        return f"{number(row['value'])} (no interval)"
    return f"{number(row['value'])} [{number(row['ci_low'])}, {number(row['ci_high'])}]"


def model_note(*frames: pd.DataFrame) -> str:
    """Return a note on the architecture of a figure's sources, from its first table with rows."""
    for frame in frames:
        for column in ("source_model", "model"):
            if column in frame and len(frame):
                return f"{model_label(frame[column].iloc[0])} sources"
    return ""
