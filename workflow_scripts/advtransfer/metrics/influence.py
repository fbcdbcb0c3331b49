"""Influence of training images on test images through the last layer, in closed form.

Influence functions (Koh and Liang, ICML 2017) with all but the head held fixed, as in the influence
study of Utrera et al. (ICLR 2021). Of softmax cross-entropy with theta = (W, b) and h~ = [h; 1], an
image's gradient is (p - e_y) kron h~ and its Hessian (diag(p) - p p^T) kron (h~ h~^T). Neither is
ever differentiated, and a gradient is kept as its two factors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse.linalg import LinearOperator, eigsh

from ..errors import UserError

RIGHT_HAND_SIDES = 256
LANCZOS_START = 64
CONJUGATE_GRADIENT_TOLERANCE = 1e-10
# Solves (Hessian + damping) for right-hand sides (C * (D + 1), k).
Solve = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class HeadGradients:
    """Gradients G (n, P) of n images' losses in the head's P = C * (D + 1) parameters, as factors.

    Row i of G is ``residuals[i] kron inputs[i]``: a class's weights and its bias, class by class.
    All float64.
    """

    probabilities: torch.Tensor  # (n, C)
    residuals: torch.Tensor  # (n, C): p - e_y
    inputs: torch.Tensor  # (n, D + 1): features and 1

    @property
    def parameters(self) -> int:
        return self.residuals.shape[1] * self.inputs.shape[1]

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows of G, written out: (stop - start, P)."""
        outer = self.residuals[start:stop, :, None] * self.inputs[start:stop, None]
        return outer.flatten(1)

    def times(self, vectors: torch.Tensor) -> torch.Tensor:
        """G @ vectors: (P, k) to (n, k), without G."""
        total = self.inputs.new_zeros(len(self.inputs), vectors.shape[1])
        by_class = vectors.view(self.residuals.shape[1], self.inputs.shape[1], -1)
        for c, part in enumerate(by_class):
            total.addcmul_(self.residuals[:, c, None], self.inputs @ part)
        return total


def head_gradients(
    features: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> HeadGradients:
    """Gradients of the cross-entropy of every image.

    Args:
        features: (n, D) under the head.
        labels: int64 (n,).
        weight, bias: (C, D) and (C,) of the head.

    Raises:
        UserError: shapes that do not fit, labels out of range, numbers that are not finite.
    """
    if (
        features.ndim != 2
        or labels.shape != features.shape[:1]
        or weight.shape != (*bias.shape, features.shape[1])
        or not len(labels)
    ):
        raise UserError(
            "features are (n, D), labels (n,), weight (C, D) and bias (C,), not "
            f"{tuple(features.shape)}, {tuple(labels.shape)}, {tuple(weight.shape)} and "
            f"{tuple(bias.shape)}."
        )
    if int(labels.min()) < 0 or int(labels.max()) >= len(bias):
        raise UserError(
            f"labels are {int(labels.min())} ... {int(labels.max())}, but the head has "
            f"{len(bias)} classes."
        )
    features, weight, bias = features.double(), weight.double(), bias.double()
    probabilities = torch.softmax(features @ weight.T + bias, 1)
    if not bool(torch.isfinite(probabilities).all()):
        raise UserError("features or head hold numbers that are not finite.")
    residuals = probabilities - F.one_hot(labels, len(bias))
    return HeadGradients(probabilities, residuals, F.pad(features, (0, 1), value=1.0))


def hessian(train: HeadGradients) -> torch.Tensor:
    """Hessian (P, P), float64, of the summed cross-entropy: 8 P^2 bytes.

    One matrix product for each pair of classes; no image's own Hessian is formed.
    """
    p, x = train.probabilities, train.inputs
    classes, width = p.shape[1], x.shape[1]
    result = x.new_empty(classes, width, classes, width)
    for a in range(classes):
        for b in range(a + 1):
            share = p[:, a] * (float(a == b) - p[:, b])
            block = (x * share[:, None]).T @ x
            result[a, :, b] = block
            result[b, :, a] = block
    return result.view(classes * width, classes * width)


def hessian_times(train: HeadGradients, vectors: torch.Tensor) -> torch.Tensor:
    """Hessian of the summed cross-entropy times (P, k), without the Hessian: 8 (n C + 2 P) k
    bytes."""
    p, x = train.probabilities, train.inputs
    count, classes, width = len(p), p.shape[1], x.shape[1]
    by_class = vectors.view(classes, width, -1).transpose(0, 1).reshape(width, -1)
    logits = (x @ by_class).view(count, classes, -1)
    shares = p[:, :, None]
    logits -= (shares * logits).sum(1, keepdim=True)
    product = x.T @ logits.mul_(shares).view(count, -1)
    return product.view(width, classes, -1).transpose(0, 1).reshape(classes * width, -1)


def influence_matrix(
    train: HeadGradients,
    test: HeadGradients,
    solver: str = "cholesky",
    *,
    damping: float = 0.0,
    rcond: float = 5e-2,
) -> torch.Tensor:
    """I = G_test H^+ G_train^T, float64 (test images, training images).

    H is the Hessian of the training images' *summed* loss, so that I[t, i] estimates by how much
    the loss of test image t rises if training image i is left out: larger is more helpful.

    Args:
        solver: how H is inverted.
            ``cholesky``: (H + damping)^-1, exact. 8 P^2 bytes twice; P^3 / 3 operations.
            ``pseudo_inverse``: eigenvalues up to ``rcond`` times the largest are dropped, then
            damping is added to those kept; the papers' rcond is 5e-2. The kept ones are found by
            Lanczos iterations without H where they are less than a quarter of all; else H is
            decomposed whole.
            ``conjugate_gradients``: (H + damping)^-1 without H, to a relative residual of 1e-10.
        damping: added to the diagonal. A head fitted on these features with a penalty
            lambda / 2 (||W||^2 + ||b||^2) on its mean loss over n images has the damping
            n * lambda. (`solve_heads` penalises the weights of standardised features, so these are
            the features to give; it leaves the bias free, which is damped here.) H alone is
            singular: the same vector added to every class changes no loss.
        rcond: only for ``pseudo_inverse``.

    Raises:
        UserError: unknown solver, numbers out of range, two heads, H + damping not positive
            definite, or conjugate gradients that do not converge.
    """
    if solver not in ("cholesky", "pseudo_inverse", "conjugate_gradients"):
        raise UserError(
            f"unknown solver '{solver}'; there are cholesky, pseudo_inverse, conjugate_gradients."
        )
    if not (math.isfinite(damping) and damping >= 0 and 0 <= rcond < 1):
        raise UserError(f"damping ({damping}) is at least 0, rcond ({rcond}) in [0, 1).")
    shapes = [(g.residuals.shape[1], g.inputs.shape[1] - 1) for g in (train, test)]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"training and test gradients are of one head; these have (classes, features) "
            f"{shapes[0]} and {shapes[1]}."
        )
    if solver == "pseudo_inverse":
        values, vectors = _eigenpairs_above(train, rcond)
        return (test.times(vectors) / (values + damping)) @ train.times(vectors).T
    solve = _cholesky(train, damping) if solver == "cholesky" else _gradients(train, damping)
    # H is symmetric: the side with fewer images is solved for, a slice of its rows at a time.
    if len(test.inputs) <= len(train.inputs):
        return _solved(test, train, solve)
    return _solved(train, test, solve).T


