"""Influence of training images on test images through the head, in closed form.

These are influence functions (Koh and Liang, ICML 2017) with all but the head held fixed, as in the
influence study of Utrera et al. (ICLR 2021). The loss is the softmax cross-entropy, with
theta = (W, b) and h~ = [h; 1]. An image's gradient is then (p - e_y) kron h~, and its Hessian is
(diag(p) - p p^T) kron (h~ h~^T). No automatic differentiation is needed, and a gradient is stored
as its two factors.
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
# A function that solves (Hessian + damping) x = b for right-hand sides b, (C * (D + 1), k).
Solve = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class HeadGradients:
    """Gradients G (n, P) of n images' losses in the head's P = C * (D + 1) parameters, as factors.

    Row i of G is ``residuals[i] kron inputs[i]``: the weights and the bias of one class after the
    other. All tensors are float64.
    """

    probabilities: torch.Tensor  # (n, C)
    residuals: torch.Tensor  # (n, C): p - e_y
    inputs: torch.Tensor  # (n, D + 1): features and 1

    @property
    def parameters(self) -> int:
        return self.residuals.shape[1] * self.inputs.shape[1]

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Return the rows ``start`` to ``stop`` of G as a matrix (stop - start, P)."""
        outer = self.residuals[start:stop, :, None] * self.inputs[start:stop, None]
        return outer.flatten(1)

    def times(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return G @ vectors, (n, k), of vectors (P, k), without forming G."""
        total = self.inputs.new_zeros(len(self.inputs), vectors.shape[1])
        by_class = vectors.view(self.residuals.shape[1], self.inputs.shape[1], -1)
        for c, part in enumerate(by_class):
            total.addcmul_(self.residuals[:, c, None], self.inputs @ part)
        return total


def head_gradients(
    features: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> HeadGradients:
    """Return the gradients of the cross-entropy of every image.

    Args:
        features: (n, D), the inputs of the head.
        labels: int64 (n,).
        weight, bias: (C, D) and (C,), the parameters of the head.

    Raises:
        UserError: Shapes do not fit, labels are out of range, or numbers are not finite.
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
    """Return the Hessian (P, P), float64, of the summed cross-entropy; it takes 8 P^2 bytes.

    It needs one matrix product for each pair of classes, and forms no Hessian of a single image.
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
    """Return the Hessian of the summed cross-entropy times (P, k), without forming the Hessian.

    This takes 8 (n C + 2 P) k bytes.
    """
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
    """Return I = G_test H^+ G_train^T, float64 (test images, training images).

    H is the Hessian of the training images' *summed* loss. I[t, i] therefore estimates by how much
    the loss of test image t rises if training image i is left out: larger is more helpful.

    Args:
        solver: how H is inverted.
            ``cholesky``: exact (H + damping)^-1; twice 8 P^2 bytes, P^3 / 3 operations.
            ``pseudo_inverse``: eigenvalues up to ``rcond`` times the largest are dropped, and
            damping is added to the others; the papers' rcond is 5e-2. If fewer than a quarter of
            the eigenvalues remain, Lanczos iterations find them without forming H; otherwise H is
            decomposed.
            ``conjugate_gradients``: (H + damping)^-1 without forming H, to a relative residual of
            1e-10.
        damping: number added to the diagonal. A head fitted on these features with a penalty
            lambda / 2 (||W||^2 + ||b||^2) on its mean loss over n images has the damping
            n * lambda. (`solve_heads` penalises the weights of standardised features, so pass
            these. It does not penalise the bias, which is damped here.) H alone is singular,
            because adding the same vector to every class changes no loss.
        rcond: only for ``pseudo_inverse``; see there.

    Raises:
        UserError: The solver is unknown, numbers are out of range, the gradients are of two heads,
            H + damping is not positive definite, or conjugate gradients do not converge.
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
    # H is symmetric, so either side can be solved for. The one with fewer images costs less; it is
    # solved for a slice of rows at a time.
    if len(test.inputs) <= len(train.inputs):
        return _solved(test, train, solve)
    return _solved(train, test, solve).T


def _solved(few: HeadGradients, many: HeadGradients, solve: Solve) -> torch.Tensor:
    """Return G_few H^-1 G_many^T."""
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
    """Return H's eigenvalues (r,) above ``rcond`` times the largest, and eigenvectors (P, r)."""
    size, device = train.parameters, train.inputs.device

    def product(vector: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(np.ascontiguousarray(vector)).to(device).view(size, 1)
        return hessian_times(train, given).squeeze(1).cpu().numpy()

    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(size)  # every call uses the same start
    count = LANCZOS_START
    while 4 * count < size:
        found, directions = eigsh(operator, count, which="LA", v0=start)
        if found.min() <= rcond * found.max():
            values, vectors = (torch.from_numpy(part).to(device) for part in (found, directions))
            break
        count *= 4
    else:
        values, vectors = torch.linalg.eigh(hessian(train))
    # Eigenvalues that are zero up to rounding are dropped even at rcond 0.
    kept = values > max(rcond, size * torch.finfo(values.dtype).eps) * values.max()
    return values[kept], vectors[:, kept].contiguous()


def _gradients(train: HeadGradients, damping: float) -> Solve:
    """Return a solver by conjugate gradients (Hestenes and Stiefel 1952).

    Every right-hand side has its own iterations.
    """

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
