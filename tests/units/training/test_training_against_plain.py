"""Training against the obvious way to write it: the same accuracy, clean and attacked.

The plain loop has float32 everywhere, one network that is attacked in evaluation mode as it stands
(no folded copy), an attack of its own, and torch's cosine schedule. Ours runs in float32 and in
bf16, the default. A seed gives all of them the same first weights, while order and random starts
are drawn apart. So accuracies agree within seed noise, which is measured: the mean difference over
seeds has to be within four standard errors.
"""

from __future__ import annotations

import statistics
from functools import partial

import torch
import torch.nn.functional as F

from support.networks import SIZE, WITH_NORM, small_network
from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
from workflow_scripts.advtransfer.models.network import Network
from workflow_scripts.advtransfer.training.fit import fit
from workflow_scripts.advtransfer.training.recipe import TrainingRecipe

torch.set_num_threads(1)
CLASSES = 4
SEEDS = range(5)
EPOCHS, BATCH, RATE, MOMENTUM, DECAY = 4, 32, 0.05, 0.9, 5e-4
EPSILON, STEPS, STEP_SIZE = 8 / 255, 2, 5 / 255


def structured_set(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A pattern a class, mixed with another one's, shifted and under noise.

    The own share is .42 to 1: no network gets right where the other pattern is the stronger one.

    Returns:
        uint8 (N, 3, 16, 16) and int64 labels.
    """
    patterns = torch.rand(CLASSES, 3, 4, 4, generator=torch.Generator().manual_seed(0)) - 0.5
    patterns = F.interpolate(patterns, size=(SIZE, SIZE), mode="bilinear")
    stream = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    others = (labels + torch.randint(1, CLASSES, (count,), generator=stream)) % CLASSES
    share = 0.42 + 0.58 * torch.rand(count, 1, 1, 1, generator=stream)
    mixed = share * patterns[labels] + (1 - share) * patterns[others]
    shifts = torch.randint(-2, 3, (count, 2), generator=stream).tolist()
    shifted = [image.roll(shift, (1, 2)) for image, shift in zip(mixed, shifts, strict=True)]
    noise = torch.randn(count, 3, SIZE, SIZE, generator=stream)
    pixels = 0.5 + torch.stack(shifted) + 0.15 * noise
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8), labels


def plain_pgd(
    network: Network, images: torch.Tensor, labels: torch.Tensor, start: torch.Tensor
) -> torch.Tensor:
    """linf PGD from ``start``; the perturbed images."""
    low, high = (images - EPSILON).clamp(min=0), (images + EPSILON).clamp(max=1)
    moved = torch.clamp(images + start, low, high)
    for _ in range(STEPS):
        moved.requires_grad_(True)
        loss = F.cross_entropy(network(moved), labels)
        gradient = torch.autograd.grad(loss, moved)[0]
        moved = torch.clamp(moved.detach() + STEP_SIZE * gradient.sign(), low, high)
    return moved


def plain_training(
    network: Network, images: torch.Tensor, labels: torch.Tensor, adversarial: bool, seed: int
) -> None:
    """SGD with momentum and a cosine schedule, batch after batch."""
    stream = torch.Generator().manual_seed(1000 + seed)
    pixels = images.float() / 255
    optimizer = torch.optim.SGD(network.parameters(), RATE, momentum=MOMENTUM, weight_decay=DECAY)
    total = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(images), generator=stream).split(BATCH):
            x, y = pixels[chosen], labels[chosen]
            if adversarial:
                network.eval()
                start = (torch.rand(x.shape, generator=stream) * 2 - 1) * EPSILON
                x = plain_pgd(network, x, y, start)
            network.train()
            optimizer.zero_grad()
            F.cross_entropy(network(x), y).backward()
            optimizer.step()
            schedule.step()
    network.eval()


def our_training(
    network: Network,
    images: torch.Tensor,
    labels: torch.Tensor,
    adversarial: bool,
    seed: int,
    precision: str,
) -> None:
    attack = AttackRecipe(
        "pgd", "linf", EPSILON, STEPS, STEP_SIZE, random_start=True, labels="true",
        precision=precision,
    )  # fmt: skip
    recipe = TrainingRecipe(
        EPOCHS, BATCH, RATE, MOMENTUM, weight_decay=DECAY, schedule="cosine",
        attack=attack if adversarial else None, precision=precision,
    )  # fmt: skip
    fit(network, images, labels, recipe, seed=seed)


def accuracies(network: Network, images: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    pixels = images.float() / 255
    attacked = plain_pgd(network, pixels, labels, torch.zeros_like(pixels))
    with torch.no_grad():
        return {
            name: float((network(x).argmax(1) == labels).float().mean())
            for name, x in (("clean", pixels), ("attacked", attacked))
        }


def test_the_same_accuracy_as_plain_training():
    train, test = structured_set(512, seed=1), structured_set(500, seed=2)
    methods = {
        "plain": plain_training,
        "fp32": partial(our_training, precision="fp32"),
        "bf16": partial(our_training, precision="bf16"),
    }
    found: dict[str, dict[str, list[float]]] = {side: {} for side in methods}
    for side, method in methods.items():
        for kind in ("natural", "adversarial"):
            for seed in SEEDS:
                network = small_network(WITH_NORM, CLASSES, seed)
                method(network, *train, kind == "adversarial", seed)
                for name, value in accuracies(network, *test).items():
                    found[side].setdefault(f"{kind}, {name}", []).append(value)

    differences = {
        (side, name): [a - b for a, b in zip(values, found["plain"][name], strict=True)]
        for side in ("fp32", "bf16")
        for name, values in found[side].items()
    }
    # One spread for all, pooled, as that of five differences is itself uncertain.
    spread = statistics.mean(statistics.variance(d) for d in differences.values()) ** 0.5
    tolerance = 4 * spread / len(SEEDS) ** 0.5
    for case, values in differences.items():
        assert abs(statistics.mean(values)) < tolerance, (case, found, tolerance)

    # What that is worth: the problem is neither trivial nor hopeless, and a training that forgot
    # its attack would be found out.
    for side in found.values():
        mean = {name: statistics.mean(values) for name, values in side.items()}
        assert 0.75 < mean["adversarial, clean"] <= mean["natural, clean"] < 0.92
        assert mean["adversarial, attacked"] - mean["natural, attacked"] > 2 * tolerance
