"""Linear heads on frozen features, solved to the optimum instead of trained over epochs.

Many heads (subsets of the images, seeds, regularisations) form one batched problem. It is solved by
L-BFGS with the two-loop recursion (Nocedal 1980; Nocedal and Wright 2006, algorithm 7.4), with a
step size and a stopping point for each head.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import UserError

log = logging.getLogger("advtransfer")

MAXIMUM_ITERATIONS = 500
GRADIENT_TOLERANCE = 2e-6
GRADIENT_UNSOLVED = 1e-4
HISTORY = 10
# RIDGE times the number of features is added to the diagonal (about 1/2) of the curvature bound.
# Rounding in float32 can lower its smallest eigenvalues by about as much if features are collinear.
RIDGE = 2e-7
# A head stops after so many iterations in a row without usable curvature: float32 then resolves no
# further descent.
MAXIMUM_IDLE = 12
# If the features of a subset have more numbers than this, a CPU reads them from memory again and
# again. Subsets are then solved one after the other, and the candidates of a subset share one copy.
# This is up to 2 x as fast; for smaller subsets it is up to 6 x as slow.
SHARED_FROM = 2**18


def solve_head(
    head: nn.Linear, features: torch.Tensor, labels: torch.Tensor, regularization: float
) -> float:
    """Fill one head in place with the solution of `solve_heads`.

    Args:
        features: float32 (N, D), frozen.
        labels: int64 (N,).

    Returns:
        The mean cross-entropy of the solution.
    """
    weights, biases, losses = solve_heads(features, labels[None], head.out_features, regularization)
    with torch.no_grad():
        head.weight.copy_(weights[0])
        head.bias.copy_(biases[0])
    return float(losses[0])


@torch.no_grad()
def solve_heads(
    features: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
    regularization: float | torch.Tensor,
    *,
    maximum_iterations: int = MAXIMUM_ITERATIONS,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Solve multinomial logistic regression to convergence, for S problems of n images each.

    Each problem minimises mean cross-entropy + regularization / 2 * ||W||^2 over features that are
    standardised by its own images. A constant feature is only centred. The standardisation is
    folded into the returned weights and biases.

    A head is solved when the 2-norm of the objective's gradient in (W, b) is at most 2e-6, or when
    float32 resolves no further descent. Without regularisation, separable classes have no optimum,
    and a class without images never has one in its bias. Such weights grow until the gradient is
    small enough or ``maximum_iterations`` are done. The weights reached by then are returned; a
    warning is logged if the norm is above 1e-4. Other heads in the batch change a head by rounding
    alone.

    Heads are solved in coordinates in which the curvature is at most one and close to it. They come
    from the Cholesky factor of Boehning's bound on the Hessian (Ann. Inst. Stat. Math. 44, 1992),
    1/2 X^T X / n + regularization. Correlated features, as those of a network are, then cost few
    additional iterations.

    Memory holds a copy of the features, 2 * HISTORY vectors of the size of a head for each problem,
    logits (S, C, n), and factors (D, D), one for each problem unless features and regularisation
    are shared. Pass subsets of one feature matrix gathered, as (S, n, D).

    Args:
        features: float32 (n, D) shared by all problems, or (S, n, D).
        labels: int64 (S, n), each in 0 ... classes - 1.
        regularization: at least 0; one number for all problems, or (S,).

    Returns:
        Weights (S, classes, D), biases (S, classes), mean cross-entropies (S,), all float32.

    Raises:
        UserError: Shapes do not fit, labels or regularisation are out of range, or features are not
            finite.
    """
    count = len(labels)
    penalty = torch.as_tensor(regularization, dtype=torch.float32, device=features.device)
    _check(features, labels, classes, penalty)

    mean, spread = _mean_and_spread(features)
    standard = (features - mean) / spread
    # Optimal weights lie in the span of the images. A problem with fewer images than features is
    # therefore one of n features: X = R^T Q^T, and (W Q) has the norm of W.
    basis = None
    if standard.shape[-2] < standard.shape[-1]:
        basis, triangle = torch.linalg.qr(standard.mT)
        standard = triangle.mT
    design = F.pad(standard, (0, 1), value=1.0)
    problems = _Problems(
        design,
        labels,
        penalty.expand(count).view(-1, 1, 1),
        _whitening(design, penalty if penalty.ndim == 0 else penalty.view(-1, 1, 1)),
        classes,
    )
    solution = _minimize(problems, maximum_iterations) @ problems.whitening
    weights, biases = solution[..., :-1], solution[..., -1]
    if basis is not None:
        weights = weights @ basis.mT
    weights = weights / spread
    biases = biases - (weights @ mean.mT).squeeze(-1)
    logits = weights @ features.mT + biases[..., None]  # (S, C, n)
    return weights, biases, F.cross_entropy(logits, labels, reduction="none").mean(1)


