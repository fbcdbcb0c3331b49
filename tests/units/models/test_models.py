"""Networks: the papers' sizes, exact inference copies, checkpoints that say what they are.

What holds for every family is in tests/contracts/test_model_contract.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from workflow_scripts.advtransfer.artifacts.tensors import load_tensors, save_tensors
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.models.layers import Residual, conv_norm, global_pool
from workflow_scripts.advtransfer.models.network import Network, Normalize, inference_copy
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.models.zoo import build_network, load_checkpoint, save_checkpoint

torch.set_num_threads(1)
CPU = torch.device("cpu")
LENET = ModelRecipe("lenet")
RESNET = ModelRecipe("resnet", {"width": 4, "blocks": [1, 1], "stem_stride": 2})


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def images(n: int = 4, size: int = 32) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def shaken(network: Network) -> Network:
    """Batch norm statistics and gains as after a training, not at their start."""
    stream = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3, generator=stream)
                module.running_var.uniform_(0.5, 2, generator=stream)
                module.weight.uniform_(0.5, 1.5, generator=stream)
                module.bias.normal_(0, 0.3, generator=stream)
    return network


# Sizes of the papers' networks -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        (ModelRecipe("lenet"), 62_006),
        (ModelRecipe("resnet"), 11_173_962),
        (ModelRecipe("resnet", {"blocks": [3, 4, 6, 3], "bottleneck": True}), 23_520_842),
        (
            ModelRecipe("mlp"),
            3072 * 1176 + 1176 + 1176 * 400 + 400 + 400 * 120 + 120 + 120 * 84 + 84 + 84 * 10 + 10,
        ),
        (
            ModelRecipe("alexnet"),
            (3 * 121 + 1) * 64 + (64 * 25 + 1) * 192 + (192 * 9 + 1) * 384 + (384 * 9 + 1) * 256
            + (256 * 9 + 1) * 256 + 257 * 10,
        ),
    ],
    ids=["lenet", "resnet18", "resnet50", "fcnet", "alexnet"],
)  # fmt: skip
def test_papers_networks_have_their_size(model, parameters):
    with torch.device("meta"):  # no memory, no initialisation: only shapes
        network = build_network(model, 10, 32)
    assert count(network) == parameters


def test_papers_widths():
    fcnet = build_network(ModelRecipe("mlp"), 10, 32)
    linear = [m for m in fcnet.modules() if isinstance(m, nn.Linear)]
    assert [m.in_features for m in linear] == [3072, 1176, 400, 120, 84]
    assert build_network(ModelRecipe("alexnet"), 10, 32).head.in_features == 256
    assert build_network(LENET, 10, 32).head.in_features == 84
    assert build_network(LENET, 10, 28).head.in_features == 84


# Building ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "classes", "size", "parts"),
    [
        (ModelRecipe("resnext"), 10, 32, ["unknown model family 'resnext'", "resnet", "add-a-"]),
        (ModelRecipe("../zoo"), 10, 32, ["unknown model family"]),
        (ModelRecipe("lenet", {"widht": 3}), 10, 32, ["lenet", "no parameter widht", "width"]),
        (ModelRecipe("lenet", {"size": 3}), 10, 32, ["no parameter size"]),
        (ModelRecipe("lenet", {"width": "wide"}), 10, 32, ["lenet", "cannot be built", "wide"]),
        (ModelRecipe("mlp", {"widths": [-1]}), 10, 32, ["mlp", "cannot be built"]),
        (LENET, 0, 32, ["at least one class"]),
        # Too small: found before anything is trained, and not by an error of torch.
        (LENET, 10, 8, ["lenet", "8x8"]),
        (ModelRecipe("vgg"), 10, 8, ["vgg", "8x8"]),
        (ModelRecipe("alexnet"), 10, 28, ["alexnet", "28x28", "stem_stride 4 leaves no pixels"]),
        (ModelRecipe("convmixer", {"patch": 64}), 10, 32, ["convmixer", "32x32"]),
    ],
)
def test_what_cannot_be_built_is_told(model, classes, size, parts):
    with pytest.raises(UserError) as told:
        build_network(model, classes, size)
    for part in parts:
        assert part in str(told.value)


def test_building_follows_the_random_state():
    networks = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        networks.append(build_network(RESNET, 3, 32).state_dict())
    first, same, other = networks
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    # A new network has seen no image.
    assert all(int(v) == 0 for name, v in first.items() if name.endswith("num_batches_tracked"))


def test_a_new_network_is_in_training_mode_and_channels_last():
    network = build_network(RESNET, 3, 32)
    assert all(module.training for module in network.modules())
    convolution = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last)


def test_normalisation_is_the_first_layer():
    pixels = torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1)
    assert torch.equal(Normalize()(pixels).flatten(), torch.tensor([-2.0, 0.0, 2.0]))
    blocks = {"flatten": nn.Flatten()}
    network = Network(blocks, 3, 3)
    with torch.no_grad():
        network.head.weight.copy_(torch.eye(3))
        network.head.bias.zero_()
    assert torch.equal(network(pixels)[0], torch.tensor([-2.0, 0.0, 2.0]))


def test_residual_by_hand():
    double, negate = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        double.weight.fill_(2)
        negate.weight.fill_(-1)
    x = torch.tensor([[3.0]])
    assert Residual(double)(x).item() == 9
    assert Residual(double, negate)(x).item() == 3
    assert Residual(double, negate, nn.Threshold(4, 0))(x).item() == 0


def test_replace_head_leaves_the_body():
    network = build_network(RESNET, 3, 32).eval()
    body = {name: value.clone() for name, value in network.blocks.state_dict().items()}
    features = network.features(images())
    network.replace_head(7)
    assert network(images()).shape == (4, 7)
    assert network.head.in_features == features.shape[1]
    assert torch.equal(network.features(images()), features)
    assert all(torch.equal(body[name], v) for name, v in network.blocks.state_dict().items())
    half = inference_copy(network, "bf16")
    half.replace_head(2)
    assert half.head.weight.dtype == torch.bfloat16


# Inference copies --------------------------------------------------------------------------------


def test_folding_by_hand():
    """One 1x1 convolution: y = gain * (w x - mean) / sqrt(var + eps) + shift."""
    sequence = nn.Sequential(*conv_norm(1, 1, 1), global_pool())
    norm = sequence[1]
    with torch.no_grad():
        sequence[0].weight.fill_(3)
        norm.running_mean.fill_(1)
        norm.running_var.fill_(4 - norm.eps)
        norm.weight.fill_(5)
        norm.bias.fill_(0.25)
    network = Network({"all": sequence}, 1, 1)
    network.normalize = nn.Identity()
    with torch.no_grad():
        network.head.weight.fill_(1)
        network.head.bias.zero_()
    x = torch.full((1, 1, 2, 2), 0.5)
    expected = 5 * (3 * 0.5 - 1) / 2 + 0.25
    assert network.eval()(x).item() == pytest.approx(expected)
    copied = inference_copy(network, "fp32")
    assert copied(x).item() == pytest.approx(expected)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in copied.modules())


def test_only_neighbours_are_folded():
    """DenseNet's norms stand before their convolutions: they must stay."""
    model = ModelRecipe("densenet", {"growth": 4, "layers": [1, 1]})
    network = shaken(build_network(model, 3, 32)).eval()
    copied = inference_copy(network, "fp32")
    norms = [sum(isinstance(m, nn.BatchNorm2d) for m in n.modules()) for n in (network, copied)]
    assert norms[0] == norms[1] > 0
    resnet = inference_copy(shaken(build_network(RESNET, 3, 32)), "fp32")
    assert not any(isinstance(m, nn.BatchNorm2d) for m in resnet.modules())


