"""The peers' attacks, called as their documentation does, behind one signature.

Every function is ``attack(model, images, labels, case) -> adversarial images``; ``model`` is a
float32 network in evaluation mode, images float32 (N, 3, H, W) in [0, 1], labels int64 (N,). Only
what has to be equal is set: ball, step size, number of steps, no random start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import torch

logging.getLogger("art").setLevel(logging.WARNING)  # it tells every batch


class Case(NamedTuple):
    """One attack; FGSM is ``steps = 1`` with a step as long as the ball is wide."""

    norm: str  # "linf" or "l2"
    epsilon: float
    steps: int
    step_size: float

    @property
    def single_step(self) -> bool:
        return self.steps == 1


Attack = Callable[[torch.nn.Module, torch.Tensor, torch.Tensor, Case], torch.Tensor]


def with_torchattacks(
    model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, case: Case
) -> torch.Tensor:
    import torchattacks

    if case.single_step:
        attack = torchattacks.FGSM(model, eps=case.epsilon)
    else:
        kind = torchattacks.PGD if case.norm == "linf" else torchattacks.PGDL2
        attack = kind(
            model, eps=case.epsilon, alpha=case.step_size, steps=case.steps, random_start=False
        )
    return attack(images, labels)


def with_foolbox(
    model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, case: Case
) -> torch.Tensor:
    import foolbox

    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device=images.device)
    attack: foolbox.attacks.base.Attack
    if case.single_step:
        attack = foolbox.attacks.FGSM()
    else:
        kind = foolbox.attacks.LinfPGD if case.norm == "linf" else foolbox.attacks.L2PGD
        attack = kind(abs_stepsize=case.step_size, steps=case.steps, random_start=False)
    _, clipped, _ = attack(wrapped, images, labels, epsilons=case.epsilon)
    return clipped


def with_art(
    model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, case: Case
) -> torch.Tensor:
    import numpy as np
    from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    classifier = PyTorchClassifier(
        model,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=tuple(images.shape[1:]),
        nb_classes=10,
        clip_values=(0.0, 1.0),
        device_type="gpu" if images.is_cuda else "cpu",
    )
    norm = np.inf if case.norm == "linf" else 2
    if case.single_step:
        attack = FastGradientMethod(classifier, norm=norm, eps=case.epsilon, batch_size=len(images))
    else:
        attack = ProjectedGradientDescent(
            classifier,
            norm=norm,
            eps=case.epsilon,
            eps_step=case.step_size,
            max_iter=case.steps,
            batch_size=len(images),
            verbose=False,
        )
    made = attack.generate(images.cpu().numpy(), labels.cpu().numpy())
    return torch.from_numpy(made).to(images.device)


PEERS: dict[str, Attack] = {
    "torchattacks": with_torchattacks,
    "foolbox": with_foolbox,
    "adversarial-robustness-toolbox": with_art,
}
