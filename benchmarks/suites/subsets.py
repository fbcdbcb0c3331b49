"""A part of the data-efficiency grid: one source (ResNet-8, six classes), one target (four others).

Grids like the default configuration's: ``heads`` (solved, 7 sizes), ``head_epochs`` (the papers'
SGD, 150 epochs, 4 sizes) and ``blocks`` (the last 1 and 3 fine-tuned, 20 epochs, 3 sizes), each
with 10 subsets of every size, drawn from 10,000 images; 1,000 test images after every epoch.

Peer: every run by itself in a plain loop (peers/fine_tuning.py), the whole network in every pass,
float32 as torch gives it, and in bf16 autocast. It has the same subsets and recipes; where ours
solves heads it trains them as the papers do. Both grids of heads then ask it for the same runs at
four sizes: `all grids` has them as separate as all others, the next case once. Ours: what
`transfer_subsets` does, on activations computed once for every cut (that of the head is shared by
both grids), which is part of the time; files and start-up are not. One thread, whatever --threads.

The peer is timed on one subset of every size in every round, another one each time, and scaled up;
heads for 2 of their 150 epochs and bf16 blocks for 4 of their 20, all epochs having the same work.
On a CPU ours fine-tunes blocks in one run after another: rounds share its ten subsets, and what a
round takes is scaled up. The rest of ours is done in full.

Facts: accuracy at the end, mean and standard deviation (sd) over the subsets that were run, for
every size; the peer's heads from the same float32 loop on kept features, untimed. Ours: mean
difference to the peer on the subsets that both ran, and the largest over the sizes, in sd.
"""

from __future__ import annotations

import copy
import functools
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..harness import Measurement, Settings, interleaved, synchronised

if TYPE_CHECKING:
    import torch

    from workflow_scripts.advtransfer.data.view_recipe import ViewRecipe
    from workflow_scripts.advtransfer.models.network import Network
    from workflow_scripts.advtransfer.training.recipe import TrainingRecipe
    from workflow_scripts.advtransfer.transfer.recipe import ModeRecipe
    from workflow_scripts.advtransfer.transfer.subsets_recipe import SubsetsRecipe

    from ..peers.fine_tuning import Labelled, Sgd

CLASSES = ("dog", "horse", "ship", "truck")
TARGET = 10.0
PRECISIONS = {"fp32": "separate runs", "bf16": "separate runs, bf16"}
Accuracies = dict[tuple[int, int], float]  # by size and subset seed


@dataclass(frozen=True)
class Part:
    """Runs of one mode: a grid, or what is in it for one number of ``blocks``."""

    title: str
    mode: ModeRecipe
    peer_mode: ModeRecipe  # what the plain loop trains in its place
    images: tuple[int, ...]
    epochs: dict[str, int]  # that the peer is timed for, by precision


def parts(quick: bool) -> list[Part]:
    """As in config.yaml, which has 1 and 2 blocks in batches of 32 and fewer large sizes."""
    from workflow_scripts.advtransfer.training.recipe import TrainingRecipe
    from workflow_scripts.advtransfer.transfer.recipe import ModeRecipe

    papers = TrainingRecipe(
        epochs=2 if quick else 150,
        batch_size=128,
        learning_rate=0.1,
        weight_decay=5e-4,
        schedule="step",
        batch_norm="frozen",
        precision="bf16",
    )
    fine_tuning = TrainingRecipe(
        epochs=2 if quick else 20,
        batch_size=128,
        learning_rate=0.05,
        nesterov=True,
        weight_decay=5e-4,
        schedule="one_cycle",
        precision="bf16",
    )
    solved = ModeRecipe(
        "last_layer", "lbfgs", precision="bf16", regularizations=(1e-4, 1e-3, 1e-2, 1e-1)
    )
    head = ModeRecipe("last_layer", training=papers, initial_head="normal")
    sizes, epochs_sizes, blocks_sizes = (
        ((8, 16), (8,), (8,))
        if quick
        else ((100, 200, 400, 800, 1600, 3200, 6400), (100, 400, 1600, 6400), (100, 400, 1600))
    )
    few = {"fp32": 1 if quick else 2, "bf16": 1 if quick else 2}
    found = [
        Part("heads", solved, head, sizes, few),
        Part("head_epochs", head, head, epochs_sizes, few),
    ]
    for blocks in (1, 3):
        mode = ModeRecipe("unfrozen_blocks", training=fine_tuning, blocks=blocks)
        epochs = {"fp32": fine_tuning.epochs, "bf16": 1 if quick else 4}
        found.append(Part(f"blocks {blocks}", mode, mode, blocks_sizes, epochs))
    return found


