"""Transferability of one source and one reference: PGD-50, linf 8/255, both directions.

Peer: the released image-by-image protocol (peers/released_protocol.py), float32, on few images;
its time does not depend on which, so its rate stands for any number. Ours: attacks on batches, in
bf16 as the workflow does by default, and in fp32; then responses in float32 and every metric.
All start from the same random points. Labels are the reference's predictions, so that the peer
skips no image.

Facts: the largest and the median difference of an image's alpha_1 (source to reference) to the
peer's on the images that the peer had, relative to the peer's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..harness import Measurement, Settings, interleaved, synchronised

if TYPE_CHECKING:
    import numpy as np
    import torch

    from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
    from workflow_scripts.advtransfer.metrics.transferability import PairMetrics
    from workflow_scripts.advtransfer.models.network import Network

EPSILON, STEPS = 8 / 255, 50
PEER = "released protocol, image by image"
# Source and reference by (name, seed), the peer's images, ours, and the target.
PAIRS = {
    "ResNet-18": (("resnet18", 0), ("resnet18_tuned", 0), 2, 24, 6.0),
    "LeNet-5": (("lenet", 0), ("lenet", 1), 8, 250, 14.0),
}


@dataclass
class Attacked:
    """A network in float32, the perturbations made on it, and its logits without and with them."""

    network: Network
    deltas: torch.Tensor
    clean: np.ndarray
    own: np.ndarray


def attacked(network: Network, images: torch.Tensor, recipe: AttackRecipe, seed: int) -> Attacked:
    """Attack all images (float32, in [0, 1]) away from the network's predictions, as the steps do.

    Args:
        recipe: attack, its precision included.
        seed: of the random start.
    """
    import torch

    from workflow_scripts.advtransfer.attacks.run import AttackedCopies, attack_images
    from workflow_scripts.advtransfer.models.inference import predict

    copies = AttackedCopies(network)
    exact = copies["fp32"]
    clean = predict(exact, images)
    generator = torch.Generator().manual_seed(seed)
    deltas = attack_images(copies[recipe.precision], images, clean.argmax(1), recipe, generator)
    own = predict(exact, images + deltas)
    return Attacked(exact, deltas, clean.cpu().numpy(), own.cpu().numpy())


def between(first: Attacked, second: Attacked, images: torch.Tensor) -> PairMetrics:
    """Every metric of the perturbations of ``first`` shown to ``second``, over all images."""
    import numpy as np

    from workflow_scripts.advtransfer.metrics.transferability import measure_pair, tau_1
    from workflow_scripts.advtransfer.models.inference import predict

    return measure_pair(
        f1_clean=first.clean,
        f1_own=first.own,
        f2_clean=second.clean,
        f2_transferred=predict(second.network, images + first.deltas).cpu().numpy(),
        f2_own=second.own,
        alignment=tau_1(first.deltas.cpu().numpy(), second.deltas.cpu().numpy()),
        labels=second.clean.argmax(1),
        mask=np.ones(len(images), dtype=bool),
    )


def starts(images: torch.Tensor, recipe: AttackRecipe, seed: int) -> torch.Tensor:
    """The points that `attacked` starts from, for peers; images must fit into one batch."""
    import torch

    from workflow_scripts.advtransfer.attacks.ball import random_start

    generator = torch.Generator().manual_seed(seed)
    return random_start(images, recipe.epsilon, recipe.norm, generator)


def recipe_of(precision: str, **changed: float) -> AttackRecipe:
    """PGD-50 from a random start, 2.5 epsilon / steps a step."""
    from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe

    return AttackRecipe(
        "pgd", "linf", EPSILON, steps=STEPS, random_start=True, precision=precision, **changed
    )


def run(settings: Settings) -> list[Measurement]:
    return [m for title in PAIRS for m in one_pair(title, settings)]


def one_pair(title: str, settings: Settings) -> list[Measurement]:
    import numpy as np

    from workflow_scripts.advtransfer.data.batches import as_float

    from .. import networks
    from ..peers.released_protocol import measure

    source_name, reference_name, few, many, target = PAIRS[title]
    if settings.quick:
        few, many = 1, 2
    measurements = []
    source = networks.network(source_name[0], settings, source_name[1])
    reference = networks.network(reference_name[0], settings, reference_name[1])
    images = as_float(networks.cifar10("test", many, settings)[0])
    plain = [networks.contiguous(network) for network in (source, reference)]
    labels = plain[1](images[:few]).argmax(1)
    case = f"transferability, PGD-{STEPS}, {title}"
    alphas: dict[str, np.ndarray] = {}

    def peer() -> None:
        start = starts(images, recipe_of("fp32"), 0)[:few]
        found = measure(
            *plain, images[:few].contiguous(), labels, start, start, EPSILON, STEPS,
            2.5 * EPSILON / STEPS,
        )  # fmt: skip
        alphas[PEER] = np.array(found["source_to_reference"]["alpha_1_per_image"])

    def ours(name: str, precision: str) -> None:
        recipe = recipe_of(precision)
        first = attacked(source, images, recipe, 0)
        second = attacked(reference, images, recipe, 0)
        between(second, first, images)
        alphas[name] = between(first, second, images).per_image["alpha_1"][:few]

    contenders = {
        PEER: peer,
        "ours, bf16": lambda: ours("ours, bf16", "bf16"),
        "ours, fp32": lambda: ours("ours, fp32", "fp32"),
    }
    contenders = {key: synchronised(f, settings.device) for key, f in contenders.items()}
    for name, times in interleaved(contenders, min(settings.repeats, 3), case).items():
        measurement = Measurement(
            case,
            name,
            times,
            work=few if name == PEER else many,
            unit="images",
            ours=name != PEER,
        )
        if measurement.ours:
            differences = np.abs(alphas[name] / alphas[PEER] - 1)
            measurement.facts = {
                "alpha_1_largest_difference": float(differences.max()),
                "alpha_1_median_difference": float(np.median(differences)),
            }
            measurement.target = target if name == "ours, bf16" else None
        else:
            measurement.note = f"rate from {few} images"
        measurements.append(measurement)
    return measurements
