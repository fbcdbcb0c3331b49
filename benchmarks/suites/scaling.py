"""How time and memory grow: images, seeds, models, jobs; each doubled three times.

The real steps (attack a LeNet-5 by PGD, respond, compute metrics) run in processes of their own on
random pixels, each after a first, untimed run of the smallest case. Rows hold the seconds of the
largest case; facts the exponent of the seconds (least squares in log-log; 1 is linear) and, for the
number of images, every process's peak memory in MB: flat is the aim. Jobs: `snakemake -n` of a
study of many mixtures and seeds in a copy of the workflow without data; aim: 15,000 jobs in 60 s.
No peers.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from ..harness import Measurement, Settings, copy_workflow

if TYPE_CHECKING:
    from workflow_scripts.advtransfer.data.view_recipe import ViewRecipe

ROOT = Path(__file__).parents[2]
FACTORS = (1, 2, 4, 8)
IMAGES = 1_000  # times the factor
MIXTURES = 13  # times the factor; with 10 seeds 14,805 jobs at the largest
SEEDS = 10
AIM = 60.0  # seconds for the largest dry run

# Runs [step, options] one after another in one process, the first once more before: prints the
# seconds of all and the process's peak memory in MB. Linux tells the peak of this very program;
# what getrusage tells begins with the peak of the process that started it.
RUN_STEPS = """
import importlib, json, re, resource, sys, time
jobs = json.loads(sys.argv[1])
def run(step, options):
    module = importlib.import_module("workflow_scripts." + step)
    module.main(module.parser().parse_args(options))
run(*jobs[0])
started = time.perf_counter()
for job in jobs[1:]:
    run(*job)