@dataclass(frozen=True)
class Target:
    """Images and labels of a target, and the subsets that are drawn from it."""

    train: Labelled
    test: Labelled
    train_view: ViewRecipe
    test_view: ViewRecipe

    def subset(self, images: int, seeds: Sequence[int]) -> torch.Tensor:
        """Positions (seeds, images)."""
        import torch

        from workflow_scripts.advtransfer.recipes import to_json
        from workflow_scripts.advtransfer.transfer.subsets import draw_subsets

        labels, identity = self.train[1], to_json(self.train_view)
        drawn = draw_subsets(labels.cpu().numpy(), images, seeds, identity)
        return torch.from_numpy(drawn).to(labels.device)

    def recipe(self, part: Part, seeds: Sequence[int]) -> SubsetsRecipe:
        from workflow_scripts.advtransfer.transfer.subsets_recipe import SubsetsRecipe

        return SubsetsRecipe(self.train_view, self.test_view, part.mode, part.images, tuple(seeds))


def run(settings: Settings) -> list[Measurement]:
    import torch

    from workflow_scripts.advtransfer.data.view_recipe import ViewRecipe
    from workflow_scripts.advtransfer.models.inference import activations
    from workflow_scripts.advtransfer.transfer.subsets import runs_together

    from .. import networks

    torch.set_num_threads(1)  # as the workflow's jobs do
    pool, tested, seeds = (40, 20, range(2)) if settings.quick else (10_000, 1_000, range(10))
    rounds = min(settings.repeats, 5)
    network = networks.network("resnet8_six_classes", settings)
    target = Target(
        networks.cifar10("train", pool, settings, classes=CLASSES),
        networks.cifar10("test", tested, settings, classes=CLASSES),
        ViewRecipe(networks.CIFAR10, "train", CLASSES, images=pool),
        ViewRecipe(networks.CIFAR10, "test", CLASSES, images=tested),
    )
    plain = Plain(network, target)
    all_parts = parts(settings.quick)
    kept: dict[int, tuple[Labelled, Labelled]] = {}
    outcomes: dict[tuple[str, str], Accuracies] = defaultdict(dict)

    def compute(blocks: int) -> None:
        trunk, _ = network.split(blocks)
        kept[blocks] = (
            (activations(trunk, target.train[0], "bf16"), target.train[1]),
            (activations(trunk, target.test[0], "fp32"), target.test[1]),
        )

    def ours(part: Part, shares: Iterator[Sequence[int]]) -> None:
        found = outcomes["ours", part.title]
        found |= transferred(network, kept[part.mode.blocks], target, part, next(shares))

    def peer(part: Part, precision: str, turns: Iterator[int]) -> None:
        seed = next(turns)
        for images in part.images:
            stop = part.epochs[precision]
            accuracy = plain.run(part.peer_mode, images, seed, precision == "bf16", stop)
            if stop == training_of(part.peer_mode).epochs:
                outcomes[precision, part.title][images, seed] = accuracy

    contenders: dict[str, Callable[[], object]] = {}
    scales: dict[str, list[float]] = {}  # from seconds to those of the whole part, by round
    for part in all_parts:
        for precision in PRECISIONS:
            name = f"{precision} {part.title}"
            contenders[name] = functools.partial(peer, part, precision, iter(seeds))
            epochs = training_of(part.peer_mode).epochs / part.epochs[precision]
            scales[name] = [epochs * len(seeds)] * rounds
        cut = f"cut {part.mode.blocks}"
        if cut not in contenders:
            contenders[cut] = functools.partial(compute, part.mode.blocks)
            scales[cut] = [1.0] * rounds
        together = part.mode.solver == "lbfgs" or runs_together(part.mode, target.train[1].device)
        shares = [seeds if together else seeds[k::rounds] for k in range(rounds)]
        contenders[f"ours {part.title}"] = functools.partial(ours, part, iter(shares))
        scales[f"ours {part.title}"] = [len(seeds) / len(share) for share in shares]
    for part in all_parts:  # a round takes minutes: everything is warmed up on few images
        compute(part.mode.blocks)
        small = replace(part, images=part.images[:1])
        transferred(network, kept[part.mode.blocks], target, small, seeds[:1])
        for precision in PRECISIONS:
            plain.run(part.peer_mode, small.images[0], 0, precision == "bf16", 1)
    contenders = {key: synchronised(f, settings.device) for key, f in contenders.items()}
    taken = interleaved(contenders, rounds, "subsets", warm_up=False)
    seconds = {
        name: [time * scale for time, scale in zip(taken[name], scales[name], strict=True)]
        for name in contenders
    }
    for part in all_parts[:2]:
        outcomes["fp32", part.title] = plain.heads(part, seeds)
    return measurements(all_parts, seconds, outcomes, len(seeds))


