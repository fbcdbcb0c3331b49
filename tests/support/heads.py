"""Features as they come from under a network's head, and heads to compare."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def deep_features(
    count: int, width: int, classes: int, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """As under a network's head: rectified, correlated, a few directions with most variance."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (count,), generator=generator)
    latent = torch.randn(count, width, generator=generator) * (torch.arange(width) + 1) ** -0.7
    latent[:, :classes] += 0.5 * F.one_hot(labels, classes)
    mixed = latent @ torch.randn(width, width, generator=generator)
    return F.relu(mixed + torch.randn(width, generator=generator)), labels


def logits_of(weights: torch.Tensor, biases: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """Centred, because a common shift of all classes means nothing."""
    logits = weights @ features.mT + biases[..., None]
    return logits - logits.mean(-2, keepdim=True)
