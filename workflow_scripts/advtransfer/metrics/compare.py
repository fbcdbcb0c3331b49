"""Transferability metrics of two models on images, for use without the workflow.

The models are plain callables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ..attacks.recipe import AttackRecipe
from ..attacks.run import attack_images, load_attack
from ..errors import UserError
from ..models.inference import BATCH
from .transferability import PairMetrics, measure_pair, tau_1

Model = Callable[[torch.Tensor], torch.Tensor]
MASKS = ("reference_correct", "all")
FEW = 8  # images on which a model is tried
# Parts of a model that work otherwise in training, besides all whose names say dropout.
TRAINED_OTHERWISE = (torch.nn.modules.batchnorm._BatchNorm, torch.nn.modules.dropout._DropoutNd)


def compare(
    source: Model,
    reference: Model,
    images: torch.Tensor,
    labels: torch.Tensor | None,
    attack: AttackRecipe,
    *,
    mask: str = "reference_correct",
    seed: int = 0,
) -> dict[str, PairMetrics]:
    """Return every metric of docs/concepts.md, in both directions (Liang et al. 2021, Fig. 1).

    Args:
        source, reference: functions from images in [0, 1] to logits, differentiable in the images.
            Put networks in evaluation mode and freeze their parameters first, which makes the
            comparison 1.5 times as fast.
        images: float32 (N, C, H, W) in [0, 1].
        labels: int64 (N,) in the reference's classes; None if it has other classes. Its own
            predictions then replace them, and all images count.
        attack: attack on both models, away from each model's own predictions.
        mask: ``reference_correct`` or ``all``.
        seed: seed of the random starts.

    Returns:
        `PairMetrics` by direction, ``source_to_reference`` and ``reference_to_source``.

    Raises:
        UserError: The attack is unknown or cannot be meant, images, labels or logits do not have
            the form above, no image counts, or a model is in training mode.
    """
    _check_images(images)
    images = images.detach()
    _check_attack(attack, images)
    if mask not in MASKS:
        raise UserError(f"mask: {mask!r} is unknown; it is {' or '.join(map(repr, MASKS))}.")
    models = {"source": source, "reference": reference}
    for side, model in models.items():
        _check_mode(side, model, images)
        _check_calls(side, model, images[:FEW])
    if labels is not None:
        _check_labels(labels, len(images))
    clean = {side: _logits(side, model, images) for side, model in models.items()}
    predicted = clean["reference"].argmax(1)
    true = predicted if labels is None else labels.cpu().numpy().astype(np.int64)
    classes = clean["reference"].shape[1]
    if true.min() < 0 or true.max() >= classes:
        raise UserError(
            f"labels: they run from {true.min()} to {true.max()}, but the reference has {classes} "
            f"logits, so that labels are 0 to {classes - 1}. Number them by its classes; if it has "
            "none of the images' classes, give labels=None."
        )
    counts = np.ones(len(images), dtype=bool)
    if mask == "reference_correct":
        counts = predicted == true
    deltas = {}
    for side, model in models.items():
        generator = torch.Generator().manual_seed(seed)
        own = torch.from_numpy(clean[side].argmax(1)).to(images.device)
        deltas[side] = attack_images(model, images, own, attack, generator)  # type: ignore[arg-type]
    against = {"source": clean["source"].argmax(1), "reference": true}
    responses = {
        (responder, attacked): _logits(responder, models[responder], images + deltas[attacked])
        for responder in models
        for attacked in models
    }
    alignment = tau_1(deltas["source"].cpu().numpy(), deltas["reference"].cpu().numpy())
    return {
        f"{first}_to_{second}": measure_pair(
            f1_clean=clean[first],
            f1_own=responses[first, first],
            f2_clean=clean[second],
            f2_transferred=responses[second, first],
            f2_own=responses[second, second],
            alignment=alignment,
            labels=against[second],
            mask=counts,
        )
        for first, second in (("source", "reference"), ("reference", "source"))
    }


def _check_images(images: Any) -> None:
    if not isinstance(images, torch.Tensor) or images.ndim != 4 or not images.numel():
        raise UserError(
            f"images: expected a float tensor (N, C, H, W) in [0, 1] with N > 0, got "
            f"{_form(images)}."
        )
    if not images.is_floating_point():
        raise UserError(
            f"images: expected floats in [0, 1], got {_form(images)}. Convert pixels in 0 to 255 "
            "with images.float() / 255."
        )
    if images.dtype != torch.float32:
        raise UserError(f"images: expected float32, got {_form(images)}. Convert with .float().")
    if not torch.isfinite(images).all():
        raise UserError("images: some pixels are nan or infinite; expected values in [0, 1].")
    low, high = float(images.min()), float(images.max())
    if 0 <= low < high <= 1 / 255:
        raise UserError(
            f"images: their values run from {low:.4g} to {high:.4g}, all within one of 255 grey "
            "levels; expected [0, 1]. Were they divided by 255 twice?"
        )
    if low >= 0 and high <= 1:
        return
    if low < 0:
        way_out = (
            "If they are normalised, undo it and make the normalisation the first layer of the "
            "models; if they were resized, add .clamp(0, 1)"
        )
    elif high > 2:
        way_out = "Divide pixels in 0 to 255 by 255"
    else:
        way_out = "Resizing may overshoot: add .clamp(0, 1)"
    raise UserError(
        f"images: their values run from {low:.4g} to {high:.4g}; expected [0, 1]. {way_out}."
    )


def _check_attack(attack: Any, images: torch.Tensor) -> None:
    if not isinstance(attack, AttackRecipe):
        raise UserError(
            f"attack: expected an AttackRecipe, got {_form(attack)}. For example "
            'AttackRecipe("pgd", "linf", 8 / 255, steps=10, random_start=True).'
        )
    load_attack(attack, images.shape[1:].numel())
    if not attack.epsilon:
        raise UserError("attack: epsilon is 0, so that nothing is perturbed; give one above 0.")
    if attack.labels != "predicted" or attack.precision != "fp32":
        raise UserError(
            "attack: here it moves away from each model's own predictions, and the models run as "
            "they are given; leave labels and precision at their defaults."
        )


def _check_labels(labels: Any, count: int) -> None:
    numbers = isinstance(labels, torch.Tensor) and not (
        labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool
    )
    if numbers and labels.shape == (count,):
        return
    one_hot = isinstance(labels, torch.Tensor) and labels.ndim == 2 and len(labels) == count
    way_out = " For one-hot labels, give labels.argmax(1)." if one_hot else ""
    raise UserError(
        f"labels: expected a tensor with one whole number for each of the {count} images, got "
        f"{_form(labels)}.{way_out}"
    )


def _check_mode(side: str, model: Any, images: torch.Tensor) -> None:
    """Refuse a model whose outputs change from call to call, or which is on another device."""
    if not isinstance(model, torch.nn.Module):
        return
    for name, part in model.named_modules():
        kind = type(part).__name__
        otherwise = isinstance(part, TRAINED_OTHERWISE) or "drop" in kind.lower()
        if part.training and otherwise:
            raise UserError(
                f"{side}: the model is in training mode, in which its {kind} '{name}' makes its "
                "logits depend on chance or on the other images. Call .eval() on it first."
            )
    devices = {str(one.device) for one in model.parameters()}
    if devices and str(images.device) not in devices:
        raise UserError(
            f"{side}: the model is on {' and '.join(sorted(devices))}, the images are on "
            f"{images.device}; move one with .to(device)."
        )


def _check_calls(side: str, model: Any, images: torch.Tensor) -> None:
    """Refuse what cannot be called or differentiated, and what answers differently every time."""
    if not callable(model):
        raise UserError(
            f"{side}: expected a function from images to logits, got {_form(model)}. Build the "
            "network first, and load its weights into it."
        )
    images = images.clone().requires_grad_()
    try:
        first, second = model(images), model(images)
    except RuntimeError as error:
        raise UserError(
            f"{side}: the model cannot be run on {_form(images)} images: {error}. It has to take "
            "float32 images of this shape on this device."
        ) from None
    if not isinstance(first, torch.Tensor):
        return  # `_logits` says what to do
    if not first.requires_grad:
        raise UserError(
            f"{side}: no gradient leads from its logits back to the images, so that it cannot be "
            "attacked. Leave out torch.no_grad, torch.inference_mode and .detach()."
        )
    if not torch.allclose(first, second, rtol=1e-3, atol=1e-3, equal_nan=True):
        raise UserError(
            f"{side}: two calls on the same images gave different logits. Call .eval() on the "
            "model, or take out what is random in it."
        )


def _form(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return f"a {type(value).__name__}"


@torch.no_grad()
def _logits(side: str, model: Model, images: torch.Tensor) -> np.ndarray:
    parts = []
    for k in range(0, len(images), BATCH):
        batch = images[k : k + BATCH]
        found = model(batch)
        if not isinstance(found, torch.Tensor):
            raise UserError(f"{side}: expected logits, got a {type(found).__name__}. {_way(found)}")
        if found.ndim != 2 or len(found) != len(batch) or found.shape[1] < 2:
            raise UserError(
                f"{side}: expected logits (N, classes) of at least 2 classes, got {_form(found)} "
                f"for {len(batch)} images."
            )
        parts.append(found.float().cpu())
    logits = torch.cat(parts)
    probabilities = (logits >= 0).all() and ((logits.sum(1) - 1).abs() < 1e-4).all()
    if probabilities:
        raise UserError(
            f"{side}: expected logits, got probabilities (every row sums to 1). Leave out the last "
            "softmax: all metrics are defined on logits."
        )
    return logits.numpy()


def _way(found: Any) -> str:
    """Return how to take the logits from what a model returned instead."""
    if isinstance(found, dict) and found:
        key = "logits" if "logits" in found else next(iter(found))
        return f"Wrap the model: lambda images: model(images)[{key!r}]."
    if isinstance(getattr(found, "logits", None), torch.Tensor):
        return "Wrap the model: lambda images: model(images).logits."
    if isinstance(found, tuple | list):
        return "Wrap the model: lambda images: model(images)[0], if the logits are its first item."
    return "Wrap the model in a function that returns a tensor (N, classes)."
