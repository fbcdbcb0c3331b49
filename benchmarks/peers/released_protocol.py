"""The image-by-image transferability protocol of Liang et al., ICML 2021, as a plain loop.

What the authors' released image experiment does, step by step, for reading and for comparison:
batches of one image, PGD or FGSM on both models away from the model's own prediction, and only the
images that the reference classifies correctly. It also gives the two measures of the paper's first
version (arXiv 2006.14512v1, definitions 2 and 3). It shares no code with the workflow.

Two things differ from the release: pixels are in [0, 1], not [-1, 1] (so epsilon .1 is its .2), and
random starts are given, not drawn, so that another implementation can start at the same points.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

Model = Callable[[torch.Tensor], torch.Tensor]


def attack(
    model: Model,
    image: torch.Tensor,
    start: torch.Tensor,
    epsilon: float,
    steps: int,
    step_size: float,
    norm: str,
) -> torch.Tensor:
    """PGD on one image (1, C, H, W), away from what the model says: the perturbed image."""
    with torch.no_grad():
        prediction = model(image).argmax(dim=1)
    adversarial = torch.clamp(image + start, 0, 1)
    for _ in range(steps):
        adversarial = adversarial.detach().requires_grad_(True)
        loss = torch.nn.functional.cross_entropy(model(adversarial), prediction)
        gradient = torch.autograd.grad(loss, adversarial)[0]
        if norm == "linf":
            moved = adversarial.detach() + step_size * torch.sign(gradient)
            perturbation = torch.clamp(moved - image, -epsilon, epsilon)
        else:
            moved = adversarial.detach() + step_size * gradient / torch.norm(gradient)
            perturbation = moved - image
            if torch.norm(perturbation) > epsilon:
                perturbation = perturbation * epsilon / torch.norm(perturbation)
        adversarial = torch.clamp(image + perturbation, 0, 1)
    return adversarial.detach()


def measure(
    source: Model,
    reference: Model,
    images: torch.Tensor,
    labels: torch.Tensor,
    starts_source: torch.Tensor | None,
    starts_reference: torch.Tensor | None,
    epsilon: float,
    steps: int = 50,
    step_size: float | None = None,
    norm: str = "linf",
) -> dict[str, dict[str, float | list[float]]]:
    """Transferability in both directions, one image at a time, in float32.

    Args:
        source, reference: images in [0, 1] to logits, in evaluation mode.
        images: float32 (N, C, H, W) in [0, 1].
        labels: int64 (N,) in the reference's classes.
        starts_source, starts_reference: perturbations (N, C, H, W) in the ball that the attacks on
            the source and on the reference start from; None: no random start.
        epsilon: in pixel units of [0, 1]; the release has .1.
        steps: 50 in the release; 1 is FGSM.
        step_size: None takes the release's: epsilon for one step, else 5 epsilon / steps.
        norm: ``linf`` (the release's) or ``l2``.

    Returns:
        By direction (``source_to_reference``: made on the source, shown to the reference):
        ``alpha_1`` (mean), ``alpha_1_per_image`` (of the images that count, in their order),
        ``alpha_2`` ("gamma") and ``combined``, each also ``_squared`` as the release prints them,
        ``tau_1``, ``tau_2``, and ``n_images``. Without any image that counts, nan.
    """
    if step_size is None:
        step_size = epsilon if steps == 1 else 5 * epsilon / steps
    no_start = torch.zeros_like(images)
    starts_source = no_start if starts_source is None else starts_source
    starts_reference = no_start if starts_reference is None else starts_reference
    to_reference = _Sums()
    to_source = _Sums()
    for k in range(len(images)):
        image = images[k : k + 1]
        with torch.no_grad():
            source_clean, reference_clean = source(image), reference(image)
        if int(reference_clean.argmax()) != int(labels[k]):
            continue
        settings = (epsilon, steps, step_size, norm)
        on_source = attack(source, image, starts_source[k : k + 1], *settings)
        on_reference = attack(reference, image, starts_reference[k : k + 1], *settings)
        with torch.no_grad():
            source_to_source = (source(on_source) - source_clean).flatten()
            source_to_reference = (reference(on_source) - reference_clean).flatten()
            reference_to_source = (source(on_reference) - source_clean).flatten()
            reference_to_reference = (reference(on_reference) - reference_clean).flatten()
        cosine = torch.nn.functional.cosine_similarity(
            (on_source - image).flatten(), (on_reference - image).flatten(), dim=0
        )
        to_reference.add(source_to_source, source_to_reference, reference_to_reference, cosine)
        to_source.add(reference_to_reference, reference_to_source, source_to_source, cosine)
    return {
        "source_to_reference": to_reference.results(),
        "reference_to_source": to_source.results(),
    }


class _Sums:
    """Running sums of one direction, f1 -> f2."""

    def __init__(self) -> None:
        self.alphas: list[float] = []
        self.cosines: list[float] = []
        self.gamma: torch.Tensor | float = 0.0
        self.combined: torch.Tensor | float = 0.0
        self.own: list[torch.Tensor] = []
        self.transferred: list[torch.Tensor] = []

    def add(
        self,
        own: torch.Tensor,
        transferred: torch.Tensor,
        responder_own: torch.Tensor,
        cosine: torch.Tensor,
    ) -> None:
        """One image: deviations D_{1->1}, D_{1->2}, D_{2->2}, and the perturbations' cosine."""
        alpha = torch.norm(transferred) / torch.norm(responder_own)
        outer = torch.outer(own / torch.norm(own), transferred / torch.norm(transferred))
        self.alphas.append(float(alpha))
        self.cosines.append(float(cosine))
        self.gamma = self.gamma + outer
        self.combined = self.combined + alpha * outer
        self.own.append(own)
        self.transferred.append(transferred)

    def results(self) -> dict[str, float | list[float]]:
        n = len(self.alphas)
        if n == 0:
            names = ("alpha_1", "alpha_2", "alpha_2_squared", "combined", "combined_squared")
            nothing: dict[str, float | list[float]] = {
                name: math.nan for name in (*names, "tau_1", "tau_2")
            }
            return nothing | {"alpha_1_per_image": [], "n_images": 0}
        gamma = float(torch.norm(torch.as_tensor(self.gamma) / n))
        combined = float(torch.norm(torch.as_tensor(self.combined) / n))
        return {
            "alpha_1": sum(self.alphas) / n,
            "alpha_1_per_image": self.alphas,
            "alpha_2": gamma,
            "alpha_2_squared": gamma**2,
            "combined": combined,
            "combined_squared": combined**2,
            "tau_1": sum(cosine**2 for cosine in self.cosines) / n,
            "tau_2": self.tau_2(),
            "n_images": n,
        }

    def tau_2(self) -> float:
        """Definition 3 of the first version, with its A by moments and pseudo-inverse."""
        n = len(self.own)
        moment: torch.Tensor | float = 0.0  # E[D12 D11^T]
        second_moment: torch.Tensor | float = 0.0  # E[D11 D11^T]
        own_square = transferred_square = 0.0
        for own, transferred in zip(self.own, self.transferred, strict=True):
            moment = moment + torch.outer(transferred.double(), own.double()) / n
            second_moment = second_moment + torch.outer(own.double(), own.double()) / n
            own_square += float(own.double().square().sum()) / n
            transferred_square += float(transferred.double().square().sum()) / n
        a = torch.as_tensor(moment) @ torch.linalg.pinv(torch.as_tensor(second_moment))
        limit = math.sqrt(transferred_square / own_square)
        length = float(torch.linalg.matrix_norm(a, 2))
        if length > limit:
            a = a * limit / length
        explained = 0.0
        for own, transferred in zip(self.own, self.transferred, strict=True):
            mapped = a @ own.double()
            explained += float((2 * transferred.double() - mapped) @ mapped) / n
        return explained / transferred_square