def _solved(few: HeadGradients, many: HeadGradients, solve: Solve) -> torch.Tensor:
    """G_few H^-1 G_many^T."""
    result = few.inputs.new_empty(len(few.inputs), len(many.inputs))
    for start in range(0, len(few.inputs), RIGHT_HAND_SIDES):
        stop = min(start + RIGHT_HAND_SIDES, len(few.inputs))
        result[start:stop] = many.times(solve(few.rows(start, stop).T.contiguous())).T
    return result


def _cholesky(train: HeadGradients, damping: float) -> Solve:
    factor, failed = torch.empty(0), torch.ones(1)
    if damping:  # H alone is singular
        damped = hessian(train)
        damped.diagonal().add_(damping)
        factor, failed = torch.linalg.cholesky_ex(damped)
    if int(failed):
        raise UserError(
            f"the Hessian with damping {damping:g} is not positive definite, as it must be for "
            "solver cholesky; set a (larger) damping, or use pseudo_inverse."
        )
    return lambda right: torch.cholesky_solve(right, factor)


def _eigenpairs_above(train: HeadGradients, rcond: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues (r,) of H above ``rcond`` times the largest, and eigenvectors (P, r)."""
    size, device = train.parameters, train.inputs.device

    def product(vector: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(np.ascontiguousarray(vector)).to(device).view(size, 1)
        return hessian_times(train, given).squeeze(1).cpu().numpy()

    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(size)  # the same at every call
    count = LANCZOS_START
    while 4 * count < size:
        found, directions = eigsh(operator, count, which="LA", v0=start)
        if found.min() <= rcond * found.max():
            values, vectors = (torch.from_numpy(part).to(device) for part in (found, directions))
            break
        count *= 4
    else:
        values, vectors = torch.linalg.eigh(hessian(train))
    # Eigenvalues that are zero but for rounding are no directions, even at rcond 0.
    kept = values > max(rcond, size * torch.finfo(values.dtype).eps) * values.max()
    return values[kept], vectors[:, kept].contiguous()


def _gradients(train: HeadGradients, damping: float) -> Solve:
    """Conjugate gradients (Hestenes and Stiefel 1952), every right-hand side with its own."""

    def solve(right: torch.Tensor) -> torch.Tensor:
        solution = torch.zeros_like(right)
        residual = right.clone()
        direction = right.clone()
        square = residual.square().sum(0)
        enough = CONJUGATE_GRADIENT_TOLERANCE**2 * square
        limit = 10 * train.parameters
        for _ in range(limit):
            going = ~(square <= enough)
            if not bool(going.any()):
                return solution
            if not bool(torch.isfinite(square).all()):
                break
            image = hessian_times(train, direction).add_(direction, alpha=damping)
            step = torch.where(going, square / (direction * image).sum(0), 0)
            solution.addcmul_(direction, step)
            residual.addcmul_(image, step, value=-1)
            before, square = square, residual.square().sum(0)
            direction.mul_(torch.where(going, square / before, 0)).add_(residual)
        raise UserError(
            f"conjugate gradients do not converge with damping {damping:g} (at most {limit} "
            "iterations); set a (larger) damping, or use another solver."
        )

    return solve
