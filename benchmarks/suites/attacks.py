"""Attacks against torchattacks, foolbox and adversarial-robustness-toolbox.

PGD-10 in the linf (8/255) and the l2 ball (.5) and FGSM, on a ResNet-18 and a LeNet-5 trained on
CIFAR-10, all from the clean image and with one step size. Peers get the float32 network in
evaluation mode as their users would call them. Ours twice: as the workflow attacks by default
(bf16, channels-last, batch norm folded in), making that copy being part of the time; and in fp32 on
the very network that the peers get, same memory format, norms not folded.

Facts: ``mean_loss``, the cross-entropy that the float32 network ends at (strength; higher is
stronger); ``largest_difference`` of a pixel's perturbation to torchattacks' and
``share_different``, the share of pixels where there is any beyond rounding (a gradient near zero
changes its sign); for the bf16 rows the GFLOP/s reached, and as a fraction of the bf16
convolution's that was timed in the same rounds.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from ..harness import Measurement, Settings, interleaved, synchronised
from ..peers.attacks import PEERS, Case

if TYPE_CHECKING:
    import torch

EPSILONS = {"linf": 8 / 255, "l2": 0.5}
STEPS = 10
OURS, OURS_FP32 = "ours, bf16", "ours, fp32"


def cases() -> dict[str, Case]:
    pgd = {
        f"PGD-{STEPS} {norm}": Case(norm, epsilon, STEPS, 2.5 * epsilon / STEPS)
        for norm, epsilon in EPSILONS.items()
    }
    epsilon = EPSILONS["linf"]
    return pgd | {"FGSM linf": Case("linf", epsilon, 1, epsilon)}


# Enough images for a steady rate, few enough for the slow peers.
IMAGES = {("resnet18", False): 32, ("resnet18", True): 128, ("lenet", False): 500}
IMAGES[("lenet", True)] = 2_000
TITLES = {"resnet18": "ResNet-18", "lenet": "LeNet-5"}


def run(settings: Settings) -> list[Measurement]:
    measurements = []
    for name in TITLES:
        for title, case in cases().items():
            count = 4 if settings.quick else IMAGES[name, case.single_step]
            measurements += one_case(name, f"{title}, {TITLES[name]}", case, count, settings)
    return measurements


def one_case(
    name: str, title: str, case: Case, count: int, settings: Settings
) -> list[Measurement]:
    import torch

    from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
    from workflow_scripts.advtransfer.attacks.run import attack_images
    from workflow_scripts.advtransfer.data.batches import as_float
    from workflow_scripts.advtransfer.models.inference import BATCH
    from workflow_scripts.advtransfer.models.network import inference_copy

    from .. import networks
    from .machine import convolution

    network = networks.network(name, settings)
    title += networks.use_threads(name, settings)
    pixels, labels = networks.cifar10("test", count, settings)
    images = as_float(pixels).contiguous()
    plain = networks.contiguous(network)
    recipe = AttackRecipe(
        "fgsm" if case.single_step else "pgd",
        case.norm,
        case.epsilon,
        steps=case.steps,
        step_size=case.step_size,
    )
    made: dict[str, torch.Tensor] = {}

    def peer(contender: str) -> None:
        parts = zip(images.split(BATCH), labels.split(BATCH), strict=True)
        adversarial = [PEERS[contender](plain, x, y, case) for x, y in parts]
        made[contender] = torch.cat(adversarial) - images

    def ours() -> None:
        copied = inference_copy(network, "bf16")
        made[OURS] = attack_images(copied, pixels, labels, recipe, torch.Generator())

    def ours_fp32() -> None:
        made[OURS_FP32] = attack_images(plain, images, labels, recipe, torch.Generator())

    contenders = {contender: functools.partial(peer, contender) for contender in PEERS}
    contenders |= {OURS: ours, OURS_FP32: ours_fp32}
    contenders = {key: synchronised(f, settings.device) for key, f in contenders.items()}
    contenders["limit"], limit_flops = convolution(settings, "bfloat16")
    seconds = interleaved(contenders, min(settings.repeats, 3), title)

    limit = Measurement(title, "limit", seconds.pop("limit"), work=limit_flops)
    flops = case.steps * input_gradient_flops(network)
    measurements = []
    for contender, times in seconds.items():
        delta = made[contender]
        differences = (delta - made["torchattacks"]).abs()
        measurement = Measurement(
            title,
            contender,
            times,
            work=count,
            unit="images",
            ours=contender not in PEERS,
            facts={
                "mean_loss": mean_loss(plain, images + delta, labels),
                "largest_difference": float(differences.max()),
                "share_different": float((differences > 1e-6).float().mean()),
            },
        )
        if contender == OURS:
            measurement.target = 1.9 if case.norm == "l2" else 2.0
            reached = measurement.rate * flops
            measurement.facts |= {"gflops": reached / 1e9, "of_limit": reached / limit.rate}
        elif contender == OURS_FP32:
            measurement.target = 1.0
            measurement.note = "same memory format, norms not folded"
        measurements.append(measurement)
    return measurements


def mean_loss(network: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Mean cross-entropy of a network on images."""
    import torch.nn.functional as F

    from workflow_scripts.advtransfer.models.inference import predict

    return float(F.cross_entropy(predict(network, images), labels))


def input_gradient_flops(network: torch.nn.Module) -> float:
    """FLOPs of one image's gradient in the pixels: forward, and the layers' data gradients."""
    return _flops(network, weights=False)


def training_step_flops(network: torch.nn.Module) -> float:
    """FLOPs of one image's share of a training step: forward, data and weight gradients."""
    return _flops(network, weights=True)


def _flops(network: torch.nn.Module, weights: bool) -> float:
    """Of convolutions and products of matrices, a multiply-add counting two."""
    import copy

    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counted = copy.deepcopy(network).eval().requires_grad_(weights)
    device = next(counted.parameters()).device
    image = torch.zeros(1, 3, 32, 32, device=device, requires_grad=not weights)
    with FlopCounterMode(display=False) as counter:
        counted(image).sum().backward()
    return float(counter.get_total_flops())
