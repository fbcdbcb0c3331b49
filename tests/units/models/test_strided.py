"""1x1 convolutions with a stride and few channels, on which oneDNN crashes (its issue 6035)."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from support.workflow import ROOT
from workflow_scripts.advtransfer.models.network import inference_copy
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.models.strided import NarrowPointwise, mend_strided
from workflow_scripts.advtransfer.models.zoo import build_network

NARROW = ModelRecipe("resnet", {"width": 8, "blocks": [1, 1]})

# Below 52 pixels a side, one thread happens not to fail.
STEP = """
import torch
from torch import nn
from workflow_scripts.advtransfer.models.strided import mend_strided
torch.set_num_threads(1)
layer = nn.Sequential(nn.Conv2d(8, 16, 1, stride=2, bias=False))
{mend}
layer.to(memory_format=torch.channels_last)
images = torch.ones(1, 8, {size}, {size}).contiguous(memory_format=torch.channels_last)
for _ in range(3):
    layer(images).sum().backward()
print(layer[0].weight.grad.unique().tolist())
"""

NETWORK = """
import torch
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.models.zoo import build_network
torch.set_num_threads({threads})
network = build_network(ModelRecipe("resnet", {{"width": 8, "blocks": [1, 1]}}), 2, {size})
images = torch.rand({count}, 3, {size}, {size}).contiguous(memory_format=torch.channels_last)
with torch.autocast("cpu", torch.bfloat16, enabled={bf16}):
    loss = network(images).sum()
loss.backward()
print("trained")
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("size", "threads", "count", "bf16"),
    [(96, 1, 2, False), (96, 1, 2, True), (32, 2, 3, False), (32, 2, 3, True)],
)
def test_a_narrow_residual_network_trains_at_every_size(
    size: int, threads: int, count: int, bf16: bool
) -> None:
    done = run(NETWORK.format(size=size, threads=threads, count=count, bf16=bf16))
    assert done.stdout == "trained\n", (done.returncode, done.stderr[-300:])


def test_the_smallest_case_that_fails_has_the_right_gradient() -> None:
    done = run(STEP.format(mend="mend_strided(layer)", size=52))
    assert done.stdout == f"[{3 * 26.0**2}]\n", (done.returncode, done.stderr[-300:])


def test_the_library_still_needs_the_way_round() -> None:
    """If this fails, oneDNN is mended: delete `models/strided.py`, its call and these tests."""
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        pytest.skip("the size that fails is known for AVX-512 only")
    done = run(STEP.format(mend="", size=96))
    assert done.stdout != f"[{3 * 48.0**2}]\n"


@pytest.mark.parametrize("count", [3, 20])  # torch has another way for fewer than 16 images
@pytest.mark.parametrize("bf16", [False, True])
def test_numbers_are_the_same_to_the_last_bit_where_the_library_works(
    count: int, bf16: bool
) -> None:
    torch.set_num_threads(1)
    stream = torch.Generator().manual_seed(0)
    plain = nn.Conv2d(8, 16, 1, stride=2).to(memory_format=torch.channels_last)
    mended = nn.Conv2d(8, 16, 1, stride=2).to(memory_format=torch.channels_last)
    mended.load_state_dict(plain.state_dict())
    mend_strided(mended)
    images = torch.rand(count, 8, 32, 32, generator=stream)
    found = []
    for layer in (plain, mended):
        given = images.contiguous(memory_format=torch.channels_last).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = layer(given)
        logits.float().square().sum().backward()
        found.append([logits, given.grad, layer.weight.grad, layer.bias.grad])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_only_the_convolutions_that_fail_are_changed_and_keep_their_names() -> None:
    network = build_network(NARROW, 2, 32)
    changed = [name for name, part in network.named_modules() if type(part) is NarrowPointwise]
    assert changed == ["blocks.stage2_0.shortcut.0"]
    wide = build_network(ModelRecipe("resnet", {"width": 16, "blocks": [1, 1]}), 2, 32)
    assert not any(isinstance(part, NarrowPointwise) for part in wide.modules())
    assert "blocks.stage2_0.shortcut.0.weight" in network.state_dict()
    assert isinstance(
        inference_copy(network, "fp32").get_submodule("blocks.stage2_0.shortcut.0"), NarrowPointwise
    )
