"""Steps of adversarial training on a ResNet-18, batches of 128, linf ball of 8/255.

PGD-7 and PGD-3 (random start, steps of 2.5 epsilon / steps) against torchattacks in a plain loop
and the loop of the robustness library; FGSM from a random start (steps of 1.25 epsilon) against
torchattacks' FFGSM in a plain loop and the published fast loop. Peers: float32, peers/trainers.py,
batches ready in memory. Ours: `training.fit.fit` itself, as the workflow trains by default (bf16;
the attack on a folded copy), its shuffling and augmentation being part of the time. All start from
one trained network.

Facts, ours: GFLOP/s reached, and as a fraction of the bf16 convolution's that was timed in the same
rounds.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

from ..harness import Measurement, Settings, interleaved, synchronised

EPSILON = 8 / 255
BATCH = 128
LEARNING_RATE = 0.01  # the network is trained: nothing may diverge while it is timed


def run(settings: Settings) -> list[Measurement]:
    import torch

    from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
    from workflow_scripts.advtransfer.data.batches import as_float
    from workflow_scripts.advtransfer.training.fit import fit
    from workflow_scripts.advtransfer.training.recipe import TrainingRecipe

    from .. import networks
    from ..peers.trainers import fast_loop, robust_training_loop, torchattacks_in_the_loop
    from .attacks import input_gradient_flops, training_step_flops
    from .machine import convolution

    network = networks.network("resnet18", settings)
    step_flops, gradient_flops = training_step_flops(network), input_gradient_flops(network)
    pgd = {
        "torchattacks in the loop": torchattacks_in_the_loop,
        "robustness library's loop": robust_training_loop,
    }
    fgsm = {
        "torchattacks in the loop": torchattacks_in_the_loop,
        "published fast loop": fast_loop,
    }
    measurements: list[Measurement] = []
    # By attack: steps, step size, batches in a repeat, peers.
    cases: dict[str, tuple[int, float, int, dict[str, Callable[..., None]]]] = {
        "PGD-7": (7, 2.5 * EPSILON / 7, 1, pgd),
        "PGD-3": (3, 2.5 * EPSILON / 3, 1, pgd),
        "FGSM with random start": (1, 1.25 * EPSILON, 2, fgsm),
    }
    for attack, (steps, step_size, count, peers) in cases.items():
        batch = 4 if settings.quick else BATCH
        pixels, labels = networks.cifar10("train", count * batch, settings)
        images = as_float(pixels).contiguous()
        batches = list(zip(images.split(batch), labels.split(batch), strict=True))
        numbers = {"epsilon": EPSILON, "step_size": step_size, "steps": steps}
        recipe = TrainingRecipe(
            epochs=1,
            batch_size=batch,
            learning_rate=LEARNING_RATE,
            weight_decay=5e-4,
            schedule="constant",
            augmentation="crop_flip",
            precision="bf16",
            attack=AttackRecipe(
                "fgsm" if steps == 1 else "pgd",
                "linf",
                EPSILON,
                steps=steps,
                step_size=step_size,
                random_start=True,
                labels="true",
                precision="bf16",
            ),
        )
        contenders: dict[str, Callable[[], object]] = {}
        for name, loop in peers.items():
            model = networks.contiguous(network)
            optimizer = torch.optim.SGD(
                model.parameters(), lr=LEARNING_RATE, momentum=0.9, weight_decay=5e-4
            )
            contenders[name] = functools.partial(loop, model, batches, optimizer, **numbers)
        ours = copy.deepcopy(network)
        contenders["ours, bf16"] = functools.partial(fit, ours, pixels, labels, recipe, seed=0)
        contenders = {key: synchronised(f, settings.device) for key, f in contenders.items()}
        contenders["limit"], limit_flops = convolution(settings, "bfloat16")
        title = f"{attack}, ResNet-18"
        seconds = interleaved(contenders, min(settings.repeats, 3), title)
        limit = Measurement(title, "limit", seconds.pop("limit"), work=limit_flops)
        for name, times in seconds.items():
            measurement = Measurement(
                title, name, times, work=len(images), unit="images", ours=name not in peers
            )
            if measurement.ours:
                measurement.target = 2.0
                reached = measurement.rate * (steps * gradient_flops + step_flops)
                measurement.facts = {"gflops": reached / 1e9, "of_limit": reached / limit.rate}
            measurements.append(measurement)
    return measurements
