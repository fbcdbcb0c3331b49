"""The training loop: by hand where one step can be, repeatable and resumable to the byte."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from support.networks import CONVOLUTIONAL, SIZE, WITH_NORM, small_network, toy_set, weights
from workflow_scripts.advtransfer.artifacts.tensors import load_tensors, save_tensors
from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
from workflow_scripts.advtransfer.attacks.run import attack_images
from workflow_scripts.advtransfer.data.batches import as_float
from workflow_scripts.advtransfer.device import compilation_pays
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.models.inference import predict
from workflow_scripts.advtransfer.models.network import Network, inference_copy
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.training.fit import Execution, Fitted, fit, learning_rate
from workflow_scripts.advtransfer.training.recipe import TrainingRecipe

torch.set_num_threads(1)
LINEAR = ModelRecipe("mlp", {"widths": []})
PLAIN = TrainingRecipe(3, 16, 0.05, schedule="constant")
PGD = AttackRecipe("pgd", "linf", 8 / 255, steps=2, random_start=True, labels="true")


def train(
    recipe: TrainingRecipe = PLAIN, network: Network | None = None, seed: int = 0, **options
) -> tuple[Network, Fitted]:
    network = small_network() if network is None else network
    return network, fit(network, *toy_set(), recipe, seed=seed, **options)


def numbers(fitted: Fitted) -> list[dict[str, float]]:
    """History without what the clock says."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in fitted.history]


# Learning rate -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        ("constant", {0: 1, 0.5: 1, 1: 1}),
        ("one_cycle", {0: 0, 0.1: 0.5, 0.2: 1, 0.6: 0.5, 1: 0}),
        ("cosine", {0: 1, 1 / 3: 0.75, 0.5: 0.5, 2 / 3: 0.25, 1: 0}),
        ("step", {0: 1, 0.33: 1, 0.34: 0.1, 0.66: 0.1, 0.67: 0.01, 0.99: 0.01}),
    ],
)
def test_schedules_at_known_points(schedule, points):
    recipe = dataclasses.replace(PLAIN, learning_rate=0.2, schedule=schedule)
    for progress, share in points.items():
        assert learning_rate(recipe, progress) == pytest.approx(0.2 * share, abs=1e-12), progress


def test_unknown_settings_are_told():
    with pytest.raises(UserError, match="unknown schedule 'linear'; there are one_cycle"):
        train(dataclasses.replace(PLAIN, schedule="linear"))
    with pytest.raises(UserError, match="batch_norm is adapt or frozen, not 'off'"):
        train(dataclasses.replace(PLAIN, batch_norm="off"))
    unknown = dataclasses.replace(PGD, attack="cw")
    with pytest.raises(UserError, match="unknown attack 'cw'"):
        train(dataclasses.replace(PLAIN, attack=unknown))


# Steps by hand -----------------------------------------------------------------------------------


@pytest.mark.parametrize("nesterov", [False, True])
def test_two_steps_by_hand(nesterov):
    """Whole-batch SGD on a linear network: momentum, weight decay and the schedule's middles."""
    network = small_network(LINEAR)
    images, labels = toy_set(24)
    recipe = TrainingRecipe(
        2, 24, 0.1, momentum=0.9, nesterov=nesterov, weight_decay=0.01, schedule="cosine"
    )
    x = ((as_float(images) - 0.5) / 0.25).flatten(1).double()
    w, b = (p.detach().double().clone() for p in network.head.parameters())
    momentum = [torch.zeros_like(w), torch.zeros_like(b)]
    for progress in (0.25, 0.75):  # the rate in the middle of each of two steps
        error = torch.softmax(x @ w.T + b, 1) - F.one_hot(labels, 3)
        gradients = [error.T @ x / 24 + 0.01 * w, error.mean(0) + 0.01 * b]
        for k, (value, gradient) in enumerate(zip((w, b), gradients, strict=True)):
            momentum[k] = 0.9 * momentum[k] + gradient
            step = gradient + 0.9 * momentum[k] if nesterov else momentum[k]
            value -= learning_rate(recipe, progress) * step
    fit(network, images, labels, recipe, seed=0)
    torch.testing.assert_close(network.head.weight.double(), w, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network.head.bias.double(), b, rtol=1e-4, atol=1e-5)