def test_a_copy_is_made_in_evaluation_mode_and_leaves_the_network():
    network = shaken(build_network(RESNET, 3, 32)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    copied = inference_copy(network, "bf16")
    copied(images())
    assert not copied.training and network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(before[name], v) for name, v in network.state_dict().items())


def test_bf16_copies_see_small_perturbations():
    """Pixels are normalised in float32: rounded to bf16 first, 1/510 near 1 would be lost."""
    network = Network({"flatten": nn.Flatten()}, 3, 1)
    with torch.no_grad():
        network.head.weight.fill_(1)
        network.head.bias.zero_()
    copied = inference_copy(network, "bf16")
    # Normalised, 0.55 is 0.2 and one grey level 1/64: bf16 has that to a few per cent.
    pixels = torch.full((1, 3, 1, 1), 0.55)
    moved = copied(pixels + 1 / 510) - copied(pixels)
    assert moved.item() == pytest.approx(3 * 4 / 510, rel=0.2)


# Checkpoints -------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(tmp_path: Path) -> tuple[Path, Network]:
    network = shaken(build_network(RESNET, 2, 32)).eval()
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, network, RESNET, ("cat", "dog"), 32, recipe="abc", seed=3)
    return path, network


def test_checkpoint_round_trip(checkpoint):
    path, network = checkpoint
    loaded, classes = load_checkpoint(path, CPU)
    assert classes == ("cat", "dog") and not loaded.training
    state = network.state_dict()
    assert all(torch.equal(state[name], value) for name, value in loaded.state_dict().items())
    assert torch.equal(loaded(images()), network(images()))
    load_checkpoint(path, CPU, RESNET)  # what was expected
    _, attributes = load_tensors(path)
    assert attributes["model"] == {"family": "resnet", "parameters": RESNET.parameters}
    assert (attributes["size"], attributes["seed"], attributes["recipe"]) == (32, 3, "abc")
    assert "torch" in attributes["versions"]


