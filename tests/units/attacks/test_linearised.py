"""The linearised attack: singular vectors of the Jacobian, on paper and against autograd + SVD."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import jacrev, vmap

from support.linear import Linear, random_weight
from support.networks import WITH_NORM, small_network, toy_set
from workflow_scripts.advtransfer.attacks import singular
from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
from workflow_scripts.advtransfer.attacks.singular import singular_directions
from workflow_scripts.advtransfer.data.batches import as_float
from workflow_scripts.advtransfer.models.network import Network, inference_copy
from workflow_scripts.advtransfer.training.fit import fit
from workflow_scripts.advtransfer.training.recipe import TrainingRecipe

torch.set_num_threads(1)


def perturb(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor, epsilon: float = 0.5
) -> torch.Tensor:
    recipe = AttackRecipe("singular", "l2", epsilon)
    return singular.perturb(network, images, labels, recipe, torch.Generator())


GREY = torch.full((4, 3, 2, 2), 0.5)
LABELS = torch.arange(4) % 2


@pytest.fixture(scope="module")
def trained() -> tuple[Network, torch.Tensor, torch.Tensor]:
    network = small_network(WITH_NORM, classes=3)
    fit(network, *toy_set(), TrainingRecipe(4, 16, 0.02), seed=0)
    images, labels = toy_set(12, seed=3)
    return inference_copy(network, "fp32"), as_float(images), labels


def test_singular_values_and_directions_of_a_diagonal_network():
    """J = diag(3, 1, 2) on the first three pixels: the directions are those pixels."""
    weight = torch.zeros(3, 12)
    weight[0, 0], weight[1, 1], weight[2, 2] = 3, 1, 2
    values, directions = singular_directions(Linear(weight), GREY)
    torch.testing.assert_close(values, torch.tensor([[3.0, 2, 1]]).expand(4, 3))
    expected = torch.eye(12)[[0, 2, 1]].view(3, 3, 2, 2).expand(4, 3, 3, 2, 2)
    torch.testing.assert_close(directions.abs(), expected)


def test_all_levels_equal_the_svd_of_the_jacobian(trained):
    network, images, _ = trained
    jacobian = vmap(jacrev(lambda image: network(image[None])[0]))(images).flatten(2).double()
    _, expected, vectors = torch.linalg.svd(jacobian, full_matrices=False)
    values, directions = singular_directions(network, images)
    torch.testing.assert_close(values.double(), expected, rtol=1e-5, atol=0)
    cosines = (directions.flatten(2).double() * vectors).sum(2).abs()  # signs are arbitrary
    torch.testing.assert_close(cosines, torch.ones_like(cosines), rtol=0, atol=1e-6)
    gram = directions.flatten(2) @ directions.flatten(2).mT
    torch.testing.assert_close(gram, torch.eye(3).expand_as(gram), rtol=0, atol=1e-5)


def test_no_perturbation_moves_the_linearised_logits_more():
    weight = random_weight(3)
    step = perturb(Linear(weight), GREY, LABELS, 0.1)[0].flatten()
    others = F.normalize(torch.randn(1000, 12, generator=torch.Generator().manual_seed(1))) * 0.1
    reached = (weight @ step).norm()
    torch.testing.assert_close(reached, 0.1 * torch.linalg.matrix_norm(weight, 2))
    assert ((others @ weight.T).norm(dim=1) < reached).all()


def test_a_small_step_moves_the_logits_by_the_singular_value(trained):
    network, images, labels = trained
    inner = 0.25 + 0.5 * images  # nothing is clipped
    values, _ = singular_directions(network, inner)
    delta = perturb(network, inner, labels, 0.01)
    moved = (network(inner + delta) - network(inner)).norm(dim=1)
    torch.testing.assert_close(moved, 0.01 * values[:, 0], rtol=0.02, atol=0)


def test_the_sign_raises_the_loss(trained):
    network, images, labels = trained
    inner = 0.25 + 0.5 * images  # nothing is clipped
    for y in (labels, (labels + 1) % 3):
        delta = perturb(network, inner, y, 0.2)
        with torch.no_grad():
            before, after, mirrored = (
                F.cross_entropy(network(part), y, reduction="none")
                for part in (inner, inner + delta, inner - delta)
            )
        assert (after >= mirrored).all()
        assert after.mean() > before.mean()


def test_the_sign_of_a_confident_network_is_right():
    """Its cross-entropy is 0 in float32 on both sides; its logits are not equal."""
    network = Linear(random_weight(2), torch.tensor([300.0, 0.0]))
    labels = torch.zeros(4, dtype=torch.int64)
    delta = perturb(network, GREY, labels, 0.1)
    before, after = network(GREY), network(GREY + delta)
    assert (F.cross_entropy(after, labels, reduction="none") == 0).all()
    assert (after[:, 1] - after[:, 0] > before[:, 1] - before[:, 0]).all()


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e15])
def test_the_scale_of_the_network_does_not_matter(scale):
    weight = random_weight(3)
    values, directions = singular_directions(Linear(weight * scale), GREY)
    plain_values, plain_directions = singular_directions(Linear(weight), GREY)
    torch.testing.assert_close(values / scale, plain_values, rtol=1e-5, atol=0)
    torch.testing.assert_close(directions.abs(), plain_directions.abs(), rtol=1e-4, atol=1e-5)


def test_what_the_network_does_not_see_is_not_perturbed():
    """Zero Jacobian in one image, rank 1 of 3 in all others."""

    class Gated(Linear):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images) * (torch.arange(len(images)) > 0)[:, None]

    network = Gated(torch.outer(torch.tensor([1.0, -2, 0.5]), random_weight(1)[0]))
    values, directions = singular_directions(network, GREY)
    assert (values[0] == 0).all() and (directions[0] == 0).all()
    assert (values[1:, 0] > 1).all()
    assert (values[1:, 1:] == 0).all() and (directions[1:, 1:] == 0).all()
    delta = perturb(network, GREY, LABELS, 0.1)
    assert (delta[0] == 0).all()
    torch.testing.assert_close(delta[1:].flatten(1).norm(dim=1), torch.full((3,), 0.1))


def test_clipped_to_the_range_of_pixels():
    weight = random_weight(2)
    black = torch.zeros(4, 3, 2, 2)
    delta = perturb(Linear(weight), black, LABELS)
    direction = 0.5 * torch.linalg.svd(weight)[2][0].view(3, 2, 2)
    for found, label in zip(delta, LABELS, strict=True):
        either = [(sign * direction).clamp(0, 1) for sign in (1, -1)]
        gains = [(weight[1 - label] - weight[label]) @ part.flatten() for part in either]
        # The sign is chosen by what is left of each after clipping.
        torch.testing.assert_close(found, either[int(gains[1] > gains[0])], rtol=1e-4, atol=1e-6)


def test_images_are_attacked_one_by_one(trained):
    network, images, labels = trained
    together = perturb(network, images, labels)
    for k in range(3):
        alone = perturb(network, images[k : k + 1], labels[k : k + 1])
        torch.testing.assert_close(alone, together[k : k + 1], rtol=1e-4, atol=1e-5)
