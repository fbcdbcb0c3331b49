"""Checkpoints of other programs: the same logits afterwards, or a clear refusal; nothing is run.

The originals are torchvision's networks. The robustness library's files are put together as it
writes them (its AttackerModel in a DataParallel, its CIFAR ResNets' names).
"""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from support.skips import skip_loudly
from support.workflow import ROOT, step
from workflow_scripts import compare_checkpoints, import_checkpoint
from workflow_scripts.advtransfer.artifacts.tensors import load_tensors
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.models import foreign
from workflow_scripts.advtransfer.models.network import inference_copy
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.models.zoo import (
    build_network,
    known_families,
    load_checkpoint,
    save_checkpoint,
)

torch.set_num_threads(1)
CPU = torch.device("cpu")
CLASSES = ("cat", "dog", "owl")
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
NORMALISER = (MEAN, STD)
IMAGENET = {"blocks": [1, 1, 1, 1], "stem": "imagenet"}
CIFAR = {"width": 64, "blocks": [1, 1, 1, 1], "bottleneck": True}
# Small, for what is refused whatever the size.
TINY = ModelRecipe("resnet", {"width": 4, "blocks": [1, 1]})


def images(n: int = 3, size: int = 64) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def normalised(x: torch.Tensor) -> torch.Tensor:
    return (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def shaken(network: nn.Module) -> nn.Module:
    """In evaluation mode, with batch norm as after a training."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
                module.num_batches_tracked.fill_(7)
    return network.eval()


def torchvision_net(block: Any = BasicBlock, *, small: bool = False) -> ResNet:
    """One block a stage, three classes; ``small``: the CIFAR stem."""
    torch.manual_seed(3)
    network = ResNet(block, [1, 1, 1, 1], num_classes=3)
    if small:
        network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        network.maxpool = nn.Identity()
    return shaken(network)


@pytest.fixture(scope="module")
def plain() -> ResNet:
    return torchvision_net()


@pytest.fixture(scope="module")
def cifar() -> ResNet:
    return torchvision_net(Bottleneck, small=True)


def cifar_name(name: str) -> str:
    return name.replace("downsample", "shortcut").replace("fc.", "linear.")


def robustness_checkpoint(
    network: nn.Module, inner: str = "", names: Callable[[str], str] = cifar_name
) -> dict[str, Any]:
    """What the robustness library's train.py saves, by default of a CIFAR ResNet."""
    bare = {inner + names(name): value for name, value in network.state_dict().items()}
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in NORMALISER)
    state = {"normalizer.new_mean": mean, "normalizer.new_std": std}
    state |= {f"model.{name}": value for name, value in bare.items()}
    state |= {"attacker.normalize.new_mean": mean, "attacker.normalize.new_std": std}
    state |= {f"attacker.model.{name}": value for name, value in bare.items()}
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    return {
        "model": {f"module.{name}": value for name, value in state.items()},
        "optimizer": optimizer.state_dict(),
        "schedule": None,
        "epoch": 150,
        "amp": "N/A",
    }


def imported(
    path: Path, model: ModelRecipe, size: int = 64, classes: tuple[str, ...] = CLASSES, **more: Any
) -> nn.Module:
    output = path.with_name("imported.safetensors")
    foreign.import_checkpoint(path, output, model, classes, size, **more)
    network, names = load_checkpoint(output, CPU, model, size)
    assert names == classes
    return network


def tiny_state() -> dict[str, torch.Tensor]:
    """A state dict of TINY in the family's own names, normaliser included."""
    torch.manual_seed(5)
    return dict(shaken(build_network(TINY, 3, 32)).state_dict())


def refusal(path: Path, model: ModelRecipe = TINY, size: int = 32, **more: Any) -> str:
    """The message; nothing is written."""
    output = path.with_name("refused.safetensors")
    more = {"classes": CLASSES} | more
    with pytest.raises(UserError) as told:
        foreign.import_checkpoint(path, output, model, size=size, **more)
    assert not output.exists()
    assert "\n" not in str(told.value)
    return str(told.value)


def saved(path: Path, content: Any, **how: Any) -> Path:
    torch.save(content, path, **how)
    return path


