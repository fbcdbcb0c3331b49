"""Cheap adversarial training: free (Shafahi et al. 2019), fast (Wong et al. 2020); and none at all.

Free training is held against algorithm 1 in plain torch, and its first steps against a linear
network's gradients on paper.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from workflow_scripts import train_source
from workflow_scripts.advtransfer.artifacts.hdf5 import write_hdf5
from workflow_scripts.advtransfer.artifacts.table_reader import read_rows
from workflow_scripts.advtransfer.artifacts.tensors import load_tensors
from workflow_scripts.advtransfer.attacks import fgsm
from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
from workflow_scripts.advtransfer.data.recipe import DatasetRecipe
from workflow_scripts.advtransfer.data.view_recipe import ViewRecipe
from workflow_scripts.advtransfer.data.views import make_view
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.models.network import Network
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.models.zoo import build_network, load_checkpoint
from workflow_scripts.advtransfer.recipes import derived_seed, to_json
from workflow_scripts.advtransfer.training.fit import Execution, Fitted, fit, learning_rate
from workflow_scripts.advtransfer.training.parallel import Processes
from workflow_scripts.advtransfer.training.recipe import SourceRecipe, TrainingRecipe

torch.set_num_threads(1)
SIZE = 12
LINEAR = ModelRecipe("mlp", {"widths": []})
WITH_NORM = ModelRecipe("resnet", {"width": 8, "blocks": [1], "stem_stride": 2})
LINF = AttackRecipe("fgsm", "linf", 8 / 255)
L2 = AttackRecipe("fgsm", "l2", 0.5, step_size=0.3)
FREE = TrainingRecipe(2, 16, 0.001, weight_decay=1e-3, schedule="cosine", attack=LINF, replays=3)


def network_of(model: ModelRecipe = WITH_NORM, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return build_network(model, 3, SIZE)


def noisy_set(count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise of three brightnesses, black and white pixels among it: uint8 images and labels."""
    labels = torch.arange(count) % 3
    noise = torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    pixels = 0.3 + 0.2 * labels.view(-1, 1, 1, 1) + 0.25 * noise
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8), labels


def weights(network: torch.nn.Module) -> dict[str, bytes]:
    return {name: v.contiguous().numpy().tobytes() for name, v in network.state_dict().items()}


