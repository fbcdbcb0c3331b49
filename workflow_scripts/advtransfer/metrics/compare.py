"""Transferability metrics of two models on images, for use without the workflow.

The models are plain callables.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ..attacks.recipe import AttackRecipe
from ..attacks.run import load_attack
from ..models.inference import BATCH
from .transferability import PairMetrics, measure_pair, tau_1

Model = Callable[[torch.Tensor], torch.Tensor]


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
        UserError: The attack is unknown, no image counts, or logits are not finite.
    """
    perturb = load_attack(attack)
    models = {"source": source, "reference": reference}
    clean = {side: _logits(model, images) for side, model in models.items()}
    deltas = {}
    for side, model in models.items():
        generator = torch.Generator().manual_seed(seed)
        own = torch.from_numpy(clean[side].argmax(1)).to(images.device)
        deltas[side] = torch.cat(
            [
                perturb(model, images[k : k + BATCH], own[k : k + BATCH], attack, generator)  # type: ignore[arg-type]
                for k in range(0, len(images), BATCH)
            ]
        )
    predicted = clean["reference"].argmax(1)
    true = predicted if labels is None else labels.cpu().numpy()
    counts = np.ones(len(images), dtype=bool)
    if mask == "reference_correct":
        counts = predicted == true
    against = {"source": clean["source"].argmax(1), "reference": true}
    responses = {
        (responder, attacked): _logits(models[responder], images + deltas[attacked])
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


@torch.no_grad()
def _logits(model: Model, images: torch.Tensor) -> np.ndarray:
    parts = [model(images[k : k + BATCH]).float().cpu() for k in range(0, len(images), BATCH)]
    return torch.cat(parts).numpy()
