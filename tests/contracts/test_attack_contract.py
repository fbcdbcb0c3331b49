"""What every attack keeps to; a new module in the attacks' folder is tested unasked."""

from __future__ import annotations

import dataclasses
import inspect
from importlib import import_module

import pytest
import torch
import torch.nn.functional as F

from support.workflow import ROOT
from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
from workflow_scripts.advtransfer.attacks.run import (
    NOT_ATTACKS,
    attack_images,
    known_attacks,
    load_attack,
)
from workflow_scripts.advtransfer.closure import recipe_modules, step_code
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.models.network import Network, inference_copy
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.models.zoo import build_network

torch.set_num_threads(1)
EPSILONS = {"linf": 8 / 255, "l2": 0.5}
MODULES = {
    name: import_module(f"workflow_scripts.advtransfer.attacks.{name}") for name in known_attacks()
}
# An attack may say that it has fewer NORMS, or no RANDOM_START.
NORMS_OF = {name: getattr(module, "NORMS", tuple(EPSILONS)) for name, module in MODULES.items()}
STARTS_OF = {
    name: (False, True) if getattr(module, "RANDOM_START", True) else (False,)
    for name, module in MODULES.items()
}
every_attack = pytest.mark.parametrize("attack", known_attacks())
every_norm = pytest.mark.parametrize(
    ("attack", "norm"), [(attack, norm) for attack, norms in NORMS_OF.items() for norm in norms]
)
every_start = pytest.mark.parametrize(
    ("attack", "norm", "start"),
    [
        pytest.param(attack, norm, start, id=f"{attack}-{norm}-{'random' if start else 'centre'}")
        for attack, norms in NORMS_OF.items()
        for norm in norms
        for start in STARTS_OF[attack]
    ],
)


def recipe_of(attack: str, norm: str, start: bool = False, **changes: object) -> AttackRecipe:
    recipe = AttackRecipe(attack, norm, EPSILONS[norm], steps=3, random_start=start)
    return dataclasses.replace(recipe, **changes)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return build_network(ModelRecipe("lenet", {"width": 3}), 4, 16).eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """A third of the pixels at the ends of their range, where a perturbation is clipped."""
    stream = torch.Generator().manual_seed(0)
    return (torch.rand(10, 3, 16, 16, generator=stream) * 1.5 - 0.25).clamp(0, 1)


LABELS = torch.arange(10) % 4


def attacked(
    network: Network, images: torch.Tensor, recipe: AttackRecipe, seed: int = 0
) -> torch.Tensor:
    copied = inference_copy(network, recipe.precision)
    stream = torch.Generator().manual_seed(seed)
    return attack_images(copied, images, LABELS[: len(images)], recipe, stream)


@every_attack
def test_interface(attack):
    module = MODULES[attack]
    names = list(inspect.signature(module.perturb).parameters)
    assert names == ["network", "images", "labels", "recipe", "generator"]
    assert module.__doc__ and module.perturb.__doc__
    assert attack not in NOT_ATTACKS


@every_start
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_perturbations_are_in_the_ball_and_images_in_range(
    network, images, attack, norm, start, precision
):
    recipe = recipe_of(attack, norm, start, precision=precision)
    delta = attacked(network, images, recipe)
    assert delta.shape == images.shape and delta.dtype == torch.float32
    assert not delta.requires_grad and torch.isfinite(delta).all()
    order = float("inf") if norm == "linf" else 2
    length = delta.flatten(1).norm(dim=1, p=order)
    assert (length <= recipe.epsilon + 1e-6).all()  # pixels are rounded by 6e-8
    assert (length > 0.5 * recipe.epsilon).all()
    moved = images + delta
    assert moved.min() >= 0 and moved.max() <= 1


@every_start
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_loss_rises(network, images, attack, norm, start, precision):
    delta = attacked(network, images, recipe_of(attack, norm, start, precision=precision))
    with torch.no_grad():
        before, after = (
            F.cross_entropy(network(x), LABELS, reduction="none") for x in (images, images + delta)
        )
    # Of single images a long step may miss; of most it may not.
    assert after.mean() > before.mean() and (after > before).sum() >= 8


@every_norm
def test_epsilon_zero_moves_nothing(network, images, attack, norm):
    delta = attacked(network, images, recipe_of(attack, norm, STARTS_OF[attack][-1], epsilon=0.0))
    assert (delta == 0).all()


@every_norm
def test_a_constant_network_gives_a_finite_answer(images, attack, norm):
    """No gradient at all: nothing is divided by zero."""
    torch.manual_seed(0)
    constant = build_network(ModelRecipe("mlp", {"widths": []}), 4, 16)
    with torch.no_grad():
        constant.head.weight.zero_()
    for start in STARTS_OF[attack]:
        delta = attacked(constant, images, recipe_of(attack, norm, start))
        assert torch.isfinite(delta).all()
        assert start or (delta == 0).all()