def numbers(fitted: Fitted) -> list[dict[str, float]]:
    """History without what the clock says."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in fitted.history]


def carried(progress: Path) -> torch.Tensor:
    """The perturbation in a progress file."""
    return load_tensors(progress)[0]["delta/"]


# What it computes --------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", [LINF, L2], ids=["linf", "l2"])
def test_two_steps_on_paper(attack, tmp_path):
    """Of a linear network on one batch, in float64: softmax minus label is all there is."""
    network, recipe = network_of(LINEAR), TrainingRecipe(1, 40, 0.1, 0.0, attack=attack, replays=2)
    (pixels, labels), order = noisy_set(), torch.Generator().manual_seed(7)
    order = torch.randperm(40, generator=order)
    images, labels = (pixels / 255).flatten(1).double()[order], labels[order]
    w, b = (p.detach().double().clone() for p in network.head.parameters())
    delta = torch.zeros_like(images)
    for progress in (0.25, 0.75):  # the rate in the middle of each of two steps
        x = ((images + delta).clamp(0, 1) - 0.5) / 0.25
        error = (torch.softmax(x @ w.T + b, 1) - F.one_hot(labels, 3)) / 40
        gradient = error @ w / 0.25
        w -= learning_rate(recipe, progress) * error.T @ x
        b -= learning_rate(recipe, progress) * error.sum(0)
        if attack is LINF:
            delta = (delta + 8 / 255 * gradient.sign()).clamp(-8 / 255, 8 / 255)
        else:
            delta += 0.3 * gradient / gradient.norm(dim=1, keepdim=True)
            delta *= (0.5 / delta.norm(dim=1, keepdim=True)).clamp_max(1)
    fit(
        network,
        pixels,
        noisy_set()[1],
        recipe,
        seed=7,
        execution=Execution(resume=tmp_path / "progress"),
    )
    close = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(network.head.weight.double(), w, **close)
    torch.testing.assert_close(network.head.bias.double(), b, **close)
    torch.testing.assert_close(carried(tmp_path / "progress").flatten(1).double(), delta, **close)


def lengths(batch: torch.Tensor) -> torch.Tensor:
    return batch.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def algorithm_1(
    network: Network, bounds: list[tuple[int, int]], recipe: TrainingRecipe
) -> tuple[torch.Tensor, list[float]]:
    """Trains in place; the perturbation and every loss."""
    attack = recipe.attack
    size = attack.step_size or attack.epsilon
    images, labels = noisy_set(bounds[-1][1])
    generator = torch.Generator().manual_seed(0)
    delta = torch.zeros(max(stop - start for start, stop in bounds), 3, SIZE, SIZE)
    optimizer = torch.optim.SGD(network.parameters(), 0.0, 0.9, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * len(bounds) * recipe.replays
    losses: list[float] = []
    network.train()
    for _ in range(recipe.epochs):
        order = torch.randperm(len(images), generator=generator)
        for start, stop in bounds:
            x, y = images[order[start:stop]] / 255, labels[order[start:stop]]
            for _ in range(recipe.replays):
                optimizer.param_groups[0]["lr"] = learning_rate(recipe, (len(losses) + 0.5) / steps)
                moved = delta[: len(x)]
                perturbed = (x + moved).clamp(0, 1).requires_grad_()
                loss = F.cross_entropy(network(perturbed), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
                gradient = perturbed.grad
                if attack.norm == "linf":
                    moved = (moved + size * gradient.sign()).clamp(-attack.epsilon, attack.epsilon)
                else:
                    moved = moved + size * gradient / lengths(gradient)
                    moved = moved * (attack.epsilon / lengths(moved)).clamp_max(1)
                delta[: len(x)] = moved
    return delta, losses


@pytest.mark.parametrize("model", [LINEAR, WITH_NORM], ids=["linear", "with norm"])
@pytest.mark.parametrize("attack", [LINF, L2], ids=["linf", "l2"])
@pytest.mark.parametrize(
    "bounds",
    [[(0, 16), (16, 32), (32, 40)], [(0, 16), (16, 38)]],
    ids=["smaller last batch", "larger last batch"],
)
def test_it_is_algorithm_1(model, attack, bounds, tmp_path):
    recipe = dataclasses.replace(FREE, attack=attack)
    network, plain = network_of(model), network_of(model)
    delta, losses = algorithm_1(plain, bounds, recipe)
    images, labels = noisy_set(bounds[-1][1])
    fitted = fit(
        network, images, labels, recipe, seed=0, execution=Execution(resume=tmp_path / "progress")
    )
    close = {"rtol": 0, "atol": 1e-6}
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], value, **close)
    torch.testing.assert_close(carried(tmp_path / "progress"), delta, **close)
    assert delta.abs().max() > 0
    # An epoch is a pass over the images, and its loss the mean over all uses of each.
    shares = np.repeat([stop - start for start, stop in bounds], recipe.replays) / len(images)
    means = (np.reshape(losses, (2, -1)) * shares).sum(1) / recipe.replays
    assert [row["epoch"] for row in fitted.history] == [1, 2]
    np.testing.assert_allclose([row["train_loss"] for row in fitted.history], means, rtol=1e-5)
    assert all(0 <= row["train_accuracy"] <= 1 for row in fitted.history)
    assert not network.training


def test_without_a_ball_it_is_natural_training():
    """Used once each, and by as much as they may change nothing."""
    nothing = dataclasses.replace(LINF, epsilon=0.0)
    recipe = dataclasses.replace(FREE, attack=nothing, replays=1, augmentation="crop_flip")
    network, natural = network_of(), network_of()
    fitted = fit(network, *noisy_set(), recipe, seed=0)
    alike = fit(natural, *noisy_set(), dataclasses.replace(recipe, attack=None, replays=0), seed=0)
    assert weights(network) == weights(natural)
    assert numbers(fitted) == numbers(alike)


@pytest.mark.parametrize("attack", [LINF, L2], ids=["linf", "l2"])
def test_in_bf16_the_perturbation_is_float32_and_in_the_ball(attack, tmp_path):
    recipe = dataclasses.replace(FREE, attack=attack, precision="bf16")
    fit(
        network_of(),
        *noisy_set(),
        recipe,
        seed=0,
        execution=Execution(resume=tmp_path / "progress"),
    )
    delta = carried(tmp_path / "progress")
    assert delta.dtype == torch.float32
    order = float("inf") if attack is LINF else 2
    norms = torch.linalg.vector_norm(delta, order, dim=(1, 2, 3))
    assert (norms <= attack.epsilon * (1 + 1e-6)).all()
    assert (norms > attack.epsilon / 2).all()


def test_it_is_robust_where_natural_training_is_not():
    """A patch that the ball cannot turn over but that one image in ten lacks, and a faint shade
    that none does: the attack turns the shade over."""
    stream = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 2
    sign = (2 * labels - 1).view(-1, 1, 1, 1).float()
    pixels = 0.5 + 0.04 * sign + 0.1 * torch.randn(400, 3, SIZE, SIZE, generator=stream)
    honest = torch.where(torch.rand(400, 1, 1, 1, generator=stream) < 0.9, 1.0, -1.0)
    pixels[:, :, :4, :4] = 0.5 + 0.3 * sign * honest
    images = (pixels.clamp(0, 1) * 255).round().to(torch.uint8)
    attack = AttackRecipe("fgsm", "linf", 0.1)  # exact for a linear network
    natural = TrainingRecipe(4, 50, 0.01)
    robust = []
    for recipe in (natural, dataclasses.replace(natural, attack=attack, replays=4)):
        network = network_of(LINEAR)
        fit(network, images, labels, recipe, seed=0)
        delta = fgsm.perturb(network, images / 255, labels, attack, torch.Generator())
        hits = network(images / 255 + delta).argmax(1) == labels
        robust.append(float(hits.float().mean()))
    assert robust[0] < 0.3
    assert robust[1] > 0.8


# Going on ----------------------------------------------------------------------------------------


class StoppedError(Exception):
    """The job was killed."""


@pytest.mark.parametrize("attack", [LINF, L2], ids=["linf", "l2"])
def test_going_on_gives_the_same_bytes(attack, tmp_path):
    recipe = dataclasses.replace(FREE, epochs=3, attack=attack, augmentation="crop_flip")
    images, labels = noisy_set()
    images = images.contiguous(memory_format=torch.channels_last)  # as they are on a device
    whole, network = network_of(), network_of(seed=0)
    fitted = fit(
        whole, images, labels, recipe, seed=0, execution=Execution(resume=tmp_path / "whole")
    )

    def stop() -> dict[str, float]:
        if (tmp_path / "stopped").exists():  # in epoch 2
            raise StoppedError
        return {}

    with pytest.raises(StoppedError):
        fit(
            network,
            images,
            labels,
            recipe,
            seed=0,
            execution=Execution(resume=tmp_path / "stopped"),
            evaluate=stop,
        )
    network = network_of(seed=9)
    again = fit(
        network, images, labels, recipe, seed=0, execution=Execution(resume=tmp_path / "stopped")
    )
    assert weights(network) == weights(whole)
    assert numbers(again) == numbers(fitted)
    assert torch.equal(carried(tmp_path / "stopped"), carried(tmp_path / "whole"))


def test_other_training_carries_nothing_on(tmp_path):
    """Its progress files are what they were."""
    for attack in (None, LINF):
        recipe = dataclasses.replace(FREE, epochs=1, attack=attack, replays=0)
        fit(
            network_of(LINEAR),
            *noisy_set(),
            recipe,
            seed=0,
            execution=Execution(resume=tmp_path / "progress"),
        )
        assert "delta/" not in load_tensors(tmp_path / "progress")[0]


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"replays": -1}, r"free: replays must not be negative \(-1\)"),
        ({"attack": None}, "free: replays are of adversarial training; add an `attack`"),
        ({"attack": dataclasses.replace(LINF, steps=2)}, "leave out the attack's steps, random_st"),
        ({"attack": dataclasses.replace(LINF, random_start=True)}, "or leave out replays"),
        ({"attack": dataclasses.replace(LINF, restarts=2)}, "or leave out replays"),
        ({"attack": AttackRecipe("singular", "l2", 1.0)}, "is fgsm or pgd, not 'singular'"),
        ({"attack": dataclasses.replace(LINF, norm="l1")}, "norm is linf or l2, not 'l1'"),
        ({"attack": dataclasses.replace(LINF, epsilon=-1.0)}, "epsilon must not be negative"),
    ],
)
def test_what_makes_no_sense_is_told(changes, told):
    network = network_of(LINEAR)
    before = weights(network)
    with pytest.raises(UserError, match=told):
        fit(
            network,
            *noisy_set(),
            dataclasses.replace(FREE, **changes),
            seed=0,
            execution=Execution("free"),
        )
    assert weights(network) == before


def test_processes_cannot_share_positions():
    two = Execution(processes=Processes(0, 2))
    with pytest.raises(UserError, match="which 2 processes cannot share; use one process"):
        fit(network_of(LINEAR), *noisy_set(), FREE, seed=0, execution=two)


def test_divergence_names_the_batch_not_the_replay():
    """The first step throws the weights out of float32, the second use of batch 1 shows it."""
    recipe = dataclasses.replace(FREE, learning_rate=1e38, schedule="constant")
    with pytest.raises(UserError, match=r"in epoch 1, batch 1 of 3\. Lower its learning_rate"):
        fit(network_of(), *noisy_set(), recipe, seed=0)


# Fast training -----------------------------------------------------------------------------------


def test_fast_training_is_a_setting_of_fgsm():
    """Wong et al. 2020, algorithm 3: a random start, a step of 1.25 epsilon, projected."""
    fast = AttackRecipe("fgsm", "linf", 8 / 255, step_size=10 / 255, random_start=True)
    network, (pixels, labels) = network_of(LINEAR).eval(), noisy_set()
    images = pixels / 255
    start = (torch.rand(images.shape, generator=torch.Generator().manual_seed(3)) * 2 - 1) * 8 / 255
    start = (images + start).clamp(0, 1) - images
    start.requires_grad_()
    F.cross_entropy(network(images + start), labels).backward()
    delta = (start.detach() + 10 / 255 * start.grad.sign()).clamp(-8 / 255, 8 / 255)
    delta = (images + delta).clamp(0, 1) - images
    ours = fgsm.perturb(network, images, labels, fast, torch.Generator().manual_seed(3))
    torch.testing.assert_close(ours, delta, rtol=0, atol=1e-6)
    # And trains.
    fitted = fit(
        network_of(), *noisy_set(), dataclasses.replace(FREE, attack=fast, replays=0), seed=0
    )
    assert len(fitted.history) == 2


# No training -------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"attack": None, "replays": 0}, {"replays": 0}])
def test_no_epochs_leave_the_network_as_it_is(changes, tmp_path):
    network = network_of().train()
    before = weights(network)
    recipe = dataclasses.replace(FREE, epochs=0, checkpoint="best_on_validation", **changes)
    fitted = fit(
        network, *noisy_set(), recipe, seed=0, execution=Execution(resume=tmp_path / "progress")
    )
    assert (fitted.history, fitted.best_epoch) == ([], 0)
    assert weights(network) == before
    assert not network.training
    assert not (tmp_path / "progress").exists()


def test_an_untrained_network_is_a_source(tmp_path):
    """Its history is a header, its weights are those of its seed."""
    classes = ("a", "b", "c")
    images, labels = noisy_set()
    arrays = {"train/images": images.permute(0, 2, 3, 1).numpy(), "train/labels": labels.numpy()}
    write_hdf5(tmp_path / "dataset.h5", arrays, {"class_names": list(classes)})
    view = ViewRecipe(DatasetRecipe("cifar10"), "train", classes)
    make_view(view, tmp_path / "dataset.h5", tmp_path / "view.h5")
    recipe = SourceRecipe(view, WITH_NORM, TrainingRecipe(0, 16, 0.1))
    arguments = [
        "--recipe", to_json(recipe), "--seed", "4", "--device", "cpu",
        "--view", f"{tmp_path}/view.h5", "--dataset", f"{tmp_path}/dataset.h5",
        "--checkpoint", f"{tmp_path}/model.safetensors", "--history", f"{tmp_path}/history.csv",
        "--recipe-file", f"{tmp_path}/recipe.json", "--resume", f"{tmp_path}/progress",
    ]  # fmt: skip
    train_source.main(train_source.parser().parse_args(arguments))
    assert (tmp_path / "history.csv").read_text() == "epoch,train_loss,train_accuracy,seconds\n"
    assert read_rows(tmp_path / "history.csv") == []
    wanted = network_of(seed=derived_seed(recipe, 4, "initialisation"))
    loaded, _ = load_checkpoint(tmp_path / "model.safetensors", torch.device("cpu"))
    assert weights(loaded) == weights(wanted)
    assert load_tensors(tmp_path / "model.safetensors")[1]["epoch"] == 0