# The same function ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet18", {"stem": "imagenet"}),
        ("resnet50", {"blocks": [3, 4, 6, 3], "bottleneck": True, "stem": "imagenet"}),
        (
            "wide_resnet50_2",
            {"blocks": [3, 4, 6, 3], "bottleneck": True, "stem": "imagenet", "inner_factor": 2},
        ),
    ],
)
def test_torchvisions_networks_give_the_same_logits(name, parameters):
    original = shaken(torchvision.models.get_model(name, num_classes=5))
    model = ModelRecipe("resnet", parameters)
    network, scheme = foreign.load_foreign(original.state_dict(), model, 5, 64)
    assert scheme == "torchvision"
    network.normalize.mean.zero_()
    network.normalize.std.fill_(1)
    with torch.no_grad():
        expected = original(images())
        assert expected.std() > 1e-3
        torch.testing.assert_close(network(images()), expected, rtol=1e-4, atol=1e-4)
        folded = inference_copy(network, "fp32")(images())
        torch.testing.assert_close(folded, expected, rtol=1e-3, atol=1e-3)
    # No counter was left as in a new network.
    state = network.state_dict()
    assert all(int(v) == 7 for k, v in state.items() if k.endswith("num_batches_tracked"))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model_state_dict": state, "loss": 0.5},
        lambda state: {"net": {f"module.{k}": v for k, v in state.items()}, "acc": 95.1},
        lambda state: {f"module._orig_mod.{k}": v for k, v in state.items()},
        lambda state: {f"_orig_mod.module.{k}": v for k, v in state.items()},
        lambda state: {
            "state_dict": {f"model._orig_mod.{k}": v for k, v in state.items()},
            "hyper_parameters": {"lr": 0.1},
            "pytorch-lightning_version": "2.0",
            "optimizer_states": [{"state": {0: {"momentum_buffer": torch.zeros(2)}}}],
        },
        lambda state: {k: v for k, v in state.items() if "num_batches" not in k},
        lambda state: {k: v.double() if v.is_floating_point() else v for k, v in state.items()},
    ],
    ids=[
        *("bare", "state_dict", "model_state_dict", "net", "compiled", "compiled_inside"),
        *("lightning", "old", "double"),
    ],
)
def test_wrappers_are_taken_off(plain, tmp_path, wrap):
    path = saved(tmp_path / "net.pth", wrap(plain.state_dict()))
    network = imported(path, ModelRecipe("resnet", IMAGENET), normaliser=NORMALISER)
    with torch.no_grad():
        expected = plain(normalised(images()))
        torch.testing.assert_close(network(images()), expected, rtol=1e-4, atol=1e-4)


def test_safetensors_and_the_legacy_format(plain, tmp_path):
    model = ModelRecipe("resnet", IMAGENET)
    save_file(plain.state_dict(), str(tmp_path / "net.safetensors"))
    first = imported(tmp_path / "net.safetensors", model, normaliser=NORMALISER).state_dict()
    old = tmp_path / "net.pt"
    saved(old, plain.state_dict(), _use_new_zipfile_serialization=False)
    second = imported(old, model, normaliser=NORMALISER).state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("inner", ["", "model."], ids=["library", "custom_architecture"])
def test_robustness_checkpoints_bring_their_normaliser(cifar, tmp_path, inner):
    path = saved(tmp_path / "checkpoint.pt.best", robustness_checkpoint(cifar, inner))
    network = imported(path, ModelRecipe("resnet", CIFAR), 32)
    with torch.no_grad():
        expected = cifar(normalised(images(size=32)))
        torch.testing.assert_close(network(images(size=32)), expected, rtol=1e-4, atol=1e-4)
    _, attributes = load_tensors(path.with_name("imported.safetensors"))
    note = attributes["imported"]
    assert (note["file"], note["names"]) == (path.name, "robustness CIFAR")
    assert note["normaliser"] == "of the file" and len(note["sha256"]) == 64


