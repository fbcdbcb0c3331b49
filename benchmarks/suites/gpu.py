"""On a GPU: natural training of a CIFAR-10 ResNet-18, PGD-10, and the whole default workflow.

Training: one epoch of batches of 128 with crop and flip. Peer: float32 in torch's default memory
format on the same resident images. Ours: ``fit`` in bf16, eager and with the network compiled.
PGD-10 linf: the ``attacks`` suite's case on more images, torchattacks among its peers. The main
job: plain `snakemake` in a copy of the workflow, its data and start-up included, once.

Without a CUDA device one row says so. ``--quick`` runs the same code on any device with next to no
work: no compilation, the main job as a dry run.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..harness import (
    CACHE,
    Measurement,
    Settings,
    copy_workflow,
    interleaved,
    not_run,
    synchronised,
)

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).parents[2]
BATCH_SIZE = 128
EAGER, COMPILED = "ours, bf16, eager", "ours, bf16, compiled"


def run(settings: Settings) -> list[Measurement]:
    import torch

    from . import attacks

    if not settings.quick:
        if not settings.device.startswith("cuda"):
            return [not_run("GPU", f"needs --device cuda, this run is on {settings.device}")]
        if not torch.cuda.is_available():
            return [not_run("GPU", "no GPU could be used: torch finds no CUDA device")]
    title = f"PGD-{attacks.STEPS} linf"
    count = 4 if settings.quick else 2_000
    measurements = training(settings)
    measurements += attacks.one_case(
        "resnet18",
        f"{title}, ResNet-18, {settings.device}",
        attacks.cases()[title],
        count,
        settings,
    )
    return [*measurements, main_job(settings)]


def training(settings: Settings) -> list[Measurement]:
    """Images a second; the compilation belongs to the untimed round."""
    from workflow_scripts.advtransfer.models.network import Network
    from workflow_scripts.advtransfer.training.fit import Execution, fit
    from workflow_scripts.advtransfer.training.recipe import TrainingRecipe

    from .. import networks

    count = 40 if settings.quick else 20_000
    images, labels = networks.cifar10("train", count, settings)
    recipe = TrainingRecipe(
        1, BATCH_SIZE, 0.1, nesterov=True, weight_decay=5e-4, augmentation="crop_flip",
        precision="bf16",
    )  # fmt: skip
    plain = networks.contiguous(fresh(settings))
    eager, compiled = fresh(settings), fresh(settings)

    def ours(network: Network, compiled: bool = False) -> None:
        fit(network, images, labels, recipe, seed=0, execution=Execution(compiled=compiled))

    contenders = {
        "torch, fp32": lambda: plain_epoch(plain, images, labels),
        EAGER: lambda: ours(eager),
        COMPILED: lambda: ours(compiled, not settings.quick),
    }
    contenders = {key: synchronised(f, settings.device) for key, f in contenders.items()}
    case = f"training, ResNet-18, {settings.device}"
    return [
        Measurement(case, name, times, work=count, unit="images", ours=name != "torch, fp32")
        for name, times in interleaved(contenders, settings.repeats, case).items()
    ]


def fresh(settings: Settings):
    """An untrained ResNet-18 on the device, narrow with ``quick``."""
    import torch

    from workflow_scripts.advtransfer.models.zoo import build_network

    from .. import networks

    if settings.quick:
        return networks.network("resnet18", settings)
    torch.manual_seed(0)
    network = build_network(networks.RESNET18, len(networks.CLASSES), networks.SIZE)
    return network.to(settings.device)


def plain_epoch(network: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    """One epoch as any tutorial has it, on images that need no loader."""
    import torch
    import torch.nn.functional as F

    from workflow_scripts.advtransfer.data.batches import epoch_batches

    network.train()
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    generator = torch.Generator(images.device).manual_seed(0)
    for x, y in epoch_batches(images, labels, BATCH_SIZE, "crop_flip", generator):
        loss = F.cross_entropy(network(x.contiguous()), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main_job(settings: Settings) -> Measurement:
    """Plain `snakemake` from nothing but the downloaded files."""
    case = "main job"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_workflow(folder)
        for downloads in (ROOT / "results/data/downloads", CACHE / "downloads"):
            if downloads.exists():
                shutil.copytree(downloads, folder / "results/data/downloads", dirs_exist_ok=True)
        command = [sys.executable, "-m", "snakemake", "--quiet", "rules", "progress"]
        started = time.perf_counter()
        done = subprocess.run(
            [*command, "--dry-run"] if settings.quick else command,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        seconds = time.perf_counter() - started
    if done.returncode != 0:
        return not_run(case, f"snakemake failed: {done.stdout[-500:]}")
    return Measurement(case, "ours, snakemake", [seconds], ours=True, note="data included")