@torch.no_grad()
def solve_subsets(
    features: torch.Tensor,
    labels: torch.Tensor,
    subsets: torch.Tensor,
    classes: int,
    regularizations: Sequence[float],
    *,
    holdout: float = 0.2,
    memory: int = 1024**3,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Solve a head for every subset by `solve_heads`, with the best regularisation for each.

    The last fifth of a subset's images (at least one) is held out, and heads are solved on the
    others. The regularisation with the least mean cross-entropy on the held-out images is chosen;
    of equal ones, the larger. Held-out images of a class that the others lack do not count, because
    a head's logits for this class depend only on where its solver stopped. The head is then solved
    again on the whole subset. A single regularisation is used without this choice.

    Args:
        features: float32 or bf16 (N, D), frozen.
        labels: int64 (N,), each in 0 ... classes - 1.
        subsets: int64 (S, n), positions in ``features``, in random order.
        classes: number of classes of the heads.
        regularizations: candidates, at least one.
        holdout: share of the held-out images, above 0 and below 1.
        memory: approximate limit, in bytes, for the subsets that are solved at once.

    Returns:
        Weights (S, classes, D), biases (S, classes), chosen regularisations (S,) and mean
        cross-entropies (S,) on the whole subsets, all float32.

    Raises:
        UserError: There is no regularisation, or there are several but subsets have one image; or
            see `solve_heads`.
    """
    candidates = sorted(
        set(regularizations), reverse=True
    )  # argmin takes the first of equal ones: the larger
    images = subsets.shape[1]
    if not candidates or (len(candidates) > 1 and images < 2):
        raise UserError(
            "heads are solved with at least one regularization; choosing among several takes "
            f"subsets of at least two images (they have {images})."
        )
    width = features.shape[1] + 1
    vectors = 20 * classes + 3 * min(width, images)  # L-BFGS and factors
    numbers = (4 * images + vectors) * width + 4 * classes * images
    together = max(1, memory // (4 * len(candidates) * numbers))
    if features.device.type == "cpu" and images * width > SHARED_FROM:
        together = 1
    parts = [
        _solve_together(features, labels, rows, classes, candidates, holdout)
        for rows in subsets.split(together)
    ]
    weights, biases, chosen, losses = (torch.cat(column) for column in zip(*parts, strict=True))
    return weights, biases, chosen, losses


def _solve_together(
    features: torch.Tensor,
    labels: torch.Tensor,
    rows: torch.Tensor,
    classes: int,
    candidates: Sequence[float],
    holdout: float,
) -> tuple[torch.Tensor, ...]:
    """Return the result of `solve_subsets`, with all candidates and subsets in one batch."""
    penalties = torch.tensor(candidates, dtype=torch.float32, device=features.device)
    chosen = penalties[:1].expand(len(rows))
    if len(candidates) > 1:
        held = max(1, round(holdout * rows.shape[1]))
        fitted, tested = rows[:, :-held], rows[:, -held:]
        count = len(candidates)
        weights, biases, _ = _solve_rows(
            features,
            labels,
            fitted.repeat_interleave(count, 0) if len(rows) > 1 else fitted,
            classes,
            penalties.repeat(len(rows)),
        )
        # (S, candidates, classes, held)
        logits = weights.unflatten(0, (-1, count)) @ features[tested].float().mT[:, None]
        logits += biases.unflatten(0, (-1, count))[..., None]
        truth = labels[tested]
        known = (truth[:, :, None] == labels[fitted][:, None]).any(2)  # (S, held)
        losses = F.cross_entropy(
            logits.movedim(2, 1), truth[:, None].expand(-1, count, -1), reduction="none"
        )
        # All candidates count the same images, so that sums order them as means do.
        chosen = penalties[(losses * known[:, None]).sum(2).argmin(1)]
    weights, biases, losses = _solve_rows(features, labels, rows, classes, chosen)
    return weights, biases, chosen, losses


def _solve_rows(
    features: torch.Tensor,
    labels: torch.Tensor,
    rows: torch.Tensor,
    classes: int,
    penalties: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Solve heads for rows (S, n) and penalties (S,), or one row (1, n) and any penalties."""
    if len(rows) == 1:  # all share one copy of the features and one Gram matrix
        truth = labels[rows[0]].expand(len(penalties), -1)
        return solve_heads(features[rows[0]].float(), truth, classes, penalties)
    return solve_heads(features[rows].float(), labels[rows], classes, penalties)


def _check(
    features: torch.Tensor, labels: torch.Tensor, classes: int, penalty: torch.Tensor
) -> None:
    fits = features.ndim in (2, 3) and labels.ndim == 2 and features.shape[-2] == labels.shape[1]
    if not fits or (features.ndim == 3 and len(features) != len(labels)) or not labels.numel():
        raise UserError(
            f"features are (n, D) or (S, n, D) and labels (S, n), not {tuple(features.shape)} and "
            f"{tuple(labels.shape)}."
        )
    if penalty.shape not in ((), (len(labels),)) or not bool((penalty >= 0).all()):
        raise UserError("regularization must be at least 0: one number, or one for each problem.")
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise UserError(
            f"labels are {int(labels.min())} ... {int(labels.max())}, but there are {classes} "
            "classes."
        )
    if not bool(torch.isfinite(features).all()):
        raise UserError("the features have values that are not finite: the network has diverged.")


def _mean_and_spread(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation (..., 1, D) over images; 1 for a constant feature."""
    variance, mean = torch.var_mean(features, -2, correction=0, keepdim=True)
    spread = variance.sqrt()
    # The rounding error of a constant feature must not count as spread.
    return mean, torch.where(spread > 1e-6 * mean.abs(), spread, torch.ones_like(spread))


def _whitening(design: torch.Tensor, penalty: torch.Tensor) -> torch.Tensor:
    """Return T (..., D + 1, D + 1) with T^T T = (1/2 X^T X / n + penalty + ridge)^-1."""
    bound = design.mT @ design / (2 * design.shape[-2])
    width = bound.shape[-1]
    identity = torch.eye(width, device=bound.device)
    factor = torch.linalg.cholesky(bound + (penalty + RIDGE * width) * identity)
    return torch.linalg.solve_triangular(factor, identity.expand_as(factor), upper=False)


@dataclass
class _Problems:
    """Objectives of S heads as functions of V, where W = V T: one matrix product each way."""

    design: torch.Tensor  # (n, D + 1) or (S, n, D + 1); the last column is 1: the bias
    labels: torch.Tensor  # (S, n)
    penalty: torch.Tensor  # (S, 1, 1)
    whitening: torch.Tensor  # (D + 1, D + 1) or (S, D + 1, D + 1)
    classes: int

    def evaluate(self, point: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return objective (S,), gradient in V, and norm (S,) of the gradient in W.

        ``point`` is V (S, C, D + 1).
        """
        weights = point @ self.whitening
        decayed = self.penalty * weights
        decayed[..., -1] = 0
        log_p = F.log_softmax(weights @ self.design.mT, 1)  # (S, C, n)
        loss = -log_p.gather(1, self.labels[:, None]).mean((1, 2))
        error = log_p.exp_()
        error.scatter_add_(1, self.labels[:, None], -torch.ones_like(error[:, :1]))
        gradient = (error @ self.design).div_(error.shape[2]).add_(decayed)
        objective = loss + 0.5 * (decayed * weights).sum((1, 2))
        return objective, gradient @ self.whitening.mT, gradient.flatten(1).norm(dim=1)

    def keep(self, chosen: torch.Tensor) -> _Problems:
        own, scaled = self.design.ndim == 3, self.whitening.ndim == 3
        return _Problems(
            self.design[chosen] if own else self.design,
            self.labels[chosen],
            self.penalty[chosen],
            self.whitening[chosen] if scaled else self.whitening,
            self.classes,
        )


@dataclass
class _State:
    """L-BFGS of S problems with P = C * (D + 1) variables; every tensor is (S, ...)."""

    point: torch.Tensor  # (S, P)
    objective: torch.Tensor  # (S,)
    gradient: torch.Tensor  # (S, P)
    norm: torch.Tensor  # (S,): norm of the gradient in W
    direction: torch.Tensor  # (S, P)
    step: torch.Tensor  # (S,): step to try along the direction
    idle: torch.Tensor  # (S,): iterations in a row without usable curvature
    scale: torch.Tensor  # (S,): scale of the inverse Hessian that the recursion starts from
    moves: torch.Tensor  # (S, HISTORY, P): changes of the point; a ring buffer like the next two
    turns: torch.Tensor  # (S, HISTORY, P): changes of the gradient
    inverses: torch.Tensor  # (S, HISTORY): 1 / (move . turn); 0 leaves the pair out

    def keep(self, chosen: torch.Tensor) -> _State:
        return _State(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def finished(self) -> torch.Tensor:
        return (self.norm <= GRADIENT_TOLERANCE) | (self.idle >= MAXIMUM_IDLE)


def _minimize(problems: _Problems, maximum_iterations: int) -> torch.Tensor:
    """Return the minimisers V (S, C, D + 1)."""
    count, width = len(problems.labels), problems.design.shape[-1]
    start = torch.zeros(count, problems.classes, width, device=problems.design.device)
    objective, gradient, norm = problems.evaluate(start)
    ones = torch.ones_like(norm)
    history = start.new_zeros(count, HISTORY, problems.classes * width)
    state = _State(
        point=start.flatten(1),
        objective=objective,
        gradient=gradient.flatten(1),
        norm=norm,
        direction=-gradient.flatten(1),
        step=ones,
        idle=torch.zeros_like(ones),
        scale=ones,
        moves=history,
        turns=history.clone(),
        inverses=history.new_zeros(history.shape[:2]),
    )
    alive = torch.arange(count, device=start.device)
    points, norms = state.point.clone(), norm.clone()

    def store() -> None:
        points[alive], norms[alive] = state.point, state.norm

    for iteration in range(maximum_iterations):
        finished = state.finished()
        done = int(finished.sum())  # the only wait for the device in an iteration
        # Removing finished problems copies the others, so an eighth is removed at a time.
        if 8 * done >= len(alive):
            store()
            going = (~finished).nonzero().squeeze(1)
            alive = alive[going]
            if not len(alive):
                break
            state, problems, finished = state.keep(going), problems.keep(going), finished[going]
        _iterate(problems, state, finished, iteration)
    else:
        store()
    unsolved = int((norms > GRADIENT_UNSOLVED).sum())
    if unsolved:
        log.warning(
            "%d of %d heads are not at their optimum: the gradient's norm is up to %.1e. Separable "
            "classes have no optimum without a little regularization.",
            unsolved, count, float(norms.max()),
        )  # fmt: skip
    return points.view(start.shape)


def _iterate(problems: _Problems, state: _State, finished: torch.Tensor, iteration: int) -> None:
    """Try one step of every problem, and update ``state`` where the step is taken."""
    move = state.step[:, None] * state.direction
    shape = (-1, problems.classes, problems.design.shape[-1])
    objective, gradient, norm = problems.evaluate((state.point + move).view(shape))
    gradient = gradient.flatten(1)
    slope = (state.gradient * state.direction).sum(1)
    slope_there = (gradient * state.direction).sum(1)
    # A step is taken by Armijo's condition. Close to the optimum, where float32 cannot distinguish
    # two objectives, the slopes decide (Hager and Zhang, SIAM J. Optim. 16, 2005, eq. 4.1).
    armijo = objective <= state.objective + 1e-4 * state.step * slope
    flat = objective <= state.objective + 1e-6 * (1 + state.objective)
    taken = (armijo | (flat & (slope_there <= -0.8 * slope))) & ~finished

    turn = gradient - state.gradient
    curvature, turned = (move * turn).sum(1), turn.square().sum(1)
    # Curvature is at most one in these coordinates; anything above is rounding error.
    known = taken & (curvature > 0.5 * turned) & (turned > 0)
    slot = iteration % HISTORY
    state.moves[:, slot], state.turns[:, slot] = move, turn
    state.inverses[:, slot] = torch.where(known, 1 / curvature, 0)
    state.scale = torch.where(known, curvature / turned, state.scale)
    state.idle = torch.where(known, 0.0, state.idle + 1)

    moved = taken[:, None]
    state.point = torch.where(moved, state.point + move, state.point)
    state.gradient = torch.where(moved, gradient, state.gradient)
    state.objective = torch.where(taken, objective, state.objective)
    state.norm = torch.where(taken, norm, state.norm)
    # A rejected step is cut to the zero of the slope, interpolated between its ends.
    cut = (slope / (slope - slope_there)).nan_to_num(0.1).clamp(0.1, 0.5)
    state.step = torch.where(taken, 1.0, state.step * cut)
    ring = [(slot - back) % HISTORY for back in range(min(iteration + 1, HISTORY))]
    state.direction = torch.where(moved, _direction(state, ring), state.direction)


def _direction(state: _State, ring: list[int]) -> torch.Tensor:
    """Return minus the inverse Hessian times the gradient (S, P); ``ring`` is newest first."""
    direction = -state.gradient
    shares = []
    for k in ring:
        share = state.inverses[:, k] * (state.moves[:, k] * direction).sum(1)
        direction = direction - share[:, None] * state.turns[:, k]
        shares.append(share)
    direction = direction * state.scale[:, None]
    for k, share in zip(reversed(ring), reversed(shares), strict=True):
        back = state.inverses[:, k] * (state.turns[:, k] * direction).sum(1)
        direction = direction + (share - back)[:, None] * state.moves[:, k]
    return direction