@pytest.mark.parametrize(
    ("name", "inner"),
    # Made from torchvision's own they have one wrapper more, but for the MnasNet. (VGG-16 fills
    # half a gigabyte; its names are in test_library_models.)
    [
        ("mnasnet1_0", ""),
        *((name, "model.") for name in ("mobilenet_v2", "shufflenet_v2_x1_0")),
        *((name, "model.") for name in ("densenet161", "resnext50_32x4d")),
    ],
)
def test_the_other_architectures_of_salman_et_al(name, inner, tmp_path):
    """In configs/paper.yaml: files of the robustness library through the family torchvision."""
    torch.manual_seed(0)
    original = shaken(torchvision.models.get_model(name, weights=None, num_classes=len(CLASSES)))
    content = robustness_checkpoint(original, inner, names=str)
    network = imported(
        saved(tmp_path / f"{name}_l2_eps3.ckpt", content),
        ModelRecipe("torchvision", {"name": name}),
    )
    with torch.no_grad():
        expected = original(normalised(images()))
        assert expected.std() > 1e-3
        torch.testing.assert_close(network(images()), expected, rtol=1e-3, atol=1e-4)
    note = load_tensors(tmp_path / "imported.safetensors")[1]["imported"]
    assert (note["names"], note["normaliser"]) == ("torchvision", "of the file")


def test_only_the_attackers_copy_is_enough(cifar, tmp_path):
    content = robustness_checkpoint(cifar)
    content["model"] = {k: v for k, v in content["model"].items() if ".attacker." in k}
    network = imported(saved(tmp_path / "a.pt", content), ModelRecipe("resnet", CIFAR), 32)
    with torch.no_grad():
        expected = cifar(normalised(images(size=32)))
        torch.testing.assert_close(network(images(size=32)), expected, rtol=1e-4, atol=1e-4)


def test_a_normaliser_in_front_of_the_network(plain, tmp_path):
    """nn.Sequential(normaliser, network)."""
    state = {f"1.{name}": value for name, value in plain.state_dict().items()}
    state |= {"0.mean": torch.tensor(MEAN), "0.std": torch.tensor(STD)}
    path = saved(tmp_path / "a.pt", state)
    network = imported(path, ModelRecipe("resnet", IMAGENET))
    assert network.normalize.mean.flatten().tolist() == pytest.approx(MEAN)
    assert network.normalize.std.flatten().tolist() == pytest.approx(STD)


@pytest.mark.parametrize("family", known_families())
@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_familys_own_names(family, prefix, tmp_path):
    small = {
        "alexnet": {"width": 8, "stem_stride": 2}, "convmixer": {"width": 8, "depth": 2},
        "densenet": {"growth": 4, "layers": [1, 2]}, "mlp": {"widths": [16]},
        "mobilenet": {"width": 4, "blocks": [1, 1]}, "resnet": TINY.parameters,
        "vgg": {"width": 8},
    }  # fmt: skip
    model = ModelRecipe(family, small.get(family, {}))
    original = shaken(build_network(model, 3, 32))
    state = {prefix + name: value for name, value in original.state_dict().items()}
    network = imported(saved(tmp_path / "a.pt", state), model, 32)
    with torch.no_grad():
        assert torch.equal(network(images(size=32)), original(images(size=32)))
    assert load_tensors(tmp_path / "imported.safetensors")[1]["imported"]["names"] == "native"


def test_one_value_normalises_all_channels(tmp_path):
    state = {k: v for k, v in tiny_state().items() if not k.startswith("normalize")}
    network = imported(saved(tmp_path / "a.pt", state), TINY, 32, normaliser=([0.0], [1.0]))
    x = images(size=32)
    assert torch.equal(network.normalize(x), x)


# Nothing is executed ----------------------------------------------------------------------------


class Hostile:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.path}",)


class HostileEval(Hostile):
    def __reduce__(self) -> tuple:
        return eval, (f"open({str(self.path)!r}, 'w')",)


