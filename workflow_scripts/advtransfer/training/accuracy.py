"""Accuracy and loss of a network, as entries of a training history."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..models.inference import predict
from ..models.network import Network
from .fit import HistoryRow


def accuracy_and_loss(network: Network, images: torch.Tensor, labels: torch.Tensor) -> HistoryRow:
    """Return ``test_accuracy`` and ``test_loss`` (mean cross-entropy), computed in float32."""
    return accuracy_and_loss_of(predict(network, images), labels, "test")


def accuracy_and_loss_of(logits: torch.Tensor, labels: torch.Tensor, images: str) -> HistoryRow:
    """Return accuracy and loss of logits (N, classes), under keys that begin with ``images``."""
    return {
        f"{images}_accuracy": float((logits.argmax(1) == labels).float().mean()),
        f"{images}_loss": float(F.cross_entropy(logits, labels)),
    }