def training_of(mode: ModeRecipe) -> TrainingRecipe:
    assert mode.training is not None
    return mode.training


def transferred(
    network: Network,
    activations: tuple[Labelled, Labelled],
    target: Target,
    part: Part,
    seeds: Sequence[int],
) -> Accuracies:
    """All subsets of a part as the workflow transfers to them."""
    from workflow_scripts.transfer_subsets import transferred

    recipe = target.recipe(part, seeds)
    found = {}
    for images in part.images:
        subsets = target.subset(images, seeds)
        runs = transferred(network, *activations, subsets, len(CLASSES), recipe)
        for seed, (history, _) in zip(seeds, runs, strict=True):
            found[images, seed] = history[-1]["test_accuracy"]
    return found


class Plain:
    """The peer's runs."""

    def __init__(self, network: Network, target: Target) -> None:
        from .. import networks

        self.target = target
        self.network: Any = networks.contiguous(network)  # a Network still
        self.train, self.test = (
            (images.contiguous(), labels) for images, labels in (target.train, target.test)
        )

    def run(
        self, mode: ModeRecipe, images: int, seed: int, bf16: bool, stop: int | None = None
    ) -> float:
        """Accuracy after the last epoch that was trained."""
        from ..peers.fine_tuning import fine_tune

        frozen, trained = self.fresh(mode, seed)
        (chosen,) = self.target.subset(images, [seed])
        train = self.train[0][chosen], self.train[1][chosen]
        sgd = sgd_of(mode)
        return fine_tune(frozen, trained, train, self.test, sgd, seed, bf16=bf16, stop=stop)[-1]

    def heads(self, part: Part, seeds: Sequence[int]) -> Accuracies:
        """Of the float32 loop, whose frozen network gives the same in every epoch."""
        import torch

        from workflow_scripts.advtransfer.data.batches import as_float

        from ..peers.fine_tuning import fine_tune

        frozen, _ = self.fresh(part.peer_mode, 0)
        with torch.no_grad():
            train, test = (
                torch.cat([frozen(as_float(images)) for images in data[0].split(250)])
                for data in (self.train, self.test)
            )
        found = {}
        for images in part.images:
            for seed, chosen in zip(seeds, self.target.subset(images, seeds), strict=True):
                _, head = self.fresh(part.peer_mode, seed)
                features = (train[chosen], self.train[1][chosen]), (test, self.test[1])
                accuracies = fine_tune(
                    torch.nn.Identity(), head, *features, sgd_of(part.peer_mode), seed
                )
                found[images, seed] = accuracies[-1]
        return found

    def fresh(self, mode: ModeRecipe, seed: int) -> tuple[torch.nn.Module, torch.nn.Module]:
        """Frozen and trained part of a copy of the network with a new head."""
        import torch

        network = copy.deepcopy(self.network).eval()
        torch.manual_seed(seed)
        network.replace_head(len(CLASSES))
        if mode.initial_head == "normal":
            torch.nn.init.normal_(network.head.weight)
            torch.nn.init.zeros_(network.head.bias)
        return network.split(mode.blocks)