def zipped(data: bytes) -> bytes:
    """A torch archive by hand around a pickle."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")
    return held.getvalue()


@pytest.mark.parametrize("kind", [Hostile, HostileEval])
@pytest.mark.parametrize(
    "form",
    ["pickle0", "pickle2", "pickle4", "zip", "zip_beside_weights", "zip_by_hand", "legacy"],
)
@pytest.mark.parametrize("variable", ["0", "1"])
def test_hostile_files_are_refused_and_not_run(kind, form, variable, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", variable)  # loosens torch.load's default
    mark, path = tmp_path / "mark", tmp_path / "evil.pt"
    hostile: Any = kind(mark)
    if form.startswith("pickle"):
        path.write_bytes(pickle.dumps({"model": hostile}, protocol=int(form[-1])))
    elif form == "zip_by_hand":
        path.write_bytes(zipped(pickle.dumps(hostile, protocol=2)))
    elif form == "zip_beside_weights":
        saved(path, {"model": tiny_state(), "note": hostile})
    else:
        saved(path, hostile, _use_new_zipfile_serialization=form == "zip")
    message = refusal(path)
    assert not mark.exists()
    assert "weights_only" not in message  # torch's advice is to execute it
    if form == "pickle0":  # text, no torch file by its first bytes
        assert "not written by torch.save" in message
        return
    assert "would have to be executed" in message and "never does that" in message
    assert "torch.save(model.state_dict(), 'weights.pt')" in message
    if form in ("zip", "legacy"):
        assert "system" in message or "eval" in message  # what it is, by its name


def test_the_hostile_files_of_these_tests_are_hostile(tmp_path):
    """Otherwise the test above would prove nothing: its own file, executed once, makes the mark."""
    mark = tmp_path / "mark"
    torch.load(saved(tmp_path / "evil.pt", Hostile(mark)), weights_only=False)
    assert mark.exists()


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        ({"model": {"a": torch.zeros(2)}, "accuracy": np.float64(3)}, "numpy"),
    ],
)
def test_objects_that_are_not_weights(content, part, tmp_path):
    message = refusal(saved(tmp_path / "a.pt", content))
    assert part in message and "would have to be executed" in message


def test_torchscript_is_a_program(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)).save(tmp_path / "a.pt")
    message = refusal(tmp_path / "a.pt")
    assert "TorchScript" in message and "state_dict()" in message


# Torn and wrong files ---------------------------------------------------------------------------


def test_no_file_a_folder_an_empty_file(tmp_path):
    assert "no such file" in refusal(tmp_path / "none.pt")
    (tmp_path / "folder.pt").mkdir()
    assert "folder" in refusal(tmp_path / "folder.pt")
    (tmp_path / "empty.pt").touch()
    (tmp_path / "empty.safetensors").touch()
    assert "empty" in refusal(tmp_path / "empty.pt")
    assert "empty" in refusal(tmp_path / "empty.safetensors")


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
@pytest.mark.parametrize(
    "content",
    [os.urandom(5000), b"hello world\n" * 9, b"<html>not found</html>", b"PK\x03\x04", b"\x80\x02"],
    ids=["random", "text", "page", "zip", "pickle"],
)
def test_other_files(content, ending, tmp_path):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    message = refusal(path)
    assert "damaged" in message or "executed" in message


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_truncated_files(legacy, share, tmp_path):
    path = saved(tmp_path / "a.pt", tiny_state(), _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    message = refusal(path)
    assert "truncated, damaged" in message and "bytes" in message


def test_truncated_safetensors(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(1000)}, str(path))
    path.write_bytes(path.read_bytes()[:-10])
    assert "truncated or damaged" in refusal(path)


def test_a_changed_byte_is_found(tmp_path):
    """torch.load itself does not look at the archive's checksums."""
    path = saved(tmp_path / "a.pt", {"a": torch.zeros(4000)})
    content = bytearray(path.read_bytes())
    content[content.find(b"\0" * 9000) + 4000] = 7
    path.write_bytes(content)
    torch.load(path, weights_only=True)
    assert "does not have its checksum" in refusal(path)


def test_archives_that_would_inflate(tmp_path):
    path = saved(tmp_path / "a.pt", {"a": torch.zeros(100_000)})
    small = tmp_path / "b.pt"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as to:
        for record in source.namelist():
            to.writestr(record, source.read(record))
    assert "compressed" in refusal(small)


