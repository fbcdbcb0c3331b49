"""PGD and FGSM against torchattacks, foolbox and ART, which implement the same algorithms.

The peers draw their random starts in ways of their own, so each is handed the start that ours
draws. Their differences from ours, which decide what is compared here:

- The l2 length of a gradient is kept from 0 by adding 1e-10 (torchattacks), by a minimum of 1e-12
  (foolbox, ours), or not at all but for exact zeros (ART).
- torchattacks differentiates the mean of the losses, so its gradients shrink with the batch.
- ART clips to [0, 1] before it projects; the others project first. In linf it is the same; in l2 it
  is not where pixels are clipped, so there ART gets images that stay inside.
- ART's fast gradient method does not project, foolbox's and ours do: the same without a start.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch

from support.networks import WITH_NORM, small_network, toy_set
from workflow_scripts.advtransfer.attacks.ball import l2_norms, random_start
from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
from workflow_scripts.advtransfer.attacks.run import load_attack
from workflow_scripts.advtransfer.data.batches import as_float
from workflow_scripts.advtransfer.models.network import Network
from workflow_scripts.advtransfer.training.fit import fit
from workflow_scripts.advtransfer.training.recipe import TrainingRecipe

torch.set_num_threads(1)
EPSILONS = {"linf": 8 / 255, "l2": 0.5}
STEPS = 5
NORMS = pytest.mark.parametrize("norm", ["linf", "l2"])
STARTS = pytest.mark.parametrize("start", [False, True], ids=["centre", "random"])
Peer = Callable[[Network, torch.Tensor, torch.Tensor, AttackRecipe, torch.Tensor], torch.Tensor]


@pytest.fixture(scope="module", params=["random", "trained"])
def network(request) -> Network:
    """A residual network with batch norm, in evaluation mode."""
    network = small_network(WITH_NORM)
    if request.param == "trained":
        fit(network, *toy_set(), TrainingRecipe(3, 16, 0.02), seed=0)
    # torchattacks views gradients as vectors, which channels-last ones are not.
    return network.eval().requires_grad_(False).to(memory_format=torch.contiguous_format)


@pytest.fixture(scope="module")
def data() -> tuple[torch.Tensor, torch.Tensor]:
    """Many pixels are black or white, where perturbations are clipped."""
    images, labels = toy_set(16, seed=4)
    return (as_float(images) * 1.8 - 0.4).clamp(0, 1).contiguous(), labels


def recipe_of(attack: str, norm: str, start: bool) -> AttackRecipe:
    steps = STEPS if attack == "pgd" else 1
    return AttackRecipe(attack, norm, EPSILONS[norm], steps=steps, random_start=start)


def step_size(recipe: AttackRecipe) -> float:
    return recipe.epsilon if recipe.steps == 1 else 2.5 * recipe.epsilon / recipe.steps


def by_torchattacks(network, images, labels, recipe, start):
    torchattacks = pytest.importorskip("torchattacks")
    settings = {"eps": recipe.epsilon, "alpha": step_size(recipe), "steps": recipe.steps}
    settings["random_start"] = recipe.random_start
    kind = torchattacks.PGD if recipe.norm == "linf" else torchattacks.PGDL2
    if recipe.attack == "fgsm" and recipe.norm == "linf" and not recipe.random_start:
        kind, settings = torchattacks.FGSM, {"eps": recipe.epsilon}
    with pytest.MonkeyPatch.context() as patch:
        # linf: uniform_ is the start. l2: normal_ is a direction, uniform_ a share of epsilon.
        length = l2_norms(start).flatten() / recipe.epsilon
        drawn = start if recipe.norm == "linf" else length.view(-1, 1, 1, 1)
        patch.setattr(torch.Tensor, "uniform_", lambda tensor, *_: tensor.copy_(drawn))
        patch.setattr(torch.Tensor, "normal_", lambda tensor, *_: tensor.copy_(start))
        return kind(network, **settings)(images, labels) - images


def by_foolbox(network, images, labels, recipe, start):
    foolbox = pytest.importorskip("foolbox")
    name = "Linf" if recipe.norm == "linf" else "L2"
    if recipe.attack == "fgsm":
        method = getattr(foolbox.attacks, f"{name}FastGradientAttack")(
            random_start=recipe.random_start
        )
    else:
        method = getattr(foolbox.attacks, f"{name}ProjectedGradientDescentAttack")(
            abs_stepsize=step_size(recipe), steps=recipe.steps, random_start=recipe.random_start
        )
    method.get_random_start = lambda x, _: x + type(x)(start)
    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    return method.run(model, images, labels, epsilon=recipe.epsilon) - images


def by_art(network, images, labels, recipe, start):
    evasion = pytest.importorskip("art.attacks.evasion")
    from art.attacks.evasion.projected_gradient_descent import (
        projected_gradient_descent_pytorch as module,
    )
    from art.estimators.classification import PyTorchClassifier

    classifier = PyTorchClassifier(
        network,
        torch.nn.CrossEntropyLoss(),
        tuple(images.shape[1:]),
        nb_classes=3,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
    order = "inf" if recipe.norm == "linf" else 2
    if recipe.attack == "fgsm" and not recipe.random_start:
        method = evasion.FastGradientMethod(classifier, norm=order, eps=recipe.epsilon)
    else:
        method = evasion.ProjectedGradientDescentPyTorch(
            classifier,
            norm=order,
            eps=recipe.epsilon,
            eps_step=step_size(recipe),
            max_iter=recipe.steps,
            num_random_init=int(recipe.random_start),
            batch_size=len(images),
            verbose=False,
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "random_sphere", lambda *_: start.numpy())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            moved = method.generate(images.numpy(), labels.numpy())
    return torch.from_numpy(moved) - images


PEERS = pytest.mark.parametrize("peer", [by_torchattacks, by_foolbox, by_art])


@PEERS
@STARTS
@NORMS
@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_equal_to_peers_from_the_same_start(network, data, attack, norm, start, peer):
    images, labels = data
    if peer is by_art and norm == "l2":
        images = 0.3 + 0.4 * images
    recipe = recipe_of(attack, norm, start)
    point = random_start(images, recipe.epsilon, norm, torch.Generator().manual_seed(5))
    found = load_attack(recipe)(network, images, labels, recipe, torch.Generator().manual_seed(5))
    assert (found.flatten(1).norm(dim=1) > 0.5 * recipe.epsilon).all()
    expected = peer(network, images, labels, recipe, point)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
