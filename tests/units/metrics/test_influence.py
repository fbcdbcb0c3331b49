"""Influence on the last layer: against autograd, by hand, and by leaving images out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.metrics import influence
from workflow_scripts.advtransfer.metrics.influence import (
    HeadGradients,
    head_gradients,
    hessian,
    hessian_times,
    influence_matrix,
)

torch.set_num_threads(1)
SOLVERS = ["cholesky", "pseudo_inverse", "conjugate_gradients"]
CLASSES, WIDTH = 4, 6


def images(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features with a class mean under noise, float64, and labels."""
    centres = torch.randn(CLASSES, WIDTH, generator=torch.Generator().manual_seed(0)).double()
    labels = torch.arange(count) % CLASSES
    noise = torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed + 1)).double()
    return centres[labels] + noise, labels


def some_head() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(9)
    weight = torch.randn(CLASSES, WIDTH, generator=generator, dtype=torch.float64)
    return weight, torch.randn(CLASSES, generator=generator, dtype=torch.float64)


def gradients(count: int = 30, seed: int = 0) -> HeadGradients:
    return head_gradients(*images(count, seed), *some_head())


def loss(flat: torch.Tensor, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Summed, of the head in the layout that the module states: a class's weights, its bias."""
    theta = flat.view(CLASSES, WIDTH + 1)
    return F.cross_entropy(features @ theta[:, :-1].T + theta[:, -1], labels, reduction="sum")


def flat_head() -> torch.Tensor:
    weight, bias = some_head()
    return torch.cat([weight, bias[:, None]], 1).flatten()


def test_equal_to_autograd():
    features, labels = images(30, 0)
    found = gradients()
    rows = [
        torch.func.grad(loss)(flat_head(), features[k : k + 1], labels[k : k + 1])
        for k in range(30)
    ]
    torch.testing.assert_close(found.rows(0, 30), torch.stack(rows), rtol=1e-12, atol=1e-14)
    exact = torch.func.hessian(loss)(flat_head(), features, labels)
    assert float((hessian(found) - exact).norm() / exact.norm()) < 1e-12
    vectors = torch.randn(found.parameters, 3, dtype=torch.float64)
    product = hessian_times(found, vectors)
    assert float((product - exact @ vectors).norm() / (exact @ vectors).norm()) < 1e-12
    torch.testing.assert_close(found.times(vectors), torch.stack(rows) @ vectors, rtol=1e-12,
                               atol=1e-12)  # fmt: skip


def test_by_hand():
    """Two classes, one feature, a head of zeros: every p is 1/2.

    Images h = 1 and h = -1 of class 0 and 1. Gradients are (-1/2, 1/2) kron (1, 1) and
    (1/2, -1/2) kron (-1, 1); H = 1/4 [[1, -1], [-1, 1]] kron diag(2, 2), with eigenvalue 1 in the
    directions (1, -1)/sqrt(2) kron e and 0 else. So I = G G^T: 1 on the diagonal, 0 beside it.
    """
    found = head_gradients(
        torch.tensor([[1.0], [-1.0]]), torch.tensor([0, 1]), torch.zeros(2, 1), torch.zeros(2)
    )
    g = torch.tensor([[-0.5, -0.5, 0.5, 0.5], [-0.5, 0.5, 0.5, -0.5]], dtype=torch.float64)
    torch.testing.assert_close(found.rows(0, 2), g)
    one = torch.tensor([[0.5, 0.0], [0.0, 0.5]])
    block = torch.cat([torch.cat([one, -one], 1), torch.cat([-one, one], 1)])
    torch.testing.assert_close(hessian(found), block.double())
    expected = torch.eye(2, dtype=torch.float64)
    torch.testing.assert_close(influence_matrix(found, found, "pseudo_inverse"), expected)
    torch.testing.assert_close(influence_matrix(found, found, "conjugate_gradients"), expected)
    damped = influence_matrix(found, found, "cholesky", damping=1.0)  # 1 / (1 + 1)
    torch.testing.assert_close(damped, expected / 2)


@pytest.mark.parametrize(
    ("solver", "train", "test"),
    # Of directions that no training image knows, pseudo_inverse damps none: it drops them.
    [*((name, 40, 11) for name in SOLVERS), ("cholesky", 5, 40), ("conjugate_gradients", 5, 40)],
)
def test_solvers_are_the_damped_inverse(solver, train, test, monkeypatch):
    """G (H + damping)^-1 G^T, written out, however many slices it is solved in."""
    monkeypatch.setattr(influence, "RIGHT_HAND_SIDES", 4)
    left, right = gradients(test, seed=5), gradients(train)
    damped = hessian(right) + 0.1 * torch.eye(right.parameters, dtype=torch.float64)
    expected = left.rows(0, test) @ torch.linalg.solve(damped, right.rows(0, train).T)
    found = influence_matrix(right, left, solver, damping=0.1, rcond=0.0)
    assert found.shape == (test, train) and found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("rcond", [5e-2, 0.3])
def test_truncated_pseudo_inverse(rcond, monkeypatch):
    """numpy's own definition; the same by Lanczos iterations as from the whole Hessian."""
    train, test = gradients(40), gradients(11, seed=5)
    inverse = torch.linalg.pinv(hessian(train), rtol=rcond, hermitian=True)
    expected = test.rows(0, 11) @ inverse @ train.rows(0, 40).T
    for start in (64, 2):
        monkeypatch.setattr(influence, "LANCZOS_START", start)
        found = influence_matrix(train, test, "pseudo_inverse", rcond=rcond)
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_duplicate_has_the_influence_of_its_original(solver):
    features, labels = images(20, 0)
    doubled = head_gradients(
        torch.cat([features, features[3:4]]), torch.cat([labels, labels[3:4]]), *some_head()
    )
    found = influence_matrix(doubled, gradients(7, seed=5), solver, damping=0.01)
    torch.testing.assert_close(found[:, 3], found[:, 20], rtol=1e-7, atol=1e-9)
    # An image helps itself: leaving it out cannot make its own loss smaller.
    itself = influence_matrix(doubled, doubled, solver, damping=0.01)
    assert (itself.diagonal() > 0).all()
    torch.testing.assert_close(itself, itself.T, rtol=1e-7, atol=1e-9)


def fitted(features: torch.Tensor, labels: torch.Tensor, damping: float) -> torch.Tensor:
    """Newton's method on the summed loss + damping / 2 * ||theta||^2, in float64."""

    def objective(flat: torch.Tensor) -> torch.Tensor:
        return loss(flat, features, labels) + 0.5 * damping * flat.square().sum()

    theta = torch.zeros(CLASSES * (WIDTH + 1), dtype=torch.float64)
    for _ in range(12):
        step = torch.linalg.solve(
            torch.func.hessian(objective)(theta), torch.func.grad(objective)(theta)
        )
        theta = theta - step
    assert float(torch.func.grad(objective)(theta).norm()) < 1e-8
    return theta


def test_leaving_an_image_out_changes_the_loss_as_predicted():
    damping = 2.0
    features, labels = images(240, 0)
    labels = labels.clone()
    labels[17] = (labels[17] + 1) % CLASSES  # a wrong label does harm
    theta = fitted(features, labels, damping)
    head = theta.view(CLASSES, WIDTH + 1)
    test = images(24, 5)
    train_gradients = head_gradients(features, labels, head[:, :-1], head[:, -1])
    test_gradients = head_gradients(*test, head[:, :-1], head[:, -1])
    predicted = influence_matrix(train_gradients, test_gradients, damping=damping).sum(0)
    harmful = int(predicted.argmin())
    assert predicted[harmful] < 0
    before, actual = loss(theta, *test), []
    chosen = [harmful, *range(0, 240, 30)]
    for k in chosen:
        kept = torch.arange(240) != k
        actual.append(loss(fitted(features[kept], labels[kept], damping), *test) - before)
    changes = torch.stack(actual)
    assert changes[0] < 0 and float(changes[0]) == pytest.approx(float(predicted[harmful]), rel=0.2)
    correlation = torch.corrcoef(torch.stack([changes, predicted[chosen]]))[0, 1]
    assert float(correlation) > 0.98


def test_wrong_questions_are_told():
    train = gradients()
    weight, bias = some_head()
    features, labels = images(30, 0)
    with pytest.raises(UserError, match="unknown solver 'lissa'; there are cholesky"):
        influence_matrix(train, train, "lissa")
    with pytest.raises(UserError, match="not positive definite.*set a .larger. damping"):
        influence_matrix(train, train, "cholesky")
    with pytest.raises(UserError, match="damping .-1. is at least 0"):
        influence_matrix(train, train, damping=-1)
    with pytest.raises(UserError, match="rcond .1. in"):
        influence_matrix(train, train, "pseudo_inverse", rcond=1)
    narrow = head_gradients(features[:, :2], labels, weight[:, :2], bias)
    with pytest.raises(UserError, match=r"of one head; .*\(4, 6\) and \(4, 2\)"):
        influence_matrix(train, narrow)
    few = gradients(3)  # training images that know fewer directions than the test images have
    with pytest.raises(UserError, match="conjugate gradients do not converge with damping 0"):
        influence_matrix(few, gradients(2, seed=5), "conjugate_gradients")
    with pytest.raises(UserError, match=r"not \(30, 6\), \(30,\), \(4, 2\)"):
        head_gradients(features, labels, weight[:, :2], bias)
    with pytest.raises(UserError, match=r"labels are 0 ... 4, but the head has 4"):
        head_gradients(features, torch.arange(30) % 5, weight, bias)
    with pytest.raises(UserError, match="not finite"):
        head_gradients(features * torch.nan, labels, weight, bias)