def test_other_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("readme", "hello")
    assert "damaged" in refusal(tmp_path / "a.pt")
    saved(tmp_path / "inner.pt", {"a": torch.zeros(1)})
    with tarfile.open(tmp_path / "b.pt", "w") as tar:
        tar.add(tmp_path / "inner.pt")
    assert "oldest format" in refusal(tmp_path / "b.pt")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ([torch.zeros(2)], ["holds a list"]),
        (torch.zeros(2), ["holds a Tensor"]),
        ({}, ["no weights", "none"]),
        ({"epoch": 3, "optimizer": {"state": {}}}, ["no weights", "epoch, optimizer"]),
        ({"model": {"a": torch.zeros(1)}, "ema": {"a": torch.ones(1)}}, ["model, ema", "--entry"]),
        ({"a\n\x1b[31m": torch.zeros(2)}, ["\\n", "no program"]),
        ({"a\n": 3}, ["no weights", "\\n"]),
        ({"a": torch.zeros(1).expand(1 << 40)}, ["'a'", "not a plain dense tensor"]),
        ({"a": torch.zeros(3, device="meta")}, ["'a'", "not a plain dense tensor"]),
        ({"a": torch.eye(3).to_sparse()}, ["'a'", "not a plain dense tensor"]),
        ({"a": torch.zeros(1), "_orig_mod.a": torch.zeros(1)}, ["same tensor"]),
    ],
)
def test_what_is_in_the_file_is_told(content, parts, tmp_path):
    message = refusal(saved(tmp_path / "a.pt", content))
    assert all(part in message for part in parts), message


def test_an_entry_can_be_chosen(tmp_path):
    state = tiny_state()
    other = state | {"head.bias": state["head.bias"] + 1}
    path = saved(tmp_path / "a.pt", {"model": state, "ema": other, "epoch": 1})
    network = imported(path, TINY, 32, entry="ema")
    assert torch.equal(network.head.bias, other["head.bias"])
    assert "'swa'; there are model, ema" in refusal(path, entry="swa").replace("under", "")


def test_the_projects_own_checkpoint_needs_no_import(tmp_path):
    save_checkpoint(tmp_path / "a.safetensors", build_network(TINY, 3, 32), TINY, CLASSES, 32)
    assert "already" in refusal(tmp_path / "a.safetensors")


def test_another_sha256_is_not_even_opened(tmp_path):
    mark = tmp_path / "mark"
    path = saved(tmp_path / "a.pt", Hostile(mark))
    message = refusal(path, sha256="0" * 64)
    assert "another file" in message and "sha256 expected 0000" in message and not mark.exists()


# Names and shapes -------------------------------------------------------------------------------


def test_the_networks_two_copies_must_agree(cifar, tmp_path):
    content = robustness_checkpoint(cifar)
    state = content["model"]
    name = "module.attacker.model.layer1.0.conv1.weight"
    state[name] = state[name] + 1e-3
    message = refusal(saved(tmp_path / "a.pt", content), ModelRecipe("resnet", CIFAR))
    assert "twice" in message and "layer1.0.conv1.weight" in message


def test_a_missing_normaliser_has_to_be_given(tmp_path):
    state = {k: v for k, v in tiny_state().items() if not k.startswith("normalize")}
    path = saved(tmp_path / "a.pt", state)
    message = refusal(path)
    assert "--mean 0.4914 0.4822 0.4465" in message and "--mean 0.485 0.456 0.406" in message
    assert "one value or three" in refusal(path, normaliser=([0, 0], [1]))
    assert "above 0" in refusal(path, normaliser=([0], [0]))
    assert "finite" in refusal(path, normaliser=([float("nan")], [1]))
    assert "divide both by 255" in refusal(path, normaliser=([125.3, 123, 113.9], [63, 62, 66.7]))


def test_two_normalisers_are_one_too_many(tmp_path):
    path = saved(tmp_path / "a.pt", tiny_state())
    assert "leave out --mean and --std" in refusal(path, normaliser=NORMALISER)
    state = {f"model.{name}": value for name, value in tiny_state().items()}
    state |= {"normalizer.mean": torch.zeros(3), "normalizer.std": torch.ones(3)}
    assert "differ: which one" in refusal(saved(path, state))