def test_history_is_what_happened():
    """With a learning rate of almost nothing the network's own loss is the epoch's."""
    network, fitted = train(TrainingRecipe(2, 16, 1e-12))
    images, labels = toy_set()
    logits = predict(network, images)
    assert [row["epoch"] for row in fitted.history] == [1, 2]
    for row in fitted.history:
        assert row["train_loss"] == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-5)
        right = float((logits.argmax(1) == labels).float().mean())
        assert row["train_accuracy"] == pytest.approx(right)
        assert row["seconds"] > 0
    assert fitted.best_epoch == 2


# What is learned, what moves ---------------------------------------------------------------------


@pytest.mark.parametrize("model", [CONVOLUTIONAL, WITH_NORM], ids=["convolutional", "with norm"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("augmentation", ["none", "crop_flip"])
def test_fit_learns_what_can_be_learned(model, precision, augmentation):
    recipe = TrainingRecipe(
        25, 16, 0.03, schedule="one_cycle", augmentation=augmentation, precision=precision
    )
    network, fitted = train(recipe, small_network(model))
    losses = [row["train_loss"] for row in fitted.history]
    assert losses[-1] < 0.5 * losses[0]
    assert not network.training
    assert all(p.dtype == torch.float32 for p in network.parameters())
    images, labels = toy_set(60, seed=9)  # noise it has not seen
    assert (predict(network, images).argmax(1) == labels).float().mean() > 0.8


def test_only_the_named_parameters_move():
    network = small_network(WITH_NORM)
    before = weights(network)
    recipe = dataclasses.replace(PLAIN, batch_norm="frozen", weight_decay=0.1)
    train(recipe, network, parameters=network.head.parameters())
    after = weights(network)
    assert {name for name in after if after[name] != before[name]} == {"head.weight", "head.bias"}
    # Nor is work done for what is frozen.
    assert all(p.grad is None and not p.requires_grad for p in network.blocks.parameters())


@pytest.mark.parametrize("batch_norm", ["adapt", "frozen"])
def test_batch_norm_statistics(batch_norm):
    network = small_network(WITH_NORM)
    before = weights(network)
    train(dataclasses.replace(PLAIN, batch_norm=batch_norm), network)
    after = weights(network)
    statistics = [name for name in after if "running" in name or "num_batches" in name]
    assert len(statistics) >= 6
    for name in statistics:
        assert (after[name] == before[name]) == (batch_norm == "frozen"), name
    assert after["head.weight"] != before["head.weight"]


def test_a_batch_larger_than_the_set_is_the_set():
    _, fitted = train(dataclasses.replace(PLAIN, batch_size=10_000))
    assert len(fitted.history) == 3


def test_divergence_names_epoch_and_batch(tmp_path):
    """A rate at which the first step throws the weights out of float32: batch 2 finds it."""
    resume = tmp_path / "progress.safetensors"
    recipe = dataclasses.replace(PLAIN, learning_rate=1e38)
    with pytest.raises(UserError, match=r"epoch 1, batch 2 of 6\. Lower its learning_rate") as told:
        train(recipe, execution=Execution("lenet", resume))
    assert str(told.value).startswith("lenet diverged: the loss is nan")
    assert "1e+38" in str(told.value)
    assert not resume.exists()  # a diverged epoch is not gone on from


# Which epoch is kept -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("checkpoint", "kept"), [("last", 3), ("best_on_validation", 2), ("best_on_test", 2)]
)
def test_the_epoch_that_is_kept(checkpoint, kept):
    network = small_network(WITH_NORM)
    seen = []

    def evaluate() -> dict[str, float]:
        seen.append(weights(network))
        return {"test_accuracy": (0.2, 0.9, 0.5)[len(seen) - 1]}

    recipe = dataclasses.replace(PLAIN, checkpoint=checkpoint)
    _, fitted = train(recipe, network, evaluate=evaluate)
    assert fitted.best_epoch == kept
    assert weights(network) == seen[kept - 1]
    assert len({str(epoch) for epoch in seen}) == 3  # every epoch changed the weights
    assert [row["test_accuracy"] for row in fitted.history] == [0.2, 0.9, 0.5]


# Repeatable, resumable ---------------------------------------------------------------------------

ADVERSARIAL = TrainingRecipe(
    4, 16, 0.05, nesterov=True, weight_decay=1e-3, schedule="one_cycle", augmentation="crop_flip",
    attack=PGD, precision="bf16", checkpoint="best_on_validation",
)  # fmt: skip


def accuracy(network: Network) -> dict[str, float]:
    images, labels = toy_set(30, seed=5)
    return {"test_accuracy": float((predict(network, images).argmax(1) == labels).float().mean())}


def test_same_seed_same_bytes():
    recipe = dataclasses.replace(ADVERSARIAL, checkpoint="last")
    runs = [train(recipe, small_network(WITH_NORM), seed) for seed in (0, 0, 1)]
    first, same, other = (weights(network) for network, _ in runs)
    assert first == same
    assert numbers(runs[0][1]) == numbers(runs[1][1])
    assert first != other


class StoppedError(Exception):
    """The job was killed."""


def run_to(stop: int | None, resume: Path, seed: int = 0, identity: str = "a") -> Network:
    """Train; killed at the end of epoch ``stop``, before that epoch is saved."""
    # Other weights at every call: what goes on must take them from the file.
    network = small_network(WITH_NORM, seed=seed)
    calls = 0

    def evaluate() -> dict[str, float]:
        nonlocal calls
        calls += 1
        if calls == stop:
            raise StoppedError
        return accuracy(network)

    network.fitted = fit(  # type: ignore[assignment]
        network, *toy_set(), ADVERSARIAL, seed=0, evaluate=evaluate,
        execution=Execution(resume=resume, identity=identity),
    )  # fmt: skip
    return network


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Network:
    return run_to(None, tmp_path_factory.mktemp("whole") / "progress.safetensors")


@pytest.mark.parametrize("stop", [2, 3, 4])
def test_going_on_gives_the_same_bytes(tmp_path, caplog, uninterrupted, stop):
    caplog.set_level(logging.INFO, "advtransfer")
    resume = tmp_path / "progress.safetensors"
    with pytest.raises(StoppedError):
        run_to(stop, resume)
    network = run_to(None, resume, seed=99)
    assert f"going on after epoch {stop - 1}" in caplog.text
    assert weights(network) == weights(uninterrupted)
    assert numbers(network.fitted) == numbers(uninterrupted.fitted)
    assert list(network.fitted.history[0]) == list(uninterrupted.fitted.history[0])
    assert network.fitted.best_epoch == uninterrupted.fitted.best_epoch


def test_a_finished_training_is_not_repeated(tmp_path, uninterrupted):
    resume = tmp_path / "progress.safetensors"
    run_to(None, resume)
    again = run_to(1, resume, seed=99)  # would raise at its first epoch
    assert weights(again) == weights(uninterrupted)


def test_progress_of_another_recipe_is_not_used(tmp_path, caplog, uninterrupted):
    resume = tmp_path / "progress.safetensors"
    with pytest.raises(StoppedError):
        run_to(3, resume, seed=99, identity="another seed")
    network = run_to(None, resume)
    assert "is about another recipe, seed or kind of device" in caplog.text
    assert weights(network) == weights(uninterrupted)


def test_progress_of_another_device_is_not_used(tmp_path, caplog, uninterrupted):
    """The state of its random numbers fits no other kind of device."""
    resume = tmp_path / "progress.safetensors"
    with pytest.raises(StoppedError):
        run_to(3, resume)
    tensors, attributes = load_tensors(resume)
    tensors["random/"] = tensors["random/"][:16]
    attributes["identity"] = attributes["identity"].replace("/cpu", "/cuda")
    save_tensors(resume, tensors, attributes)
    network = run_to(None, resume)
    assert "training starts over" in caplog.text
    assert weights(network) == weights(uninterrupted)


@pytest.mark.parametrize("kept", [0, 100, -1])
def test_damaged_progress_starts_over(tmp_path, caplog, uninterrupted, kept):
    resume = tmp_path / "progress.safetensors"
    with pytest.raises(StoppedError):
        run_to(3, resume, seed=99)
    resume.write_bytes(resume.read_bytes()[:kept])
    network = run_to(None, resume)
    assert "Training starts over" in caplog.text
    assert weights(network) == weights(uninterrupted)


# Adversarial training ----------------------------------------------------------------------------


def test_adversarial_training_is_robust_where_natural_is_not():
    """Two kinds of evidence, after Tsipras et al. 2019: a patch that an attack of epsilon 0.1
    cannot turn over but that lies in one image of ten, and a faint shade that never does."""
    stream = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 2
    sign = (2 * labels - 1).view(-1, 1, 1, 1).float()
    pixels = 0.5 + 0.04 * sign + 0.1 * torch.randn(400, 3, SIZE, SIZE, generator=stream)
    honest = torch.where(torch.rand(400, 1, 1, 1, generator=stream) < 0.9, 1.0, -1.0)
    pixels[:, :, :4, :4] = 0.5 + 0.3 * sign * honest
    images = (pixels.clamp(0, 1) * 255).round().to(torch.uint8)
    attack = AttackRecipe("pgd", "linf", 0.1, steps=3, labels="true")
    natural = TrainingRecipe(10, 50, 0.01, schedule="cosine")
    robust_accuracy = {}
    for recipe in (natural, dataclasses.replace(natural, attack=attack)):
        network = small_network(LINEAR, classes=2)
        fit(network, images, labels, recipe, seed=0)
        copied = inference_copy(network, "fp32")
        delta = attack_images(copied, images, labels, attack, torch.Generator())
        hit = predict(copied, as_float(images) + delta).argmax(1) == labels
        clean = predict(copied, images).argmax(1) == labels
        robust_accuracy[recipe.attack] = float(hit.float().mean())
        assert clean.float().mean() > 0.85
    assert robust_accuracy[None] < 0.3
    assert robust_accuracy[attack] > 0.8


def test_the_network_in_training_is_attacked_as_in_evaluation():
    """The attack sees frozen statistics and leaves no gradient behind."""
    network = small_network(WITH_NORM)
    before = weights(network)
    recipe = dataclasses.replace(PLAIN, attack=PGD, batch_norm="frozen", learning_rate=1e-30)
    train(recipe, network)
    after = weights(network)
    assert all(after[name] == before[name] for name in after if "running" in name)


def test_a_compiled_network_trains_alike():
    """What a GPU runs, on the CPU: kernels of another order, so equal up to rounding."""
    if shutil.which("c++") is None and shutil.which("g++") is None:
        pytest.skip("torch.compile needs a C++ compiler on the CPU")
    recipe = dataclasses.replace(PLAIN, epochs=1, attack=PGD)
    eager, compiled = (
        train(recipe, small_network(WITH_NORM), execution=Execution(compiled=compiled))[0]
        for compiled in (False, True)
    )
    for name, value in eager.state_dict().items():
        torch.testing.assert_close(compiled.state_dict()[name], value, rtol=2e-2, atol=2e-3)


def test_compilation_is_for_long_runs_on_a_gpu():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert compilation_pays(gpu, 10**5)
    assert not compilation_pays(gpu, 10)
    assert not compilation_pays(cpu, 10**5)