seconds = time.perf_counter() - started
try:
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1)) / 1024
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps([seconds, peak]))
"""
Job = tuple[str, list[str]]


def run(settings: Settings) -> list[Measurement]:
    factors = FACTORS[:2] if settings.quick else FACTORS
    with tempfile.TemporaryDirectory() as folder:
        steps = Steps(Path(folder), settings, factors)
        measurements = images(steps, factors)
        measurements += [seeds(steps, factors), models(steps, factors)]
    return [*measurements, jobs(settings, factors)]


class Steps:
    """Options of the steps on files in a folder, which also holds what they need."""

    def __init__(self, folder: Path, settings: Settings, factors: Sequence[int]) -> None:
        import numpy as np
        import torch

        from workflow_scripts.advtransfer.artifacts.hdf5 import write_hdf5
        from workflow_scripts.advtransfer.data.recipe import DatasetRecipe
        from workflow_scripts.advtransfer.data.view_recipe import ViewRecipe
        from workflow_scripts.advtransfer.data.views import make_view
        from workflow_scripts.advtransfer.models.zoo import build_network, save_checkpoint

        from ..networks import CLASSES, LENET

        self.folder, self.settings = folder, settings
        self.base = 20 if settings.quick else IMAGES
        self.dataset = folder / "dataset.h5"
        count = self.base * max(factors)
        pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        write_hdf5(
            self.dataset,
            {"test/images": pixels, "test/labels": np.arange(count) % len(CLASSES)},
            {"class_names": list(CLASSES)},
        )
        self.recipes: dict[int, ViewRecipe] = {}
        for factor in factors:
            recipe = ViewRecipe(
                DatasetRecipe("cifar10"), "test", CLASSES, images=self.base * factor
            )
            self.recipes[factor] = recipe
            make_view(recipe, self.dataset, folder / f"view{factor}.h5")
        for seed in range(max(factors) + 1):
            torch.manual_seed(seed)
            network = build_network(LENET, len(CLASSES), 32)
            path = folder / f"{seed}.safetensors"
            save_checkpoint(path, network, LENET, CLASSES, 32)

    def chain(self, factor: int, seeds: Sequence[int], reference: int) -> dict[str, Job]:
        """Attack a source's seeds, respond, and compute metrics, with one reference seed."""
        from workflow_scripts.advtransfer.attacks.block_recipe import AttackBlockRecipe
        from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
        from workflow_scripts.advtransfer.metrics.pairing_recipe import PairingRecipe
        from workflow_scripts.advtransfer.metrics.recipe import MetricsRecipe
        from workflow_scripts.advtransfer.recipes import to_json
        from workflow_scripts.advtransfer.training.recipe import SourceRecipe, TrainingRecipe

        from ..networks import LENET

        view = self.recipes[factor]
        attack = AttackRecipe("pgd", "linf", 8 / 255, steps=2, random_start=True, precision="fp32")
        block = AttackBlockRecipe(view, (attack,))
        source = SourceRecipe(view, LENET, TrainingRecipe(1, 64, 0.1))
        pairing = PairingRecipe(source, (reference,), block)
        metrics = MetricsRecipe(pairing, mask="all")
        name = f"x{factor}-" + "-".join(map(str, seeds))

        def file(what: str) -> str:
            return str(self.folder / what)

        def weights(numbers: Sequence[int]) -> list[str]:
            return [file(f"{number}.safetensors") for number in numbers]

        data = ["--view", file(f"view{factor}.h5"), "--dataset", str(self.dataset)]
        hardware = ["--device", self.settings.device, "--threads", str(self.settings.threads)]

        def attacked(numbers: Sequence[int], output: str) -> Job:
            return "attack_source", [
                "--recipe", to_json(block), "--seeds", *map(str, numbers), *hardware,
                "--checkpoints", *weights(numbers), *data, "--output", output,
            ]  # fmt: skip

        source_attacks = file(f"attacks-{name}.h5")
        reference_attacks = file(f"attacks-x{factor}-{reference}.h5")
        both = ["--source-attacks", source_attacks, "--reference-attacks", reference_attacks]
        responses = file(f"responses-{name}.h5")
        return {
            "reference": attacked([reference], reference_attacks),
            "attack_source": attacked(seeds, source_attacks),
            "respond": ("respond", [
                "--recipe", to_json(pairing), "--seeds", *map(str, seeds), *hardware,
                "--source-checkpoints", *weights(seeds),
                "--reference-checkpoints", *weights([reference]),
                *both, *data, "--output", responses,
            ]),
            "compute_metrics": ("compute_metrics", [
                "--recipe", to_json(metrics), "--seeds", *map(str, seeds), *both,
                "--responses", responses, "--output", file(f"metrics-{name}.csv"),
                "--per-image", file(f"metrics-{name}.h5"),
            ]),
        }  # fmt: skip