@pytest.mark.parametrize(
    ("name", "value", "parts"),
    [
        ("head.bias", None, ["1 missing: head.bias"]),
        ("more.weight", torch.zeros(1), ["1 unexpected: more.weight"]),
        ("blocks.stem.0.weight", torch.zeros(4, 3, 5, 5), ["(4, 3, 5, 5)", "(4, 3, 3, 3)"]),
        ("blocks.stem.0.weight", torch.zeros(4, 3, 3, 3).int(), ["int32", "float32"]),
        ("blocks.stem.0.weight", torch.full((4, 3, 3, 3), float("nan")), ["not finite"]),
        (
            "blocks.stem.0.weight",
            torch.full((4, 3, 3, 3), 1e300, dtype=torch.double),
            ["not finite"],
        ),
        ("blocks.stem.1.num_batches_tracked", torch.tensor(0.5), ["float32", "int64"]),
        ("blocks.stem.1.running_var", torch.full((4,), -3.0), ["grey image", "not finite"]),
    ],
)
def test_one_tensor_that_does_not_fit(name, value, parts, tmp_path):
    state = tiny_state() | {name: value}
    state = {key: tensor for key, tensor in state.items() if tensor is not None}
    message = refusal(saved(tmp_path / "a.pt", state))
    assert all(part in message for part in parts), message


@pytest.mark.parametrize(
    ("block", "small", "expected"),
    [
        (BasicBlock, False, IMAGENET),
        (Bottleneck, True, CIFAR),
    ],
)
def test_the_parameters_that_a_resnet_looks_like(block, small, expected, tmp_path):
    path = saved(tmp_path / "a.pt", torchvision_net(block, small=small).state_dict())
    message = refusal(path, ModelRecipe("resnet", {"width": 8}), normaliser=NORMALISER)
    proposed = json.loads(message.split("--parameters '")[1].split("'")[0])
    imported(path, ModelRecipe("resnet", proposed), normaliser=NORMALISER)
    assert proposed == {"width": 64} | expected


def test_many_that_do_not_fit_are_counted(plain, tmp_path):
    path = saved(tmp_path / "a.pt", plain.state_dict())
    model = ModelRecipe("resnet", {"stem": "imagenet"})
    message = refusal(path, model, normaliser=NORMALISER)
    assert "40 missing: layer1.1.conv1.weight" in message and "and 37 more" in message
    wide = ModelRecipe("resnet", IMAGENET | {"width": 32})
    message = refusal(path, wide, normaliser=NORMALISER)
    assert "more of another shape" in message and "looks like" in message


def test_the_number_of_classes(plain, tmp_path):
    path = saved(tmp_path / "a.pt", plain.state_dict())
    model = ModelRecipe("resnet", IMAGENET)
    message = refusal(path, model, classes=("cat", "dog"), normaliser=NORMALISER)
    assert "3 classes ('fc.weight'" in message and "2 are named" in message
    message = refusal(path, model, classes=("cat", "dog", "cat"))
    assert "--classes: the class 'cat' is in place 1 and again in place 3" in message
    message = refusal(path, model, classes=("cat", "a\nb", "dog"))
    assert r"--classes: place 2, 'a\nb', has a control character" in message
    assert "place 2 is empty or missing" in refusal(path, model, classes=("cat", "", "dog"))
    assert "are missing" in refusal(path, model, classes=())
    assert "expected at least 1" in refusal(path, model, size=0)


def test_names_of_no_scheme(tmp_path):
    state = {"encoder.0.weight": torch.zeros(2), "decoder.0.weight": torch.zeros(2)}
    message = refusal(saved(tmp_path / "a.pt", state), normaliser=NORMALISER)
    assert "fit none of the schemes" in message and "encoder.0.weight" in message
    assert "torchvision, robustness CIFAR" in message


def test_another_family_is_told(plain, tmp_path):
    path = saved(tmp_path / "a.pt", plain.state_dict())
    assert "unknown model family" in refusal(path, ModelRecipe("none"), normaliser=NORMALISER)
    message = refusal(path, ModelRecipe("lenet"), normaliser=NORMALISER)
    assert "family lenet (native)" in message


@pytest.mark.parametrize(
    ("parameters", "part"),
    [
        ({"stem": "large"}, "'small' or 'imagenet'"),
        ({"stem": "imagenet", "stem_stride": 2}, "leave out stem_stride"),
        ({"inner_factor": 2}, "bottleneck"),
    ],
)
def test_parameters_that_contradict_each_other(parameters, part):
    with pytest.raises(UserError, match=part):
        build_network(ModelRecipe("resnet", parameters), 3, 64)


