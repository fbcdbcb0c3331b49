"""Heads on a frozen ResNet-18's features: 5,000 images, 512 features, 10 classes.

First head and each further one. Peer: the frozen network run again in every epoch, 30 epochs of SGD
on the head, float32 as torch gives it; one epoch on a share of the images is timed and scaled up.
Ours: features once (bf16, the workflow's default, and fp32), then the optimum by the batched
solver; a further head costs its share of a batch of 40, each on 5,000 images drawn from the same
features with replacement.

The solver alone: one head and the 40, against scikit-learn's ``LogisticRegression`` (lbfgs) on the
same standardised features with the same penalty. Facts: the objective reached (mean cross-entropy +
penalty / 2 * ||W||^2), and for ours its difference to scikit-learn's with a tolerance of 1e-10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..harness import Measurement, Settings, interleaved, synchronised

if TYPE_CHECKING:
    import torch

FIRST_TARGET, FURTHER_TARGET = 50.0, 1000.0
EPOCHS = 30
REGULARIZATION = 1e-3
BATCH_SIZE = 128


def run(settings: Settings) -> list[Measurement]:
    import torch
    from sklearn.linear_model import LogisticRegression

    from workflow_scripts.advtransfer.data.batches import as_float
    from workflow_scripts.advtransfer.models.inference import penultimate
    from workflow_scripts.advtransfer.transfer.heads import solve_heads

    from .. import networks

    count, heads, share = (60, 2, 20) if settings.quick else (5_000, 40, 512)
    classes = len(networks.CLASSES)
    network = networks.network("resnet18", settings)
    images, labels = networks.cifar10("train", count, settings)
    plain = networks.contiguous(network).requires_grad_(False)
    kept: dict[str, torch.Tensor] = {}

    def rerun() -> None:
        head = torch.nn.Linear(network.head.in_features, classes).to(images.device)
        optimizer = torch.optim.SGD(head.parameters(), 0.01, momentum=0.9)
        for start in range(0, share, BATCH_SIZE):
            chosen = slice(start, min(start + BATCH_SIZE, share))
            with torch.no_grad():
                features = plain.features(as_float(images[chosen]).contiguous())
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(head(features), labels[chosen]).backward()
            optimizer.step()

    def first() -> None:
        kept["features"] = penultimate(network, images)
        solve_heads(kept["features"], labels[None], classes, REGULARIZATION)

    first()
    features = kept["features"]
    numbers = torch.Generator().manual_seed(0)
    drawn = torch.randint(0, count, (heads, count), generator=numbers).to(labels.device)

    def first_bf16() -> None:
        found = penultimate(network, images, "bf16")
        solve_heads(found, labels[None], classes, REGULARIZATION)

    def one() -> None:
        kept["weight"], kept["bias"], _ = solve_heads(
            features, labels[None], classes, REGULARIZATION
        )

    def many() -> None:
        solve_heads(features[drawn], labels[drawn], classes, REGULARIZATION)

    standard = standardised(features).cpu().double().numpy()
    targets = labels.cpu().numpy()
    inverse_penalty = 1 / (REGULARIZATION * count)
    fitted = LogisticRegression(C=inverse_penalty, max_iter=1_000)
    exact = LogisticRegression(C=inverse_penalty, max_iter=10_000, tol=1e-10)

    contenders = {
        "frozen network in every epoch": rerun,
        "features once, solved": first,
        "bf16 features once, solved": first_bf16,
        "scikit-learn lbfgs": lambda: fitted.fit(standard, targets),
        "one head": one,
        "many heads": many,
    }
    contenders = {key: synchronised(f, settings.device) for key, f in contenders.items()}
    seconds = interleaved(contenders, min(settings.repeats, 3), "heads")

    scale = EPOCHS * count / share
    per_further = [time / heads for time in seconds["many heads"]]
    again = [time * scale for time in seconds["frozen network in every epoch"]]
    scaled = f"scaled up from one epoch on {share} images"
    exact.fit(standard, targets)
    best = objective(standard, targets, exact.coef_, exact.intercept_)
    ours = objective(*in_standard_form(features, labels, kept["weight"][0], kept["bias"][0]))
    batch = f"one of a batch of {heads}"
    result = [
        Measurement(
            "first head", "frozen network in every epoch", again, unit="heads", note=scaled
        ),
        Measurement(
            "first head", "ours, bf16", seconds["bf16 features once, solved"], unit="heads",
            ours=True, target=FIRST_TARGET,
        ),
        Measurement(
            "first head", "ours, fp32", seconds["features once, solved"], unit="heads", ours=True,
        ),
        Measurement(
            "each further head", "frozen network in every epoch", again, unit="heads", note=scaled
        ),
        Measurement(
            "each further head", "ours", per_further, unit="heads", ours=True, note=batch,
            target=FURTHER_TARGET,
        ),
        Measurement(
            "head on cached features", "scikit-learn lbfgs", seconds["scikit-learn lbfgs"],
            unit="heads",
            facts={"objective": objective(standard, targets, fitted.coef_, fitted.intercept_)},
        ),
        Measurement(
            "head on cached features", "ours, alone", seconds["one head"], unit="heads", ours=True,
            facts={"objective": ours, "above_optimum": ours - best},
        ),
        Measurement(
            "head on cached features", "ours, batched", per_further, unit="heads", ours=True,
            note=batch,
        ),
    ]  # fmt: skip
    return result


def standardised(features: torch.Tensor) -> torch.Tensor:
    """Mean 0 and variance 1 in every feature that changes, as the solver does it."""
    return (features - features.mean(0)) / spread(features)


def spread(features: torch.Tensor) -> torch.Tensor:
    import torch

    found = features.std(0, unbiased=False)
    return torch.where(found > 1e-6, found, torch.ones_like(found))


def in_standard_form(
    features: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
):
    """Arguments of ``objective`` for a head on raw features, in float64."""
    features, weight, bias = (part.cpu().double() for part in (features, weight, bias))
    scaled = weight * spread(features)
    shifted = bias + weight @ features.mean(0)
    parts = (standardised(features), labels.cpu(), scaled, shifted)
    return tuple(part.numpy() for part in parts)


def objective(features, labels, weight, bias) -> float:
    """Mean cross-entropy + penalty / 2 * ||W||^2 of a head on standardised features."""
    import numpy as np
    from scipy.special import logsumexp

    logits = features @ weight.T + bias
    loss = logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]
    return float(loss.mean() + REGULARIZATION / 2 * (weight**2).sum())