def sgd_of(mode: ModeRecipe) -> Sgd:
    from ..peers.fine_tuning import Sgd

    training = training_of(mode)
    return Sgd(**{name: getattr(training, name) for name in Sgd._fields})


def measurements(
    all_parts: list[Part],
    seconds: dict[str, list[float]],
    outcomes: dict[tuple[str, str], Accuracies],
    seeds: int,
) -> list[Measurement]:
    """Rows of the whole, then of every part."""
    # Of head_epochs the plain loop has made every run for heads.
    without = [part for part in all_parts if part.title != "head_epochs"]
    cases: list[tuple[str, list[Part], list[Part]]] = [
        ("all grids", all_parts, all_parts),
        ("all grids, the peer's equal runs once", all_parts, without),
        *((part.title, [part], [part]) for part in all_parts),
    ]
    found = []
    for title, of_ours, of_peers in cases:
        case = f"{title}, {seeds} subsets of every size"
        for precision, contender in PRECISIONS.items():
            times = together(seconds, [f"{precision} {part.title}" for part in of_peers])
            note = "scaled up from one subset of every size" + epochs_timed(of_peers, precision)
            facts = statistics_of(outcomes[precision, title])
            found.append(Measurement(case, contender, times, unit="grids", note=note, facts=facts))
        cuts = dict.fromkeys(f"cut {part.mode.blocks}" for part in of_ours)
        times = together(seconds, [*cuts, *(f"ours {part.title}" for part in of_ours)])
        facts = statistics_of(outcomes["ours", title])
        facts |= differences(outcomes["ours", title], outcomes["fp32", title])
        whole = len(of_ours) > 1
        found.append(
            Measurement(
                case, "ours", times, unit="grids", ours=True, facts=facts,
                target=TARGET if whole else None,
            )
        )  # fmt: skip
    return found


def together(seconds: dict[str, list[float]], names: Sequence[str]) -> list[float]:
    """Sums over contenders, round by round."""
    return [sum(times) for times in zip(*(seconds[name] for name in names), strict=True)]


def epochs_timed(timed: list[Part], precision: str) -> str:
    """What was shortened, for a note."""
    said: dict[str, None] = {}
    for part in timed:
        whole, done = training_of(part.peer_mode).epochs, part.epochs[precision]
        if done < whole:
            said[f"{done} of {whole}"] = None
    return f" ({', '.join(said)} epochs)" if said else ""


def by_size(found: Accuracies) -> dict[int, dict[int, float]]:
    """Accuracies by subset seed, for every size."""
    sizes: dict[int, dict[int, float]] = defaultdict(dict)
    for (images, seed), accuracy in found.items():
        sizes[images][seed] = accuracy
    return sizes


def statistics_of(found: Accuracies) -> dict[str, float]:
    facts = {}
    for images, values in by_size(found).items():
        facts[f"accuracy_{images:04}"] = statistics.mean(values.values())
        if len(values) > 1:
            facts[f"sd_{images:04}"] = statistics.stdev(values.values())
    return facts


def differences(found: Accuracies, peers: Accuracies) -> dict[str, float]:
    """Ours less the peer's, on the same subsets."""
    own = by_size(found)
    means, in_sd = [], []
    for images, values in by_size(peers).items():
        means.append(statistics.mean(own[images][seed] - value for seed, value in values.items()))
        if spread := statistics.stdev(own[images].values()):
            in_sd.append(abs(means[-1]) / spread)
    if not in_sd:
        return {}
    return {"mean_difference": statistics.mean(means), "largest_difference_in_sd": max(in_sd)}
