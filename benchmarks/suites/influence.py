"""Influence functions of the last layer: 500 images, 512 features, 10 classes, float64.

The Hessian of the summed cross-entropy in the head's 5,130 parameters. Peers: row by row with
autograd (a gradient of every entry of the gradient), over batches of 1 image and of 50; a share of
the rows of one batch is timed and scaled up. Ours: ``hessian``, in closed form. The target is that
against batch 1 and another against batch 50, so each is a case.

Then what inverts it, to the influence of all 500 images on each other: Cholesky, conjugate
gradients without the Hessian, the papers' pseudo-inverse. No peers.

Facts: largest difference of the Hessian to autograd's, relative to its largest entry, on 20 images
with 6 features and 4 classes; of the conjugate gradients' influences to Cholesky's likewise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..harness import Measurement, Settings, interleaved, synchronised

if TYPE_CHECKING:
    import torch

# Images in a batch of the peer, rows of its Hessian that are timed, and the target against it.
PEERS = ((1, 60, 1000.0), (50, 60, 30.0))
PENALTY = 1e-2  # times images: damping


def run(settings: Settings) -> list[Measurement]:
    from workflow_scripts.advtransfer.metrics.influence import head_gradients, hessian

    size = {"images": 60, "width": 8, "classes": 3} if settings.quick else {}
    problem = random_problem(**size, device=settings.device)
    features, labels, weight, bias = problem
    count, parameters = len(features), weight.numel() + bias.numel()
    rows = {batch: min(most, parameters) for batch, most, _ in PEERS}

    def autograd(batch: int) -> None:
        hessian_rows(features[:batch], labels[:batch], weight, bias, rows[batch])

    contenders = {
        f"autograd by rows, batches of {batch}": lambda batch=batch: autograd(batch)
        for batch, *_ in PEERS
    }
    contenders["ours"] = lambda: hessian(head_gradients(*problem))
    contenders = {key: synchronised(f, settings.device) for key, f in contenders.items()}
    seconds = interleaved(contenders, settings.repeats, "influence")

    largest_difference = difference_to_autograd(settings.device)
    result = []
    for batch, _, target in PEERS:
        name = f"autograd by rows, batches of {batch}"
        case = f"Hessian of {count} images, against batches of {batch}"
        scale = parameters / rows[batch] * count / batch
        scaled = [time * scale for time in seconds[name]]
        note = f"scaled up from {rows[batch]} of {parameters} rows of one batch"
        result.append(Measurement(case, name, scaled, work=count, unit="images", note=note))
        result.append(
            Measurement(
                case,
                "ours",
                seconds["ours"],
                work=count,
                unit="images",
                ours=True,
                facts={"largest_relative_difference": largest_difference},
                target=target,
            )
        )
    return result + solvers(problem, settings)


def solvers(problem: tuple[torch.Tensor, ...], settings: Settings) -> list[Measurement]:
    """The whole influence matrix by every solver, once: minutes would go to repeats."""

    from workflow_scripts.advtransfer.metrics.influence import head_gradients, influence_matrix

    gradients = head_gradients(*problem)
    count = len(problem[0])
    found: dict[str, torch.Tensor] = {}

    def solve(solver: str) -> None:
        found[solver] = influence_matrix(gradients, gradients, solver, damping=PENALTY * count)

    names = ("cholesky", "conjugate_gradients", "pseudo_inverse")
    contenders = {
        name: synchronised(lambda name=name: solve(name), settings.device) for name in names
    }
    case = f"influence of {count} images on each other"
    seconds = interleaved(contenders, 1, case, warm_up=False)
    exact, iterated = found["cholesky"], found["conjugate_gradients"]
    difference = float((iterated - exact).abs().max() / exact.abs().max())
    return [
        Measurement(
            case,
            f"ours, {name.replace('_', ' ')}",
            times,
            work=count,
            unit="images",
            ours=True,
            facts={"largest_relative_difference": difference} if name == names[1] else {},
        )
        for name, times in seconds.items()
    ]


def random_problem(
    images: int = 500, width: int = 512, classes: int = 10, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features as after a ReLU, labels, and a head's weight and bias."""
    import torch

    generator = torch.Generator().manual_seed(0)
    features = torch.randn(images, width, generator=generator, dtype=torch.float64).relu()
    weight = torch.randn(classes, width, generator=generator, dtype=torch.float64) / width**0.5
    bias = torch.randn(classes, generator=generator, dtype=torch.float64) / 10
    labels = torch.randint(0, classes, (images,), generator=generator)
    return features.to(device), labels.to(device), weight.to(device), bias.to(device)


def hessian_rows(
    features: torch.Tensor,
    labels: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    rows: int | None = None,
) -> torch.Tensor:
    """First ``rows`` (all if None) of the summed loss's Hessian, by differentiating twice.

    Parameters are ordered as in the closed form: a class's weights and then its bias.
    """
    import torch
    import torch.nn.functional as F

    theta = torch.cat([weight, bias[:, None]], 1).flatten().requires_grad_(True)
    head = theta.view(len(bias), -1)
    logits = features @ head[:, :-1].T + head[:, -1]
    loss = F.cross_entropy(logits, labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, theta, create_graph=True)
    count = len(theta) if rows is None else rows
    found = [torch.autograd.grad(gradient[k], theta, retain_graph=True)[0] for k in range(count)]
    return torch.stack(found)


def difference_to_autograd(device: str) -> float:
    from workflow_scripts.advtransfer.metrics.influence import head_gradients, hessian

    problem = random_problem(20, 6, 4, device)
    expected = hessian_rows(*problem)
    found = hessian(head_gradients(*problem))
    return float((found - expected).abs().max() / expected.abs().max())
