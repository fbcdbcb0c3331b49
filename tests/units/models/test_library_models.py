"""Models of torchvision and timm in blocks: the library's own logits, its names, exact folding."""

from __future__ import annotations

from importlib import import_module
from itertools import pairwise
from types import ModuleType

import pytest
import torch
from torch import nn

from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.models import library
from workflow_scripts.advtransfer.models.foreign import load_foreign
from workflow_scripts.advtransfer.models.network import Network, inference_copy, refresh
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.models.zoo import build_network

torch.set_num_threads(1)
SIZE = 64
# The architectures of Salman et al. (2020).
PAPER = [
    *("resnet18", "resnet50", "wide_resnet50_2", "densenet161", "mnasnet1_0", "mobilenet_v2"),
    *("resnext50_32x4d", "shufflenet_v2_x1_0", "vgg16_bn"),
]
MODELS = [
    *(("torchvision", name) for name in PAPER),
    # Other ways to end: a hidden layer behind the pooling, stages that are one part each.
    *(("torchvision", name) for name in ("mobilenet_v3_small", "efficientnet_b0")),
    ("torchvision", "regnet_y_400mf"),
    # timm's batch norm with an activation, its padding like TensorFlow's, and its heads.
    *(("timm", name) for name in ("resnet18", "tf_efficientnet_lite0", "mobilenetv3_small_100")),
    *(("timm", name) for name in ("densenet121", "convnext_atto", "regnetx_002", "seresnet18")),
]
every_model = pytest.mark.parametrize(("family", "name"), MODELS)


def family_of(name: str) -> ModuleType:
    return import_module(f"workflow_scripts.advtransfer.models.families.{name}")


def images(n: int = 2, size: int = SIZE) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def original(family: str, name: str) -> nn.Module:
    """The library's model with random weights and batch norm as after a training."""
    torch.manual_seed(1)
    model, _ = family_of(family).library(name)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
    return model.eval()


def ours(family: str, name: str, state: dict[str, torch.Tensor]) -> Network:
    """The project's network with the weights of a file in the library's own names."""
    network, scheme = load_foreign(state, ModelRecipe(family, {"name": name}), 1000, SIZE)
    assert scheme == family
    network.normalize.mean.fill_(0.4)
    network.normalize.std.fill_(0.2)
    return network


def close(found: torch.Tensor, wanted: torch.Tensor, tolerance: float) -> bool:
    return bool((found - wanted).abs().max() <= tolerance * wanted.abs().max())


@every_model
def test_logits_are_the_librarys_own(family: str, name: str) -> None:
    """Plain, folded, in bf16 and split anywhere; all batch norm behind a convolution is folded."""
    model = original(family, name)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    network = ours(family, name, state)
    x = images()
    with torch.no_grad():
        wanted = model((x - 0.4) / 0.2)
        assert wanted.std() > 1e-3
        assert close(network(x), wanted, 1e-4)
        folded = inference_copy(network, "fp32")
        assert close(folded(x), wanted, 1e-4)
        assert close(inference_copy(network, "bf16")(x), wanted, 0.1)
        for unfrozen in (0, 2):
            trunk, tail = network.split(unfrozen)
            before = trunk(x)
            kept = before.clone()
            assert close(tail(before), wanted, 1e-4)
            assert torch.equal(before, kept)  # a cache of activations is not written into
    norms, left = (
        sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())
        for net in (network, folded)
    )
    assert bool(norms) == (name != "convnext_atto")
    if "densenet" in name:  # half of them stand before their convolution
        assert 0 < left <= norms // 2 + 3
    else:
        assert not left


def test_a_folded_copy_follows_the_weights() -> None:
    network = build_network(ModelRecipe("torchvision", {"name": "resnet18"}), 10, SIZE).eval()
    duplicate = inference_copy(network, "fp32")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
        refresh(duplicate, network)
        assert close(duplicate(images()), network(images()), 1e-4)


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("resnet50", ["stem", *(f"layer{s}_{k}" for s, n in zip("1234", (3, 4, 6, 3), strict=True)
                                for k in range(n)), "pool"]),
        ("densenet161", ["stem", "features_denseblock1", "features_transition1",
                         "features_denseblock2", "features_transition2", "features_denseblock3",
                         "features_transition3", "features_denseblock4", "pool"]),
        ("mobilenet_v2", [*(f"features_{k}" for k in range(19)), "pool"]),
    ],
)  # fmt: skip
def test_blocks(name: str, blocks: list[str]) -> None:
    network = build_network(ModelRecipe("torchvision", {"name": name}), 10, SIZE)
    assert list(network.blocks._modules) == blocks


def test_every_convolution_of_a_vgg_is_a_block() -> None:
    network = build_network(ModelRecipe("torchvision", {"name": "vgg11_bn"}), 10, SIZE)
    counts = [
        sum(isinstance(module, nn.Conv2d) for module in block.modules()) for block in network.blocks
    ]
    assert [n for n in counts if n] == [1] * 8
    weighty = [block for block in network.blocks if any(True for _ in block.parameters())]
    assert len(weighty) == 8 + 2  # two hidden layers before the head


