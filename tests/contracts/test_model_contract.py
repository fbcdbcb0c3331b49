"""What every model family keeps to; a new module in the families' folder is tested unasked."""

from __future__ import annotations

import copy
import inspect
from importlib import import_module

import pytest
import torch
from torch import nn

from support.workflow import ROOT
from workflow_scripts.advtransfer.closure import PACKAGE, recipe_modules, step_code
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.models.network import Network, inference_copy, refresh
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.models.zoo import (
    build_network,
    known_families,
    load_checkpoint,
    save_checkpoint,
)
from workflow_scripts.config.load import load

torch.set_num_threads(1)


def configured() -> list[ModelRecipe]:
    """The models of config.yaml; a family that is not among them with its defaults."""
    config = load()
    found = []
    for model in config["models"].values():
        parameters = {k: v for k, v in model.items() if k not in ("family", "learning_rate")}
        found.append(ModelRecipe(model["family"], parameters))
    there = {model.family for model in found}
    return found + [ModelRecipe(name) for name in known_families() if name not in there]


MODELS = configured()
IDS = [f"{model.family}-{k}" for k, model in enumerate(MODELS)]
every_model = pytest.mark.parametrize("model", MODELS, ids=IDS)


def build(model: ModelRecipe, classes: int = 5, size: int = 32) -> Network:
    torch.manual_seed(0)
    return build_network(model, classes, size)


def images(n: int = 8, size: int = 32) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def trained(model: ModelRecipe) -> Network:
    """In evaluation mode, with batch norm statistics that are not their start."""
    network = build(model)
    network(images(32) * 0.5 + 0.2)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
    return network.eval()


@pytest.mark.parametrize("family", known_families())
def test_build_has_defaults_and_a_docstring(family):
    module = import_module(f"workflow_scripts.advtransfer.models.families.{family}")
    first, *others = inspect.signature(module.build).parameters.values()
    assert first.name == "size"
    assert all(parameter.default is not inspect.Parameter.empty for parameter in others)
    assert module.__doc__ and module.build.__doc__
    # What a recipe may carry in JSON.
    assert all(isinstance(p.default, (bool, int, float, str, tuple)) for p in others)


@every_model
@pytest.mark.parametrize("size", [28, 32])
@pytest.mark.parametrize("classes", [1, 2, 10])
def test_shapes(model, size, classes):
    network = build(model, classes, size)
    logits = network(images(size=size))
    assert logits.shape == (8, classes) and logits.dtype == torch.float32
    assert network.features(images(size=size)).shape == (8, network.head.in_features)
    assert isinstance(network.head, nn.Linear) and network.head.out_features == classes


@pytest.mark.parametrize("family", known_families())
@pytest.mark.parametrize("size", [8, 12, 28, 64])
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_any_size_works_or_is_refused(family, size):
    try:
        network = build(ModelRecipe(family), 2, size)
    except UserError as error:
        assert family in str(error) and f"{size}x{size}" in str(error)
        return
    assert network.eval()(images(1, size)).shape == (1, 2)


@every_model
def test_blocks_are_named_in_order(model):
    network = build(model)
    names = list(dict(network.blocks.named_children()))
    assert len(names) >= 2 and len(set(names)) == len(names)
    assert all(name and "/" not in name for name in names)
    # The blocks one by one are the features: a network can be cut between any two.
    x = network.eval().normalize(images())
    for block in network.blocks:
        x = block(x)
    assert torch.equal(x, network.features(images()))


@every_model
def test_building_is_repeatable_and_random(model):
    first, second = build(model), build(model)
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )  # fmt: skip
    third = build_network(model, 5, 32)  # the random state has gone on
    assert not torch.equal(first.head.weight, third.head.weight)


@every_model
def test_every_parameter_is_trained(model):
    network = build(model)
    loss = nn.functional.cross_entropy(network(images()), torch.arange(8) % 5)
    loss.backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert not without
    assert sum(float(p.grad.abs().sum()) for p in network.parameters()) > 0


@every_model
def test_evaluation_is_one_image_at_a_time(model):
    """An image's logits depend on no other image of its batch."""
    network = trained(model)
    with torch.no_grad():
        together, alone = network(images()), torch.cat([network(x[None]) for x in images()])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


@every_model
def test_float32_copy_is_the_network(model):
    network = trained(model)
    copied = inference_copy(network, "fp32")
    with torch.no_grad():
        torch.testing.assert_close(copied(images()), network(images()), rtol=1e-5, atol=1e-5)


@every_model
def test_bf16_copy_is_close(model):
    network = trained(model)
    copied = inference_copy(network, "bf16")
    with torch.no_grad():
        exact, rounded = network(images()), copied(images())
    assert rounded.dtype == torch.float32  # losses and metrics are
    assert copied.head.weight.dtype == torch.bfloat16
    assert nn.functional.cosine_similarity(exact.flatten(), rounded.flatten(), dim=0) > 0.99


@every_model
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_refreshed_copy_is_a_new_copy(model, precision):
    """Adversarial training attacks one copy throughout, which has to follow the weights."""
    network = trained(model)
    copied = inference_copy(build(model), precision)
    refresh(copied, network)
    new = inference_copy(network, precision).state_dict()
    assert all(torch.equal(value, new[name]) for name, value in copied.state_dict().items())


@every_model
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_copies_are_frozen_and_share_nothing(model, precision):
    network = trained(model)
    copied = inference_copy(network, precision)
    assert not copied.training
    assert not any(parameter.requires_grad for parameter in copied.parameters())

    def storages(of: nn.Module) -> set[int]:
        return {value.untyped_storage().data_ptr() for value in of.state_dict().values()}

    assert not storages(network) & storages(copied)
    # Attacks need the gradient in the image, through the whole copy.
    x = images().requires_grad_(True)
    (gradient,) = torch.autograd.grad(copied(x).logsumexp(1).sum(), x)
    assert gradient.dtype == torch.float32 and torch.isfinite(gradient).all()
    assert (gradient.flatten(1).abs().sum(1) > 0).all()


@every_model
def test_checkpoint_round_trip(model, tmp_path):
    network = trained(model)
    save_checkpoint(tmp_path / "a.safetensors", network, model, tuple("abcde"), 32)
    loaded, classes = load_checkpoint(tmp_path / "a.safetensors", torch.device("cpu"), model)
    assert classes == tuple("abcde")
    with torch.no_grad():
        assert torch.equal(loaded(images()), network(images()))


@every_model
def test_a_new_head_leaves_the_features(model):
    network = trained(model)
    features = copy.deepcopy(network).features(images())
    network.replace_head(3)
    assert network(images()).shape == (8, 3)
    assert torch.equal(network.features(images()), features)


@pytest.mark.parametrize("family", known_families())
def test_the_recipe_names_the_module(family, monkeypatch):
    """An edit of a family re-runs what uses it: its file is in the code of the step, once named."""
    monkeypatch.chdir(ROOT)
    (module,) = recipe_modules(ModelRecipe(family))
    assert (ROOT / module).is_file()
    assert str(module) not in step_code("train_source")
    code = step_code("train_source", [module])
    assert str(module) in code
    others = {str(PACKAGE / f"advtransfer/models/families/{name}.py") for name in known_families()}
    assert others & set(code) == {str(module)}