# The command ------------------------------------------------------------------------------------


def pack(path: Path) -> Path:
    stream = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file["images"] = stream.integers(0, 256, (24, 32, 32, 3), np.uint8)
        file["labels"] = np.arange(24) % 3
        file["split"] = np.array([b"train", b"test"])[np.arange(24) // 3 % 2]
        file.attrs["class_names"] = json.dumps(CLASSES)
    return path


def call(module: Any, *words: str | Path) -> None:
    module.main(module.parser().parse_args([str(word) for word in words]))


def test_import_then_compare(cifar, tmp_path, capsys):
    """What docs/import-a-checkpoint.md shows."""
    (tmp_path / "names.txt").write_text("cat\ndog\nowl\n")
    saved(tmp_path / "robust.pt", robustness_checkpoint(cifar))
    saved(tmp_path / "tiny.pt", tiny_state())
    call(
        import_checkpoint,
        *("--checkpoint", tmp_path / "robust.pt", "--family", "resnet"),
        *("--parameters", json.dumps(CIFAR), "--classes-file", tmp_path / "names.txt"),
        *("--size", "32", "--output", tmp_path / "a.safetensors"),
    )
    call(
        import_checkpoint,
        *("--checkpoint", tmp_path / "tiny.pt", "--family", "resnet"),
        *("--parameters", json.dumps(TINY.parameters), "--classes", *CLASSES),
        *("--size", "32", "--output", tmp_path / "b.safetensors"),
    )
    call(
        compare_checkpoints,
        *("--source", tmp_path / "a.safetensors", "--reference", tmp_path / "b.safetensors"),
        *("--pack", pack(tmp_path / "pack.h5"), "--steps", "1", "--mask", "all"),
    )
    assert "source_to_reference" in capsys.readouterr().out


@pytest.mark.parametrize(
    "data",
    [
        "\ufeffcat\r\nd\u00f6g\r\nowl\r\n".encode(),
        "\ncat  \n\n\tdo\u0308g\nowl\n\n".encode(),
    ],
)
def test_class_names_from_another_system(data, tmp_path):
    """With a byte-order mark no image of the first class would be compared."""
    (tmp_path / "names.txt").write_bytes(data)
    given = ["--checkpoint", saved(tmp_path / "a.pt", tiny_state()), "--family", "resnet"]
    given += ["--parameters", json.dumps(TINY.parameters), "--size", "32"]
    stored = []
    names = ["--classes-file", tmp_path / "names.txt"], ["--classes", "cat", "do\u0308g", "owl"]
    for k, words in enumerate(names):
        call(import_checkpoint, *given, *words, "--output", tmp_path / f"{k}.safetensors")
        stored.append(load_checkpoint(tmp_path / f"{k}.safetensors", torch.device("cpu"))[1])
    assert stored == [("cat", "d\u00f6g", "owl")] * 2
    (tmp_path / "names.txt").write_text("cat\ndog\ncat\n")
    with pytest.raises(UserError, match=r"names\.txt: the class 'cat' is in line 1 and again in"):
        call(import_checkpoint, *given, *names[0], "--output", tmp_path / "b.safetensors")
    assert not (tmp_path / "b.safetensors").exists()


def test_images_of_classes_that_the_reference_lacks_are_counted(tmp_path, caplog):
    given = ["--checkpoint", saved(tmp_path / "a.pt", tiny_state()), "--family", "resnet"]
    given += ["--parameters", json.dumps(TINY.parameters), "--size", "32"]
    file = tmp_path / "a.safetensors"
    call(import_checkpoint, *given, "--classes", *CLASSES[:2], "Owl", "--output", file)
    words = ["--pack", pack(tmp_path / "pack.h5"), "--steps", "1"]
    call(compare_checkpoints, "--source", file, "--reference", file, *words)
    assert "4 test images are left out" in caplog.text and ", owl. Its classes" in caplog.text
    assert "without a test image are Owl" in caplog.text


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--epsilon", "8"], "--epsilon: 8 cannot be meant.*8/255"),
        (["--norm", "l2", "--epsilon", "128"], r"--epsilon: 128 cannot be meant.*0 to 55\.43"),
        ([], "wide.h5: its images are 32x48"),
        (["--device", "banana"], "--device banana: not available here.*Use auto"),
        (["--device", "meta"], "--device meta: not available here"),
    ],
    ids=str,
)
def test_comparisons_that_cannot_be_meant(words, part, tmp_path):
    """Each is said before a checkpoint is read."""
    path = pack(tmp_path / ("pack.h5" if words else "wide.h5"))
    if not words:
        with h5py.File(path, "r+") as file:
            del file["images"]
            file["images"] = np.zeros((24, 32, 48, 3), np.uint8)
    with pytest.raises(UserError, match=part):
        call(
            compare_checkpoints,
            *("--source", tmp_path / "no.safetensors", "--reference", tmp_path / "no.safetensors"),
            *("--pack", path, "--steps", "1", *words),
        )


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--parameters", "{"], "not JSON"),
        (["--parameters", "[1]"], "expected a JSON object"),
        (["--mean", "0.5"], "go together"),
        (["--parameters", '{"widht": 3}'], "no parameter widht"),
    ],
)
def test_wrong_options(words, part, tmp_path):
    path = saved(tmp_path / "a.pt", tiny_state())
    given = ["--checkpoint", path, "--family", "resnet", "--classes", *CLASSES, "--size", "32"]
    with pytest.raises(UserError, match=part):
        call(import_checkpoint, *given, "--output", tmp_path / "b.safetensors", *words)