def test_the_last_blocks_of_a_resnet_are_the_papers() -> None:
    """Utrera et al. unfreeze 1, 3 and 9 of a ResNet-50's blocks: 3 are its last stage."""
    network = build_network(ModelRecipe("torchvision", {"name": "resnet50"}), 10, SIZE)
    trunk, tail = network.split(3)
    assert list(tail.blocks._modules) == ["layer4_0", "layer4_1", "layer4_2", "pool"]
    assert trunk(images()).shape == (2, 1024, 4, 4)
    trunk, _ = network.split(9)
    assert trunk(images()).shape == (2, 512, 8, 8)


def test_nothing_works_in_place_and_frozen_blocks_stay_in_evaluation_mode() -> None:
    network = build_network(ModelRecipe("timm", {"name": "tf_efficientnet_lite0"}), 10, SIZE)
    assert not any(getattr(module, "inplace", False) for module in network.modules())
    network.frozen_blocks = 3
    network.train()
    modes = [block.training for block in network.blocks]
    assert modes == [False] * 3 + [True] * (len(modes) - 3)


def test_weights_are_random_by_the_seed_and_a_check_draws_none() -> None:
    def first(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        model = ModelRecipe("torchvision", {"name": "resnet18"})
        return next(build_network(model, 3, SIZE).blocks.parameters())

    assert torch.equal(first(0), first(0)) and not torch.equal(first(0), first(1))
    torch.manual_seed(7)
    model, head = family_of("torchvision").library("resnet18")
    before = torch.get_rng_state()
    library.split(model, head, SIZE)
    assert torch.equal(before, torch.get_rng_state())


# What cannot be taken apart ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "name", "parts"),
    [
        ("torchvision", "googlenet", ["no chain of its parts"]),
        ("torchvision", "squeezenet1_0", ["not linear"]),
        ("torchvision", "vit_b_16", ["cannot be built for 64x64", "Expected 224"]),
        ("torchvision", "resnet19", ["torchvision has no model 'resnet19'", "resnet18"]),
        ("timm", "hrnet_w18_small", ["no chain of its parts"]),
        ("timm", "vit_tiny_patch16_224", ["cannot be built for 64x64"]),
        ("timm", "resnetv2_50", ["'head.fc' is a Conv2d, not linear"]),
        ("timm", "resnt50", ["timm has no model 'resnt50'", "resnet50"]),
        ("timm", "resnet50.a1_in1k", ["tag behind a dot names weights"]),
    ],
)
@pytest.mark.filterwarnings("ignore:The default weight initialization")
def test_refused_in_one_line(family: str, name: str, parts: list[str]) -> None:
    with pytest.raises(UserError) as told:
        build_network(ModelRecipe(family, {"name": name}), 10, SIZE)
    text = str(told.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


class Skipping(nn.Module):
    """Its first part's output goes past the second one: no chain, and no shape tells."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return self.fc((x + self.second(x)).mean((2, 3)))


def test_a_model_that_computes_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="other features than the model"):
        library.split(Skipping(), "fc", SIZE)


class Reused(nn.Module):
    """A convolution whose output two norms read, and one norm behind two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.other = (nn.Conv2d(4, 4, 3, padding=1) for _ in range(2))
        self.left, self.right, self.both = (nn.BatchNorm2d(4) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.shared(x)
        x = self.left(x) + self.right(x)
        return self.both(self.other(x)) + self.both(x)


def test_only_pairs_that_meet_nobody_else_are_folded() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 3)
            self.block = Reused()
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.flatten = nn.Flatten()
            self.fc = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(self.flatten(self.pool(self.block(self.stem(x)))))

    blocks, features = library.split(Model(), "fc", SIZE)
    assert all(not getattr(block, "folds", ()) for block in blocks.values())
    network = Network(blocks, features, 2).eval()
    with torch.no_grad():
        assert close(inference_copy(network, "fp32")(images()), network(images()), 1e-5)


def test_gradients_pass_through_every_block() -> None:
    """Attacks and fine-tuning need them, of the input and of the weights."""
    network = build_network(ModelRecipe("timm", {"name": "tf_efficientnet_lite0"}), 5, SIZE)
    x = images().requires_grad_()
    network(x).square().sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_images_of_any_size_of_a_network_that_pools() -> None:
    """What EfficientNet-Lite0 at 128 pixels stands on: the same weights, another size."""
    model = ModelRecipe("timm", {"name": "tf_efficientnet_lite0"})
    small, large = (build_network(model, 5, size).eval() for size in (32, 128))
    large.load_state_dict(small.state_dict())
    with torch.no_grad():
        found = [large.features(images(size=size)).shape for size in (32, 64, 128)]
        assert set(found) == {(2, 1280)}
        assert torch.equal(large(images(size=32)), small(images(size=32)))
    sizes = [large.split(1)[0](images(size=size)).shape[-1] for size in (32, 64, 128)]
    assert all(b == 2 * a for a, b in pairwise(sizes))
