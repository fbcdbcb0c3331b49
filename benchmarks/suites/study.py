"""A study's transferability as a whole: five sources against one reference, PGD-50, linf 8/255.

Peer: the released image-by-image protocol for every source, which attacks the reference anew each
time; float32, on few images, its rate standing for any number. It is a run of its own for each
direction and a study has both: the case of both directions counts two runs (twice the time of one),
the other case one, although our time gives both. Ours in bf16: the reference attacked once for all
sources, images in batches; with ``tolerance`` .02 images whose loss has converged leave the batch.
The same without leaving, to tell what it gains and what it loses.

LeNet-5: five sources and the reference of different seeds. ResNet-18: the reference is trained from
scratch, the sources go on from it for one epoch each on other images with other seeds (five more
from scratch would take the time of the whole benchmark).

Facts of the leaving run, over sources and both directions: the mean loss of the attacked networks
and mean alpha_1 relative to the run without leaving (0: equal).
"""

from __future__ import annotations

from collections.abc import Callable

from ..harness import Measurement, Settings, interleaved, synchronised
from .metrics import EPSILON, PEER, STEPS, attacked, between, recipe_of, starts

SOURCES = 5
TOLERANCE = 0.02
TARGET = 20.0
# Reference and sources by (name, seed), the peer's images, ours.
STUDIES = {
    "ResNet-18": (("resnet18", 0), [("resnet18_tuned", k) for k in range(SOURCES)], 1, 24),
    "LeNet-5": (("lenet", 0), [("lenet", k) for k in range(1, SOURCES + 1)], 8, 250),
}


def run(settings: Settings) -> list[Measurement]:
    return [m for title in STUDIES for m in one_study(title, settings)]


def one_study(title: str, settings: Settings) -> list[Measurement]:
    import numpy as np

    from workflow_scripts.advtransfer.data.batches import as_float
    from workflow_scripts.advtransfer.metrics.losses import cross_entropy

    from .. import networks
    from ..peers.released_protocol import measure

    reference_name, source_names, few, many = STUDIES[title]
    if settings.quick:
        few, many = 1, 2
    reference = networks.network(reference_name[0], settings, reference_name[1])
    sources = [networks.network(name, settings, seed) for name, seed in source_names]
    images = as_float(networks.cifar10("test", many, settings)[0])
    plain_reference = networks.contiguous(reference)
    plain_sources = [networks.contiguous(source) for source in sources]
    labels = plain_reference(images[:few]).argmax(1)
    outcome: dict[str, tuple[float, float]] = {}

    def peer() -> None:
        for source in plain_sources:
            start = starts(images, recipe_of("fp32"), 0)[:few]
            measure(
                source, plain_reference, images[:few].contiguous(), labels, start, start,
                EPSILON, STEPS, 2.5 * EPSILON / STEPS,
            )  # fmt: skip

    def ours(name: str, tolerance: float) -> None:
        recipe = recipe_of("bf16", tolerance=tolerance)
        second = attacked(reference, images, recipe, 0)
        losses = [cross_entropy(second.own, second.clean.argmax(1))]
        alphas = []
        for source in sources:
            first = attacked(source, images, recipe, 0)
            losses.append(cross_entropy(first.own, first.clean.argmax(1)))
            for pair in ((first, second), (second, first)):
                alphas.append(between(*pair, images).values["alpha_1_mean"])
        outcome[name] = float(np.mean(losses)), float(np.mean(alphas))

    leaving, all_steps = "ours, bf16, converged images leave", "ours, bf16, all steps"
    contenders: dict[str, Callable[[], object]] = {
        PEER: peer,
        leaving: lambda: ours(leaving, TOLERANCE),
        all_steps: lambda: ours(all_steps, 0.0),
    }
    contenders = {key: synchronised(f, settings.device) for key, f in contenders.items()}
    # A round takes a minute and more: the first is no slower than the others.
    repeats, warm_up = (2, False) if title == "ResNet-18" else (3, True)
    repeats = min(settings.repeats, repeats)
    seconds = interleaved(contenders, repeats, title, warm_up=warm_up)

    loss, alpha = outcome[leaving]
    exact_loss, exact_alpha = outcome[all_steps]
    lost = {
        "mean_loss_difference": loss / exact_loss - 1,
        "mean_alpha_1_difference": alpha / exact_alpha - 1,
    }
    measurements = []
    for directions, runs in (("both directions", 2), ("one direction", 1)):
        case = f"study of {SOURCES} sources, {title}, {directions}"
        note = f"rate from {few} images, {runs} run{'s' if runs > 1 else ''} for each source"
        peers_times = [runs * time for time in seconds[PEER]]
        measurements += [
            Measurement(case, PEER, peers_times, work=few, unit="images", note=note),
            Measurement(
                case, leaving, seconds[leaving], work=many, unit="images", ours=True, facts=lost,
                target=TARGET,
            ),
            Measurement(
                case, all_steps, seconds[all_steps], work=many, unit="images", ours=True
            ),
        ]  # fmt: skip
    return measurements
