"""Linear heads on frozen features, solved instead of iterated over epochs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

MAXIMUM_ITERATIONS = 300


def solve_head(
    head: nn.Linear, features: torch.Tensor, labels: torch.Tensor, regularization: float
) -> float:
    """Multinomial logistic regression to convergence by L-BFGS; fills ``head`` in place.

    Minimises mean cross-entropy + regularization / 2 * ||W||^2 over standardised features, and
    folds the standardisation into the head.

    Args:
        features: float32 (N, D), frozen.
        labels: int64 (N,).

    Returns:
        The mean cross-entropy reached.
    """
    mean = features.mean(0)
    spread = features.std(0, unbiased=False)
    spread = torch.where(spread > 1e-6, spread, torch.ones_like(spread))
    standard = (features - mean) / spread
    weight = torch.zeros_like(head.weight).requires_grad_(True)
    bias = torch.zeros_like(head.bias).requires_grad_(True)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=MAXIMUM_ITERATIONS,
        history_size=20,
        tolerance_grad=1e-6,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(F.linear(standard, weight, bias), labels)
        loss = loss + 0.5 * regularization * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        head.weight.copy_(weight / spread)
        head.bias.copy_(bias - (weight / spread) @ mean)
        return float(F.cross_entropy(head(features), labels))