def test_the_original_and_a_missing_list_of_classes(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({name: value.contiguous() for name, value in tiny_state().items()}, str(path))
    before = path.read_bytes()
    with pytest.raises(UserError, match="replace the original"):
        foreign.import_checkpoint(path, path, TINY, CLASSES, 32)
    assert path.read_bytes() == before
    given = ["--checkpoint", path, "--family", "resnet", "--size", "32", "--output", path]
    with pytest.raises(UserError, match=r"none\.txt.*could not read"):
        call(import_checkpoint, *given, "--classes-file", tmp_path / "none.txt")


def test_a_refusal_is_one_line(tmp_path):
    mark = tmp_path / "mark"
    saved(tmp_path / "evil.pt", Hostile(mark))
    done = step(
        ROOT,
        "import_checkpoint",
        *("--checkpoint", tmp_path / "evil.pt", "--family", "resnet", "--size", "32"),
        *("--classes", *CLASSES, "--output", tmp_path / "a.safetensors"),
    )
    assert done.returncode == 1 and not mark.exists()
    assert done.stdout.startswith("error: ") and done.stdout.count("\n") == 1, done.stdout


@pytest.mark.network
def test_a_published_file(tmp_path):
    """The LeNet of advertorch 0.2.3 for grey MNIST: read, and refused for its names."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"]
    command += ["--no-build-isolation", "--dest", str(tmp_path), "advertorch==0.2.3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        skip_loudly("a published checkpoint (advertorch 0.2.3 could not be downloaded)")
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        (member,) = (m for m in archive.getmembers() if m.name.endswith("lenet5_clntrained.pt"))
        held = archive.extractfile(member)
        assert held is not None
        (tmp_path / "lenet.pt").write_bytes(held.read())
    weights = foreign.read_weights(tmp_path / "lenet.pt")
    assert {name: tuple(value.shape) for name, value in weights.items()} == {
        "conv1.weight": (32, 1, 3, 3), "conv1.bias": (32,),
        "conv2.weight": (64, 32, 3, 3), "conv2.bias": (64,),
        "linear1.weight": (200, 3136), "linear1.bias": (200,),
        "linear2.weight": (10, 200), "linear2.bias": (10,),
    }  # fmt: skip
    digits = tuple("0123456789")
    message = refusal(
        tmp_path / "lenet.pt", ModelRecipe("lenet"), 28, classes=digits, normaliser=([0], [1])
    )
    assert "fit none of the schemes known for the family lenet" in message
    message = refusal(tmp_path / "lenet.pt", classes=digits, normaliser=([0], [1]))
    assert "missing" in message and "unexpected: " in message
