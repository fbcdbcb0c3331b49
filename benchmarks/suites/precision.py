"""What bf16 costs: attacks in bf16 and in fp32 on natural and on adversarially trained networks.

No timing. ResNet-8 as in the default configuration, natural, robust linf and robust l2, each
against a natural reference of another seed; PGD-10. From every random start both precisions attack
the same images; responses and metrics are float32 either way. ``difference`` is bf16 less fp32,
averaged over starts; ``spread`` is the standard deviation over starts in fp32: what another random
start alone changes. bf16 is harmless where the first is no larger than the second.

Own strength: ``mean_loss`` and ``success_rate`` of the attacked network under its own attack,
against its clean predictions. Transfer: docs/results.md. ``alpha_1_per_image`` has no mean: its
``difference`` is the median relative difference of one image's alpha_1 between the precisions, its
``spread`` that between two starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..harness import Settings
from .metrics import Attacked, attacked, between

if TYPE_CHECKING:
    import numpy as np
    import torch

    from workflow_scripts.advtransfer.models.network import Network

NETWORKS = {"natural": "resnet8", "robust linf": "resnet8_linf", "robust l2": "resnet8_l2"}
EPSILONS = {"linf": 8 / 255, "l2": 0.5}
IMAGES, STARTS = 300, 5
OWN = ("mean_loss", "success_rate")
TRANSFER = (
    "alpha_1_mean",
    "alpha_1_median",
    "alpha_2",
    "combined",
    "tau_1",
    "tau_2",
    "transfer_success_rate",
)
PER_IMAGE = "alpha_1_per_image"
PRECISIONS = ("fp32", "bf16")
COLUMNS = (
    "network",
    "attack",
    "direction",
    "metric",
    "images",
    "starts",
    "fp32",
    "bf16",
    "difference",
    "largest_difference",
    "spread",
)


def rows(settings: Settings) -> list[dict[str, object]]:
    """One row a network, attack, direction (or ``own``) and metric."""
    from workflow_scripts.advtransfer.data.batches import as_float
    from workflow_scripts.advtransfer.epsilon import format_epsilon

    from .. import networks

    images = as_float(networks.cifar10("test", 8 if settings.quick else IMAGES, settings)[0])
    seeds = range(2 if settings.quick else STARTS)
    reference = networks.network("resnet8", settings, seed=1)
    found: list[dict[str, object]] = []
    for norm, epsilon in EPSILONS.items():
        attack = f"PGD-10 {norm} {format_epsilon(epsilon)}"
        references = _all_attacked(reference, images, norm, epsilon, seeds)
        for title, name in NETWORKS.items():
            source = networks.network(name, settings)
            sources = _all_attacked(source, images, norm, epsilon, seeds)
            measured = {key: _measured(sources[key], references[key], images) for key in sources}
            for direction, metric in next(iter(measured.values())):
                values = {
                    precision: [measured[precision, seed][direction, metric] for seed in seeds]
                    for precision in PRECISIONS
                }
                found.append(
                    {
                        "network": title,
                        "attack": attack,
                        "direction": direction,
                        "metric": metric,
                        "images": len(images),
                        "starts": len(seeds),
                    }
                    | (_per_image(values) if metric == PER_IMAGE else _summary(values))
                )
    return found


def _all_attacked(
    network: Network, images: torch.Tensor, norm: str, epsilon: float, seeds: Sequence[int]
) -> dict[tuple[str, int], Attacked]:
    """The network attacked in every precision from every start."""
    from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe

    return {
        (precision, seed): attacked(
            network,
            images,
            AttackRecipe("pgd", norm, epsilon, steps=10, random_start=True, precision=precision),
            seed,
        )
        for precision in PRECISIONS
        for seed in seeds
    }


def _measured(
    source: Attacked, reference: Attacked, images: torch.Tensor
) -> dict[tuple[str, str], np.ndarray]:
    """Values, or one per image, by (direction, metric)."""
    import numpy as np

    from workflow_scripts.advtransfer.metrics.losses import cross_entropy

    predicted = source.clean.argmax(1)
    found = {
        ("own", "mean_loss"): cross_entropy(source.own, predicted).mean(),
        ("own", "success_rate"): (source.own.argmax(1) != predicted).mean(),
    }
    for direction, pair in (
        ("source_to_reference", (source, reference)),
        ("reference_to_source", (reference, source)),
    ):
        metrics = between(*pair, images)
        found |= {(direction, metric): np.asarray(metrics.values[metric]) for metric in TRANSFER}
        found[direction, PER_IMAGE] = metrics.per_image["alpha_1"]
    return found


def _summary(values: Mapping[str, list[np.ndarray]]) -> dict[str, object]:
    import numpy as np

    exact, rounded = (np.array(values[precision], dtype=float) for precision in PRECISIONS)
    return {
        "fp32": float(exact.mean()),
        "bf16": float(rounded.mean()),
        "difference": float((rounded - exact).mean()),
        "largest_difference": float(np.abs(rounded - exact).max()),
        "spread": float(exact.std(ddof=1)),
    }


def _per_image(values: Mapping[str, list[np.ndarray]]) -> dict[str, object]:
    import numpy as np

    exact, rounded = (np.stack(values[precision]) for precision in PRECISIONS)
    precisions = np.abs(rounded / exact - 1)
    starts = np.abs(exact[1:] / exact[:-1] - 1)
    return {
        "fp32": "",
        "bf16": "",
        "difference": float(np.nanmedian(precisions)),
        "largest_difference": float(np.nanmax(precisions)),
        "spread": float(np.nanmedian(starts)),
    }


def section(found: list[dict[str, str]]) -> list[str]:
    """Lines of markdown: a row a network and attack, source to reference."""
    shown = [("own", m) for m in OWN] + [("source_to_reference", m) for m in TRANSFER]
    by_key = {(r["network"], r["attack"], r["direction"], r["metric"]): r for r in found}
    lines = [
        "fp32 value, what bf16 changes, and in brackets what another random start changes",
        f"({found[0]['starts']} starts, {found[0]['images']} images); source to reference. Both",
        "directions and single images: precision.csv.",
        "",
        "| network | attack | " + " | ".join(metric for _, metric in shown) + " |",
        "|---" * (len(shown) + 2) + "|",
    ]
    for network, attack in dict.fromkeys((r["network"], r["attack"]) for r in found):
        cells = []
        for key in shown:
            row = by_key[network, attack, *key]
            exact, difference, spread = (float(row[c]) for c in ("fp32", "difference", "spread"))
            cells.append(f"{exact:.3g} {difference:+.1g} [{spread:.1g}]")
        lines.append(f"| {network} | {attack} | " + " | ".join(cells) + " |")
    return lines