@every_norm
def test_a_confident_network_is_attacked_with_all_of_epsilon(images, attack, norm):
    """Tiny gradients do not make tiny steps: robustness must not come from the softmax."""
    torch.manual_seed(0)
    confident = build_network(ModelRecipe("mlp", {"widths": []}), 2, 16)
    with torch.no_grad():
        confident.head.weight.zero_()
        confident.head.weight[1].normal_(std=1e-3)
        confident.head.bias.copy_(torch.tensor([70.0, 0.0]))
    recipe = recipe_of(attack, norm)
    inner = torch.full_like(images, 0.5)  # nothing is clipped
    copied = inference_copy(confident, "fp32")
    labels = torch.zeros(len(inner), dtype=torch.int64)
    delta = attack_images(copied, inner, labels, recipe, torch.Generator())
    order = float("inf") if norm == "linf" else 2
    length = delta.flatten(1).norm(dim=1, p=order)
    torch.testing.assert_close(
        length, torch.full_like(length, recipe.epsilon), rtol=1e-3, atol=1e-6
    )  # fmt: skip


@every_start
def test_the_generator_decides(network, images, attack, norm, start):
    recipe = recipe_of(attack, norm, start)
    first, same, other = (attacked(network, images, recipe, seed) for seed in (0, 0, 1))
    assert first.numpy().tobytes() == same.numpy().tobytes()
    assert torch.equal(first, other) != start
    # The global random state has no part in it.
    torch.manual_seed(123)
    assert torch.equal(attacked(network, images, recipe), first)


@every_norm
def test_what_was_attacked_before_changes_nothing(network, images, attack, norm):
    """Blocks may grow: an attack with its own generator is the same beside any others."""
    recipe = recipe_of(attack, norm, STARTS_OF[attack][-1])
    copied = inference_copy(network, "fp32")
    alone = attack_images(copied, images, LABELS, recipe, torch.Generator().manual_seed(3))
    for other in known_attacks():
        before = recipe_of(other, NORMS_OF[other][0], STARTS_OF[other][-1])
        attack_images(copied, images, LABELS, before, torch.Generator())
    again = attack_images(copied, images, LABELS, recipe, torch.Generator().manual_seed(3))
    assert torch.equal(alone, again)


@every_norm
def test_network_images_and_labels_are_left_alone(network, images, attack, norm):
    copied = inference_copy(network, "fp32")
    state = {name: value.clone() for name, value in copied.state_dict().items()}
    before, labels = images.clone(), LABELS.clone()
    recipe = recipe_of(attack, norm, STARTS_OF[attack][-1])
    attack_images(copied, images, labels, recipe, torch.Generator())
    assert torch.equal(images, before) and not images.requires_grad
    assert torch.equal(labels, LABELS)
    assert all(torch.equal(state[name], value) for name, value in copied.state_dict().items())
    assert all(parameter.grad is None for parameter in copied.parameters())


@pytest.mark.parametrize(
    "attack",
    [
        name
        for name in MODULES
        if len(NORMS_OF[name]) < len(EPSILONS) or True not in STARTS_OF[name]
    ],
)
def test_what_an_attack_does_not_have_is_told(network, images, attack):
    for norm in set(EPSILONS) - set(NORMS_OF[attack]):
        with pytest.raises(UserError, match=f"'{attack}'.*not '{norm}'"):
            attacked(network, images, recipe_of(attack, norm))
    if True not in STARTS_OF[attack]:
        for extra in ({"random_start": True}, {"restarts": 2}):
            with pytest.raises(UserError, match=f"'{attack}'.*random_start and restarts"):
                attacked(network, images, recipe_of(attack, NORMS_OF[attack][0], **extra))


@every_norm
def test_one_image(network, images, attack, norm):
    delta = attacked(network, images[:1], recipe_of(attack, norm))
    assert delta.shape == (1, 3, 16, 16)


@pytest.mark.parametrize("attack", [name for name in MODULES if True in STARTS_OF[name]])
def test_restarts_keep_the_best(network, images, attack):
    losses = []
    for restarts in (1, 3):
        delta = attacked(
            network, images, recipe_of(attack, NORMS_OF[attack][0], True, restarts=restarts)
        )
        with torch.no_grad():
            logits = network(images + delta)
        losses.append(F.cross_entropy(logits, LABELS, reduction="none"))
    assert (losses[1] >= losses[0] - 1e-6).all()


@every_attack
def test_the_recipe_names_the_module(attack, monkeypatch):
    """An edit of an attack re-runs what uses it: its file is code of the step, once named."""
    monkeypatch.chdir(ROOT)
    recipe = recipe_of(attack, NORMS_OF[attack][0])
    (module,) = recipe_modules(recipe)
    assert (ROOT / module).is_file()
    assert str(module) not in step_code("attack_source")
    assert str(module) in step_code("attack_source", [module])
    assert load_attack(recipe).__module__.endswith(f".{attack}")