def in_a_process(jobs: Sequence[Job]) -> tuple[float, float]:
    """Seconds of ``jobs[1:]``, after ``jobs[0]``, and the peak memory in MB."""
    done = subprocess.run(
        [sys.executable, "-c", RUN_STEPS, json.dumps(jobs)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


def exponent(seconds: Mapping[int, float]) -> float:
    """Slope of the line through log seconds over log size."""
    import numpy as np

    return float(np.polyfit(np.log(list(seconds)), np.log(list(seconds.values())), 1)[0])


def images(steps: Steps, factors: Sequence[int]) -> list[Measurement]:
    """Every step by itself, for its memory."""
    seconds: dict[str, dict[int, float]] = {}
    peaks: dict[str, dict[str, float]] = {}
    largest = steps.base * max(factors)
    warm_ups = steps.chain(factors[0], [0], 1)
    for factor in factors:
        chain = steps.chain(factor, [0], 1)
        warm_ups["attack_source"] = chain.pop("reference")  # as large, and needed by the others
        for step, job in chain.items():
            count = steps.base * factor
            taken, peak = in_a_process([warm_ups[step], job])
            seconds.setdefault(step, {})[count] = taken
            peaks.setdefault(step, {})[f"peak_mb_{count}"] = peak
    return [
        Measurement(
            f"images, {step}",
            "ours",
            [seconds[step][largest]],
            work=largest,
            unit="images",
            ours=True,
            note=f"{min(factors) * steps.base} to {largest} images",
            facts={"exponent": exponent(seconds[step]), **peaks[step]},
        )
        for step in seconds
    ]


def seeds(steps: Steps, factors: Sequence[int]) -> Measurement:
    """A block of seeds in one job of every step."""
    reference = max(factors)
    seconds: dict[int, float] = {}
    for factor in factors:
        chain = steps.chain(factors[0], range(factor), reference)
        first = chain.pop("reference")
        seconds[factor] = in_a_process([first, *chain.values()])[0]
    return growth("seeds", "seeds", seconds)


def models(steps: Steps, factors: Sequence[int]) -> Measurement:
    """Jobs of their own for every model, against one reference."""
    reference = max(factors)
    seconds: dict[int, float] = {}
    for factor in factors:
        chains = [steps.chain(factors[0], [model], reference) for model in range(factor)]
        first = [chain.pop("reference") for chain in chains][0]
        rest = [job for chain in chains for job in chain.values()]
        seconds[factor] = in_a_process([first, *rest])[0]
    return growth("models", "models", seconds)


def growth(case: str, unit: str, seconds: Mapping[int, float]) -> Measurement:
    """A row of the largest case, with the exponent over all."""
    most = max(seconds)
    return Measurement(
        f"{case}: attack, respond, metrics",
        "ours",
        [seconds[most]],
        work=most,
        unit=unit,
        ours=True,
        facts={"exponent": exponent(seconds)},
    )


def jobs(settings: Settings, factors: Sequence[int]) -> Measurement:
    """Dry runs of a large study."""
    seconds: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_workflow(folder)
        for factor in factors:
            mixtures, seeds = (factor, 1) if settings.quick else (MIXTURES * factor, SEEDS)
            (folder / "large.json").write_text(json.dumps(large_study(mixtures, seeds)))
            started = time.perf_counter()
            count = dry_run(folder, "large.json")
            seconds[count] = time.perf_counter() - started
    most = max(seconds)
    return Measurement(
        "dry run of a large study",
        "ours",
        [seconds[most]],
        work=most,
        unit="jobs",
        ours=True,
        note=f"{min(seconds)} to {most} jobs; aim: {AIM:.0f} s for 15,000",
        facts={"exponent": exponent(seconds), "jobs": most, "aim": AIM},
    )


def large_study(mixtures: int, seeds: int) -> dict[str, object]:
    """Overlay: one study of many mixtures, each seed in a block and so in jobs of its own."""
    from workflow_scripts.config.load import load

    from ..networks import CLASSES

    part = load()["studies"]["knowledge_to_adversarial"]["sources"]
    chosen = [classes for size in (4, 5, 3) for classes in combinations(CLASSES, size)][:mixtures]
    part["mixtures"] = dict.fromkeys(part["mixtures"])  # removes the default's
    part["mixtures"] |= {f"mixture_{k}": list(classes) for k, classes in enumerate(chosen)}
    part["images"] = 900
    part["seeds"] = [[seed] for seed in range(seeds)]
    studies = {"adversarial_to_knowledge": None, "knowledge_to_adversarial": {"sources": part}}
    return {"label": "large", "studies": studies}


def dry_run(folder: Path, config: str) -> int:
    """Jobs that ``snakemake -n`` would run."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "knowledge_to_adversarial", "-n", "--cores", "1"),
            *("--quiet", "rules", "--workflow-profile", "none", "--configfile", config),
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    found = re.search(r"^total +(\d+)", done.stdout, re.MULTILINE)
    if done.returncode != 0 or found is None:
        raise RuntimeError(f"the dry run failed:\n{done.stdout}")
    return int(found.group(1))