def test_checkpoints_are_byte_stable(checkpoint, tmp_path):
    path, network = checkpoint
    for _ in range(3):  # an order of metadata drawn by chance would rarely come out thrice
        save_checkpoint(tmp_path / "b", network, RESNET, ("cat", "dog"), 32, recipe="abc", seed=3)
        assert (tmp_path / "b").read_bytes() == path.read_bytes()


def test_another_architecture_is_told(checkpoint):
    path, _ = checkpoint
    with pytest.raises(UserError, match="is a resnet .*, not the lenet .* expected"):
        load_checkpoint(path, CPU, LENET)
    with pytest.raises(UserError, match="is a resnet"):
        load_checkpoint(path, CPU, ModelRecipe("resnet", {**RESNET.parameters, "width": 8}))


def test_images_of_another_size_are_told(checkpoint):
    path, _ = checkpoint
    load_checkpoint(path, CPU, size=32)
    with pytest.raises(UserError, match="trained on 32x32 images and is given 28x28"):
        load_checkpoint(path, CPU, size=28)


def test_checkpoint_without_metadata_is_told(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_tensors(path, {"weight": torch.zeros(2)}, {"classes": ["cat"]})
    with pytest.raises(UserError, match=r"lacks \['model', 'size'\].*save_checkpoint"):
        load_checkpoint(path, CPU)


@pytest.mark.parametrize("damage", ["missing", "unexpected", "shape"])
def test_weights_that_do_not_fit_are_told(checkpoint, damage):
    path, network = checkpoint
    tensors, attributes = load_tensors(path)
    if damage == "missing":
        del tensors["head.bias"]
    elif damage == "unexpected":
        tensors["more"] = torch.zeros(1)
    else:
        tensors["head.weight"] = torch.zeros(5, 5)
    save_tensors(path, tensors, attributes)
    with pytest.raises(UserError, match="the weights do not fit a resnet") as told:
        load_checkpoint(path, CPU)
    name = {"missing": "head.bias", "unexpected": "more", "shape": "head.weight"}[damage]
    assert name in str(told.value) and "damaged" in str(told.value)


def test_truncated_checkpoint_is_told(checkpoint):
    path, _ = checkpoint
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match="not a complete safetensors checkpoint"):
        load_checkpoint(path, CPU)


def test_checkpoint_of_a_family_that_is_gone_is_told(checkpoint):
    path, _ = checkpoint
    tensors, attributes = load_tensors(path)
    save_tensors(path, tensors, {**attributes, "model": {"family": "resnext"}})
    with pytest.raises(UserError, match="unknown model family 'resnext'"):
        load_checkpoint(path, CPU)
