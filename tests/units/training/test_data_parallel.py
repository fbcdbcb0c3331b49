"""Training shared by processes: the numbers of one process, one message, no process left behind.

Two processes on the CPU, connected by gloo; a GPU each and nccl differ in `Processes.prepare` only.
"""

from __future__ import annotations

import copy
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn

from support.workflow import ROOT
from workflow_scripts import train_source
from workflow_scripts.advtransfer.artifacts.hdf5 import write_hdf5
from workflow_scripts.advtransfer.artifacts.tensors import load_tensors, save_tensors
from workflow_scripts.advtransfer.attacks.ball import PartGenerator, random_start
from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
from workflow_scripts.advtransfer.data.recipe import DatasetRecipe
from workflow_scripts.advtransfer.data.view_recipe import ViewRecipe
from workflow_scripts.advtransfer.data.views import make_view
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.models.network import Network
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.models.zoo import build_network
from workflow_scripts.advtransfer.recipes import to_json
from workflow_scripts.advtransfer.training.fit import Execution, Fitted, fit
from workflow_scripts.advtransfer.training.parallel import ALONE, Processes
from workflow_scripts.advtransfer.training.recipe import SourceRecipe, TrainingRecipe

torch.set_num_threads(1)
SIZE, CLASSES = 16, ("a", "b", "c")
# Sums of float32 in another order: after 15 steps weights are off by 3e-6 and losses by 7e-7, those
# of another seed by 1e-1. The sign of a gradient of almost nothing may turn over by it, and with it
# a pixel's whole step of a linf attack: then 5e-4.
CLOSE = {"rtol": 1e-4, "atol": 2e-5}
CLOSE_BUT_FOR_SIGNS = {"rtol": 1e-2, "atol": 2e-3}

WITH_NORM = ModelRecipe("resnet", {"width": 8, "blocks": [1], "stem_stride": 2})
DENSE = ModelRecipe("densenet", {"growth": 4, "layers": [2, 2]})  # with norms that do not fold
# 90 images: batches of 17, and one of 22; parts of 8 and 9 images.
NATURAL = TrainingRecipe(
    3, 17, 0.05, nesterov=True, weight_decay=1e-3, schedule="one_cycle", augmentation="crop_flip"
)
LINF = AttackRecipe("pgd", "linf", 8 / 255, steps=3, random_start=True, labels="true")
L2 = dataclasses.replace(LINF, norm="l2", epsilon=0.5)
FGSM = dataclasses.replace(LINF, attack="fgsm", steps=1)
CASES = {
    "natural": (WITH_NORM, NATURAL),
    "linf": (WITH_NORM, dataclasses.replace(NATURAL, attack=LINF)),
    "l2": (DENSE, dataclasses.replace(NATURAL, attack=L2)),
    "fgsm without norm": (ModelRecipe("lenet"), dataclasses.replace(NATURAL, attack=FGSM)),
    "frozen": (WITH_NORM, dataclasses.replace(NATURAL, batch_norm="frozen")),
}


def images_and_labels() -> tuple[np.ndarray, np.ndarray]:
    """90 images of three noisy patterns, (N, H, W, 3)."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    pixels = rng.random((3, SIZE, SIZE, 3))[labels] + 0.4 * rng.standard_normal((90, SIZE, SIZE, 3))
    return (pixels.clip(0, 1) * 255).astype(np.uint8), labels


def trained(case: str, processes: Processes) -> tuple[Network, Fitted]:
    model, recipe = CASES[case]
    images, labels = images_and_labels()
    torch.manual_seed(0)
    network = build_network(model, len(CLASSES), SIZE)
    tensors = torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels)
    execution = Execution(processes=processes)
    return network, fit(network, *tensors, recipe, seed=0, execution=execution)


def numbers(rows: list[dict]) -> np.ndarray:
    """History without what the clock says."""
    return np.array([[float(v) for k, v in row.items() if k != "seconds"] for row in rows])


# What two processes compute ----------------------------------------------------------------------


def each_of_two(rank: int, port: int, folder: Path) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "RANK": str(rank),
        "WORLD_SIZE": "2",
    }
    processes = Processes.of_environment()
    processes.prepare("cpu", 1)
    for case in CASES:
        network, fitted = trained(case, processes)
        about = {"history": fitted.history}
        save_tensors(folder / f"{case}{rank}", network.state_dict(), about)


@pytest.fixture(scope="module")
def of_two(tmp_path_factory) -> Path:
    """A folder with the state and the history of every case in both processes."""
    folder = tmp_path_factory.mktemp("two")
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    context = torch.multiprocessing.get_context("spawn")
    jobs = [context.Process(target=each_of_two, args=(rank, store.port, folder)) for rank in (0, 1)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
        assert job.exitcode == 0
    return folder


@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_as_one(of_two, case):
    network, fitted = trained(case, ALONE)
    attack = CASES[case][1].attack
    close = CLOSE_BUT_FOR_SIGNS if attack and attack.norm == "linf" else CLOSE
    state, attributes = load_tensors(of_two / f"{case}0")
    assert set(state) == set(network.state_dict())
    for name, value in network.state_dict().items():
        torch.testing.assert_close(state[name], value, **close)
    np.testing.assert_allclose(numbers(attributes["history"]), numbers(fitted.history), **close)
    # Nor do the processes drift apart: they hold the same bytes.
    other, _ = load_tensors(of_two / f"{case}1")
    assert all(torch.equal(other[name], value) for name, value in state.items())


def test_a_process_alone_does_nothing_of_it():
    """What is not touched keeps its bytes."""
    network = build_network(WITH_NORM, 3, SIZE)
    kinds = [type(module) for module in network.modules()]
    x, y = torch.rand(5, 3), torch.arange(5)
    generator = ALONE.generator(torch.device("cpu"))
    assert type(generator) is torch.Generator
    assert ALONE.part(x, y, generator) == (x, y)
    assert ALONE.weigh(x, 5, 5) is x
    assert ALONE.sum(x) is x
    assert not ALONE.synchronise(network)
    assert kinds == [type(module) for module in network.modules()]
    assert ALONE.agree(1, x.device) and ALONE.in_step(generator)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_parts_are_the_whole_and_so_are_their_random_starts(norm, count):
    images, labels = torch.rand(17, 3, 4, 4), torch.arange(17)
    whole = random_start(images, 0.1, norm, torch.Generator().manual_seed(3))
    parts = []
    for rank in range(count):
        processes = Processes(rank, count)
        generator = processes.generator(images.device).manual_seed(3)
        x, y = processes.part(images, labels, generator)
        parts.append((x, y, random_start(x, 0.1, norm, generator)))
    assert isinstance(generator, PartGenerator) == (count > 1)
    joined = [torch.cat(part) for part in zip(*parts, strict=True)]
    assert all(map(torch.equal, joined, (images, labels, whole)))
    sizes = {len(y) for _, y, _ in parts}
    assert max(sizes) - min(sizes) <= 1


# Batch norm --------------------------------------------------------------------------------------


@pytest.fixture
def group_of_one():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield Processes(0, 2)  # says that there are others
    dist.destroy_process_group()


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(4),
        nn.BatchNorm2d(4, momentum=None),
        nn.BatchNorm2d(4, affine=False),
        nn.BatchNorm2d(4, track_running_stats=False),
        nn.BatchNorm1d(4),
    ],
    ids=["usual", "cumulative", "no weights", "no statistics", "1d"],
)
def test_batch_norm_is_that_of_torch(group_of_one, norm, precision):
    shape = (6, 4, 5, 5) if isinstance(norm, nn.BatchNorm2d) else (6, 4)
    norms = [nn.Sequential(copy.deepcopy(norm)).train() for _ in range(2)]
    group_of_one.synchronise(norms[1])
    assert isinstance(norms[1][0], type(norm))
    stream = torch.Generator().manual_seed(0)
    results = []
    images = torch.randn(3, *shape, generator=stream) * 3 + 50  # a mean much above the spread
    upstream = torch.randn(shape, generator=stream)
    for network in norms:
        for batch in images.to(precision):
            x = batch.clone().requires_grad_()
            y = network(x)
            (y.float() * upstream).sum().backward()
        frozen = network.eval()(x)
        gradients = [p.grad for p in network.parameters()]
        results.append([y, frozen, x.grad, *gradients, *network.state_dict().values()])
    rough = precision == torch.bfloat16
    for ours, theirs in zip(*results, strict=True):
        tolerance = {"rtol": 2e-2, "atol": 2e-2} if rough else {"rtol": 1e-4, "atol": 1e-5}
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, **tolerance)


# Refusals ----------------------------------------------------------------------------------------


def test_fewer_gpus_than_processes(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="4 processes need a GPU each, but there are 2: ask for"):
        Processes(0, 4).prepare("auto", 1)
    with pytest.raises(UserError, match="cuda:1: 4 processes take a GPU each, so none can be"):
        Processes(0, 4).prepare("cuda:1", 1)


def test_more_processes_than_images_in_a_batch():
    images, labels = torch.zeros(8, 3, SIZE, SIZE, dtype=torch.uint8), torch.arange(8) % 3
    network = build_network(WITH_NORM, 3, SIZE)
    recipe = TrainingRecipe(1, 4, 0.1)
    five = Execution(processes=Processes(0, 5))
    with pytest.raises(UserError, match="5 processes cannot share a batch of fewer images"):
        fit(network, images, labels, recipe, seed=0, execution=five)


# The step ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> list[str]:
    """Options that name a view of the images and its dataset."""
    folder = tmp_path_factory.mktemp("data")
    images, labels = images_and_labels()
    arrays = {"train/images": images, "train/labels": labels}
    write_hdf5(folder / "dataset.h5", arrays, {"class_names": list(CLASSES)})
    make_view(VIEW, folder / "dataset.h5", folder / "view.h5")
    return ["--view", str(folder / "view.h5"), "--dataset", str(folder / "dataset.h5")]


VIEW = ViewRecipe(DatasetRecipe("cifar10"), "train", CLASSES)
ADVERSARIAL = dataclasses.replace(
    NATURAL, attack=L2, epochs=6, validation_images=12, checkpoint="best_on_validation"
)


def options(data: list[str], folder: Path, training: TrainingRecipe, processes: int) -> list[str]:
    recipe = to_json(SourceRecipe(VIEW, WITH_NORM, training))
    folder.mkdir(exist_ok=True)
    return [
        "--recipe", recipe, "--seed", "0", "--device", "cpu", *data,
        "--resume", f"{folder}/resume", "--checkpoint", f"{folder}/model.safetensors",
        "--history", f"{folder}/history.csv", "--recipe-file", f"{folder}/recipe.json",
        "--processes", str(processes),
    ]  # fmt: skip


def start(*arguments: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *launcher, "workflow_scripts.train_source", *arguments],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_alike(folder: Path, reference: Path) -> None:
    tensors, attributes = load_tensors(folder / "model.safetensors")
    wanted, about = load_tensors(reference / "model.safetensors")
    for differs in ("device", "versions"):  # of what a process happened to have imported
        attributes.pop(differs)
        about.pop(differs)
    assert attributes == about
    for name, value in wanted.items():
        torch.testing.assert_close(tensors[name], value, **CLOSE)
    tables = [np.genfromtxt(f / "history.csv", delimiter=",") for f in (folder, reference)]
    clock = (reference / "history.csv").read_text().split("\n")[0].split(",").index("seconds")
    np.testing.assert_allclose(*(np.delete(table[1:], clock, 1) for table in tables), **CLOSE)
    assert not (folder / "resume").exists()


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory) -> Path:
    """What one process writes; 0, the number of GPUs of a job without any, is one too."""
    folders = [tmp_path_factory.mktemp("alone") for _ in range(2)]
    for processes, folder in enumerate(folders):
        arguments = options(data, folder, ADVERSARIAL, processes)
        train_source.main(train_source.parser().parse_args(arguments))
    first, second = (folder / "model.safetensors" for folder in folders)
    assert first.read_bytes() == second.read_bytes()
    return folders[0]


def children(process: subprocess.Popen[str]) -> list[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in listed.read_text().split()]


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="finds processes under /proc")


@LINUX
def test_a_killed_process_ends_the_others_and_training_goes_on(data, alone, tmp_path):
    folder = tmp_path / "two"
    arguments = options(data, folder, ADVERSARIAL, 2)
    job = start(*arguments)
    until((folder / "resume").exists)
    workers = children(job)
    assert len(workers) == 2
    os.kill(workers[1], signal.SIGKILL)
    _, told = job.communicate()
    assert job.returncode == 1, told
    assert "error: process 2 of the 2 that train was ended by signal 9 (Killed)" in told
    assert "Traceback" not in told
    assert not any(map(runs, workers))
    done = len(load_tensors(folder / "resume")[1]["history"])
    assert 1 <= done < ADVERSARIAL.epochs

    # In as many processes, or in fewer.
    shutil.copytree(folder, tmp_path / "one")
    job = start(*arguments)
    _, told = job.communicate()
    assert job.returncode == 0, told
    for once in (f"going on after epoch {done} ", f"epoch {done + 1}/6", "done in"):
        assert told.count(once) == 1, told
    assert_alike(folder, alone)
    arguments = options(data, tmp_path / "one", ADVERSARIAL, 1)
    train_source.main(train_source.parser().parse_args(arguments))
    assert_alike(tmp_path / "one", alone)


@LINUX
def test_processes_end_with_their_parent(data, tmp_path):
    job = start(*options(data, tmp_path, ADVERSARIAL, 2))
    until(lambda: len(children(job)) == 2)
    workers = children(job)
    job.kill()
    job.communicate()
    until(lambda: not any(map(runs, workers)), 10)


def test_torchrun_by_hand(data, alone, tmp_path):
    launcher = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
    job = start(*options(data, tmp_path, ADVERSARIAL, 1), launcher=launcher)
    _, told = job.communicate()
    assert job.returncode == 0, told
    assert told.count("epoch 1/6") == 1
    assert load_tensors(tmp_path / "model.safetensors")[1]["device"] == "2 x cpu"
    assert_alike(tmp_path, alone)


def test_divergence_is_told_once(data, tmp_path):
    recipe = dataclasses.replace(NATURAL, learning_rate=1e38, schedule="constant")
    job = start(*options(data, tmp_path, recipe, 2))
    _, told = job.communicate()
    assert job.returncode == 1
    lines = [line for line in told.splitlines() if "resnet on 90 images" not in line]
    assert len(lines) == 1, told
    assert lines[0].startswith("error: resnet diverged: the loss is nan in epoch 1, batch 2 of 5.")
    assert {path.name for path in tmp_path.iterdir()} == set()
