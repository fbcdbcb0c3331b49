"""Checkpoints as known programs write them: the same logits afterwards, or what to do is said.

The wrappers are the programs' own where they are part of torch (DataParallel, torch.compile,
AveragedModel); other files are put together as their program does.
"""

from __future__ import annotations

import gzip
import json
import pickle
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torchvision.models.resnet import BasicBlock, conv1x1

from workflow_scripts import import_checkpoint
from workflow_scripts.advtransfer.artifacts.tensors import load_tensors
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.models import foreign
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.models.zoo import load_checkpoint

torch.set_num_threads(1)
MODEL = ModelRecipe("resnet", {"width": 4, "blocks": [1, 1]})
CLASSES = ("cat", "dog", "owl")
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
NORMALISER = (MEAN, STD)
State = dict[str, Any]


class Theirs(nn.Module):
    """A small ResNet in torchvision's names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(BasicBlock(4, 4))
        shortcut = nn.Sequential(conv1x1(4, 8, 2), nn.BatchNorm2d(8))
        self.layer2 = nn.Sequential(BasicBlock(4, 8, 2, shortcut))
        self.fc = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer2(self.layer1(self.bn1(self.conv1(x)).relu()))
        return self.fc(x.mean((2, 3)))


@pytest.fixture
def theirs() -> Theirs:
    torch.manual_seed(4)
    network = Theirs().train()
    with torch.no_grad():  # statistics as after a training
        for _ in range(3):
            network(torch.randn(8, 3, 16, 16) * 2 + 0.5)
    return network.eval()


def logits(theirs: nn.Module, images: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in NORMALISER)
    with torch.no_grad():
        return theirs((images - mean) / std)


IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def imported(path: Path, **more: Any) -> nn.Module:
    output = path.with_name("imported.safetensors")
    more = {"normaliser": NORMALISER} | more
    foreign.import_checkpoint(path, output, MODEL, more.pop("classes", CLASSES), 32, **more)
    return load_checkpoint(output, torch.device("cpu"), MODEL, 32)[0]


def check_same(theirs: nn.Module, path: Path, tolerance: float = 1e-5, **more: Any) -> None:
    """The imported network is the same function of pixels in [0, 1]."""
    with torch.no_grad():
        found = imported(path, **more)(IMAGES)
    expected = logits(theirs, IMAGES)
    assert expected.std() > 1e-2
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=tolerance)


def refusal(path: Path, **more: Any) -> str:
    """The message, in one line; nothing is written."""
    output = path.with_name("refused.safetensors")
    more = {"normaliser": NORMALISER, "classes": CLASSES} | more
    with pytest.raises(UserError) as told:
        foreign.import_checkpoint(path, output, MODEL, size=32, **more)
    assert not output.exists() and "\n" not in str(told.value)
    return str(told.value)


def saved(path: Path, content: Any, **how: Any) -> Path:
    torch.save(content, path, **how)
    return path


def trained(network: nn.Module) -> torch.optim.Optimizer:
    """An optimiser that has made a step, so that it holds momentum; the weights stay."""
    optimizer = torch.optim.SGD(network.parameters(), 0.0, momentum=0.9)
    network(IMAGES).sum().backward()
    optimizer.step()
    return optimizer


# Trainings that save more than weights ------------------------------------------------------------


def test_pytorchs_imagenet_example(theirs: Theirs, tmp_path: Path) -> None:
    """examples/imagenet/main.py: the best accuracy is a tensor without dimensions."""
    optimizer = trained(theirs)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=30, gamma=0.1)
    content = {
        "epoch": 90,
        "arch": "resnet18",
        "state_dict": nn.DataParallel(theirs).state_dict(),
        "best_acc1": torch.tensor(69.758),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
    }
    check_same(theirs, saved(tmp_path / "model_best.pth.tar", content))


def test_robustness_saves_its_accuracies_beside(theirs: Theirs, tmp_path: Path) -> None:
    """robustness/train.py: accuracies are tensors, the network and its normaliser stand twice."""
    mean, std = (torch.tensor(values)[..., None, None] for values in NORMALISER)
    once = {f"model.{name}": value for name, value in theirs.state_dict().items()}
    state = {"normalizer.new_mean": mean, "normalizer.new_std": std, **once}
    state |= {"attacker.normalize.new_mean": mean, "attacker.normalize.new_std": std}
    state |= {f"attacker.{name}": value for name, value in once.items()}
    optimizer = trained(theirs)
    content = {
        "model": OrderedDict((f"module.{name}", value) for name, value in state.items()),
        "optimizer": optimizer.state_dict(),
        "schedule": torch.optim.lr_scheduler.StepLR(optimizer, 50).state_dict(),
        "epoch": 150,
        "amp": None,
        "nat_prec1": torch.tensor(90.8300),
        "adv_prec1": torch.tensor(53.4900),
    }
    check_same(theirs, saved(tmp_path / "150_checkpoint.pt", content), normaliser=None)


def test_deepspeed(theirs: Theirs, tmp_path: Path) -> None:
    content = {
        "module": OrderedDict(theirs.state_dict()),
        "buffer_names": [name for name, _ in theirs.named_buffers()],
        "optimizer": None,
        "param_shapes": [OrderedDict((n, p.shape) for n, p in theirs.named_parameters())],
        "lr_scheduler": None,
        "global_steps": 1000,
        "dp_world_size": 1,
        "ds_config": {"train_batch_size": 128},
        "ds_version": "0.14.0",
    }
    check_same(theirs, saved(tmp_path / "mp_rank_00_model_states.pt", content))
    content["module"] = OrderedDict((n, torch.empty(0)) for n in theirs.state_dict())  # ZeRO-3
    message = refusal(saved(tmp_path / "zero3.pt", content))
    assert "zero3.pt" in message and ("zero_to_fp32.py" in message or "no weights" in message)


@pytest.mark.parametrize("prefix", ["model.", "net.", "network.", "model.module."])
def test_lightning_with_the_loss_in_its_state(theirs: Theirs, tmp_path: Path, prefix: str) -> None:
    state = {prefix + name: value for name, value in theirs.state_dict().items()}
    state["criterion.weight"] = torch.ones(3)  # of CrossEntropyLoss(weight=...)
    content = {
        "epoch": 9,
        "global_step": 3910,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": OrderedDict(state),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 10}}}},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.93)}},
        "optimizer_states": [trained(theirs).state_dict()],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 0.1},
    }
    check_same(theirs, saved(tmp_path / "epoch=9.ckpt", content))


def test_numbers_beside_the_weights_of_a_flat_file(theirs: Theirs, tmp_path: Path) -> None:
    state = {**theirs.state_dict(), "epoch": 3, "arch": "resnet", "best_acc1": torch.tensor(69.7)}
    check_same(
        theirs, saved(tmp_path / "a.pt", state | {"optimizer": trained(theirs).state_dict()})
    )
    # A number of the network's own is no such number: without it logits would differ.
    message = refusal(saved(tmp_path / "a.pt", state | {"logit_scale": torch.tensor(4.6)}))
    assert "1 unexpected: logit_scale" in message


def test_a_mapping_of_measurements_is_no_second_set(theirs: Theirs, tmp_path: Path) -> None:
    content = {
        "net": theirs.state_dict(),
        "metrics": {"acc": torch.tensor(90.0), "per_class": torch.rand(3)},
        "confusion": torch.rand(3, 3),
        "rng_state": torch.get_rng_state(),
        "criterion": {"weight": torch.ones(3)},
    }
    check_same(theirs, saved(tmp_path / "a.pt", content))


def test_weights_further_inside(theirs: Theirs, tmp_path: Path) -> None:
    content = {
        "state": {"model": theirs.state_dict(), "optimizer": trained(theirs).state_dict()},
        "run": "composer",
    }
    check_same(theirs, saved(tmp_path / "a.pt", content))
    check_same(theirs, tmp_path / "a.pt", entry="state.model")


# Several sets of weights --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [("state_dict", "state_dict_ema"), ("model", "model_ema"), ("state_dict", "ema")],
)
def test_of_two_sets_one_is_chosen(theirs: Theirs, tmp_path: Path, first: str, second: str) -> None:
    """As timm and torchvision's references save them; which one is meant is never guessed."""
    other = {name: value * 0 for name, value in theirs.state_dict().items()}
    content = {"epoch": 3, "arch": "a", first: other, second: theirs.state_dict(), "metric": 70.1}
    path = saved(tmp_path / "a.pth.tar", content)
    message = refusal(path)
    assert f"{first}, {second}" in message
    assert f"--entry (`entry` in the configuration), as in --entry {first}" in message
    check_same(theirs, path, entry=second)
    note = load_tensors(tmp_path / "imported.safetensors")[1]["imported"]
    assert note["entry"] == second
    assert f"'none'; there are {first}, {second}" in refusal(path, entry="none")


def test_weights_in_the_file_and_in_an_entry(theirs: Theirs, tmp_path: Path) -> None:
    other = {name: value * 0 for name, value in theirs.state_dict().items()}
    path = saved(tmp_path / "a.pt", {**theirs.state_dict(), "ema": other})
    assert "., ema" in refusal(path) and ". is the file itself" in refusal(path)
    check_same(theirs, path, entry=".")


@pytest.mark.parametrize("wrapper", ["", "module."])
def test_networks_told_apart_by_the_first_part_of_names(
    theirs: Theirs, tmp_path: Path, wrapper: str
) -> None:
    """As ema-pytorch saves the trained network and its average in one state dict."""
    state = {f"{wrapper}online_model.{n}": v * 0 for n, v in theirs.state_dict().items()}
    state |= {f"{wrapper}ema_model.{n}": v for n, v in theirs.state_dict().items()}
    state |= {f"{wrapper}initted": torch.tensor([True]), f"{wrapper}step": torch.tensor([900])}
    path = saved(tmp_path / "a.pt", {"ema": state})
    message = refusal(path)
    assert "not alone" in message and "--entry online_model; online_model, ema_model" in message
    check_same(theirs, path, entry="ema_model")
    check_same(theirs, path, entry="ema.ema_model")


# Parts of names -----------------------------------------------------------------------------------


def compiled_part(theirs: Theirs) -> State:
    theirs.layer1 = torch.compile(theirs.layer1)  # nothing is compiled before the first call
    return theirs.state_dict()


def parallel_part(theirs: Theirs) -> State:
    """As the ImageNet example wraps AlexNet's and VGG's features alone."""
    theirs.layer1 = nn.DataParallel(theirs.layer1)
    return theirs.state_dict()


def with_parts(*parts: str) -> Callable[[Theirs], State]:
    """Names as FSDP and activation checkpointing leave them: parts in front and inside."""

    def named(theirs: Theirs) -> State:
        inside = ".".join(parts)
        return {
            f"{parts[0]}.{n.replace('layer1.0.', f'layer1.0.{inside}.')}": v
            for n, v in theirs.state_dict().items()
        }

    return named


def counted(theirs: Theirs) -> State:
    """thop.profile leaves its counters in every module."""
    for module in theirs.modules():
        module.register_buffer("total_ops", torch.zeros(1, dtype=torch.float64))
        module.register_buffer("total_params", torch.zeros(1, dtype=torch.float64))
    return theirs.state_dict()


@pytest.mark.parametrize(
    "named",
    [
        lambda net: AveragedModel(net).state_dict(),
        lambda net: AveragedModel(nn.DataParallel(net)).state_dict(),
        lambda net: nn.DataParallel(nn.DataParallel(net)).state_dict(),
        lambda net: torch.compile(nn.DataParallel(net)).state_dict(),
        compiled_part,
        parallel_part,
        with_parts("_fsdp_wrapped_module"),
        with_parts("_fsdp_wrapped_module", "_checkpoint_wrapped_module"),
        with_parts("_checkpoint_wrapped_module", "_orig_mod"),
        with_parts("module", "_fpw_module"),
        counted,
        lambda net: nn.ModuleDict({"net": net, "loss_fn": nn.BCELoss(torch.ones(3))}).state_dict(),
        lambda net: (
            {f"model.{n}": v for n, v in net.state_dict().items()}
            | {"model._extra_state": None, "loss_fn.weight": torch.ones(3)}
        ),
    ],
    ids=[
        *("averaged", "averaged_parallel", "parallel_twice", "compiled_parallel"),
        *("compiled_part", "parallel_part", "fsdp", "fsdp_checkpoint", "checkpoint_compiled"),
        *("fairscale", "thop", "loss", "extra_state"),
    ],
)
def test_wrappers_are_taken_off_wherever_they_stand(
    theirs: Theirs, tmp_path: Path, named: Callable[[Theirs], State]
) -> None:
    path = saved(tmp_path / "a.pt", {"state_dict": named(theirs), "epoch": 3})
    bare = Theirs().eval()
    check_same(theirs if not hasattr(theirs.layer1, "_orig_mod") else bare_copy(theirs, bare), path)


def bare_copy(theirs: Theirs, bare: Theirs) -> Theirs:
    """The same network uncompiled, since a compiler is not everywhere."""
    state = {n.replace("_orig_mod.", ""): v for n, v in theirs.state_dict().items()}
    bare.load_state_dict(state)
    return bare


def test_flat_parameters_of_fsdp(theirs: Theirs, tmp_path: Path) -> None:
    state = {"_fsdp_wrapped_module._flat_param": torch.rand(99), "fc.weight": torch.rand(3, 8)}
    assert "FULL_STATE_DICT" in refusal(saved(tmp_path / "a.pt", state))


# Normalisers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ("mu", "sigma"),
        ("mean", "std"),
        ("normalize.mean", "normalize.std"),
        ("normalizer.new_mean", "normalizer.new_std"),
        ("norm.mu", "norm.std"),
        ("pixel_mean", "pixel_std"),
        ("normalize._mean", "normalize._std"),
        ("0.means", "0.sds"),
    ],
)
@pytest.mark.parametrize("shape", [(3,), (1, 3, 1, 1), (3, 1, 1)], ids=str)
@pytest.mark.parametrize("scale", [1, 255])
def test_normalisers_in_the_file(
    theirs: Theirs, tmp_path: Path, mean: str, std: str, shape: tuple[int, ...], scale: int
) -> None:
    """Buffers beside the network's (RobustBench's mu and sigma), or of a module before it."""
    inner = "1." if mean.startswith("0.") else "model." if "." in mean else ""
    state = {inner + name: value for name, value in theirs.state_dict().items()}
    state[mean] = torch.tensor(MEAN).view(shape) * scale
    state[std] = torch.tensor(STD).view(shape) * scale
    path = saved(tmp_path / "a.pt", {f"module.{name}": value for name, value in state.items()})
    check_same(theirs, path, normaliser=None)
    assert "leave out --mean and --std" in refusal(path)


def test_a_mean_alone_is_no_normaliser(theirs: Theirs, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", {**theirs.state_dict(), "mean": torch.tensor(MEAN)})
    assert "1 unexpected: mean" in refusal(path)
    state = {**theirs.state_dict(), "mean": torch.rand(3, 32, 32), "std": torch.rand(3, 32, 32)}
    assert "2 unexpected: mean, std" in refusal(saved(path, state))


# Forms of the file --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision(theirs: Theirs, tmp_path: Path, dtype: torch.dtype) -> None:
    state = {n: v.to(dtype) if v.is_floating_point() else v for n, v in theirs.state_dict().items()}
    rounded = Theirs().eval()
    rounded.load_state_dict(state)
    check_same(rounded, saved(tmp_path / "a.pt", state))
    save_file(state, str(tmp_path / "a.safetensors"))
    check_same(rounded, tmp_path / "a.safetensors")


@pytest.mark.parametrize("name", ["a.pt", "pytorch_model.bin", "weights", "a.SAFETENSORS"])
def test_safetensors_under_another_ending(theirs: Theirs, tmp_path: Path, name: str) -> None:
    save_file(theirs.state_dict(), str(tmp_path / name))
    check_same(theirs, tmp_path / name)


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "legacy"])
def test_a_file_of_torch_under_safetensors(theirs: Theirs, tmp_path: Path, archive: bool) -> None:
    path = tmp_path / "a.safetensors"
    saved(path, theirs.state_dict(), _use_new_zipfile_serialization=archive)
    check_same(theirs, path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_numpy_archives(theirs: Theirs, tmp_path: Path, save: Any) -> None:
    arrays = {name: value.numpy() for name, value in theirs.state_dict().items()}
    arrays["fc.bias"] = arrays["fc.bias"].astype(">f4")  # of another machine
    save(tmp_path / "a.npz", **arrays, arch=np.array("resnet"))
    check_same(theirs, tmp_path / "a.npz")


class Hostile:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.mkdir, (self.path,)


@pytest.mark.parametrize("form", ["npz", "zip", "legacy", "pickle"])
@pytest.mark.parametrize("ending", ["pt", "npz", "safetensors", "bin"])
def test_no_ending_makes_a_hostile_file_run(tmp_path: Path, form: str, ending: str) -> None:
    bait, path = tmp_path / "executed", tmp_path / f"a.{ending}"
    hostile = Hostile(bait)
    with open(path, "wb") as file:
        if form == "npz":
            np.savez(file, **{"a.weight": np.ones((2, 2)), "b": np.array(hostile, object)})
        elif form == "pickle":
            pickle.dump({"a.weight": hostile}, file)
        else:
            content = {"a.weight": torch.ones(2, 2), "b": hostile}
            torch.save(content, file, _use_new_zipfile_serialization=form == "zip")
    assert "would have to be executed" in refusal(path)
    assert not bait.exists()


def test_torchscript_and_exported_programs_by_name(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)).save(tmp_path / "a.safetensors")
    assert "TorchScript archive" in refusal(tmp_path / "a.safetensors")
    program = torch.export.export(nn.Linear(2, 2), (torch.zeros(1, 2),))
    torch.export.save(program, tmp_path / "a.pt2")
    message = refusal(tmp_path / "a.pt2")
    assert "torch.export archive" in message and "torch.export.load(...).state_dict" in message


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda path: path.write_bytes(gzip.compress(b"weights" * 99)), ["gzip", "Unpack it"]),
        (lambda path: np.save(path.open("wb"), np.ones((3, 3))), ["one numpy array", "savez"]),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600)), ["HDF5", "Keras"]),
        (
            lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid 1\n"),
            ["Git LFS", "git lfs pull"],
        ),
        (
            lambda path: path.write_text("<!DOCTYPE html><title>Google Drive</title>"),
            ["web page", "damaged"],
        ),
        (
            lambda path: path.write_text(
                json.dumps({"metadata": {"total_size": 9}, "weight_map": {"a": "b.safetensors"}})
            ),
            ["index of weights", "join the parts", "save_file("],
        ),
        (lambda path: tarred(path), ["tar archive of inner.pt", "unpack it"]),
        (lambda path: in_zip(path), ["zip archive of inner.pt", "unpack it"]),
    ],
    ids=["gzip", "npy", "hdf5", "lfs", "page", "index", "tar", "zip"],
)
def test_files_of_other_kinds_are_told_by_name(
    make: Callable[[Path], Any], parts: list[str], ending: str, tmp_path: Path
) -> None:
    make(tmp_path / f"a.{ending}")
    message = refusal(tmp_path / f"a.{ending}")
    assert all(part in message for part in parts), message


def tarred(path: Path) -> None:
    saved(path.with_name("inner.pt"), {"a": torch.zeros(1)})
    with tarfile.open(path, "w") as archive:
        archive.add(path.with_name("inner.pt"), "inner.pt")


def in_zip(path: Path) -> None:
    saved(path.with_name("inner.pt"), {"a": torch.zeros(1)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(path.with_name("inner.pt"), "inner.pt")


def test_one_part_of_several(theirs: Theirs, tmp_path: Path) -> None:
    path = tmp_path / "model-00001-of-00002.safetensors"
    save_file({"conv1.weight": theirs.conv1.weight.detach()}, str(path))
    assert "part 1 of 2" in refusal(path) and "join the parts" in refusal(path)
    only = tmp_path / "model-00001-of-00001.safetensors"
    save_file(theirs.state_dict(), str(only))
    check_same(theirs, only)


# Networks without a head --------------------------------------------------------------------------


def test_a_file_without_a_head(theirs: Theirs, tmp_path: Path) -> None:
    """As published for features: what is missing is said, and what to do."""
    state = {n: v for n, v in theirs.state_dict().items() if not n.startswith("fc.")}
    path = saved(tmp_path / "a.pt", state)
    message = refusal(path)
    for part in ["no head", "missing: fc.weight, fc.bias", "--no-head", "`head: false`"]:
        assert part in message
    check_trunk(theirs, path)


def test_a_projection_in_place_of_the_head(theirs: Theirs, tmp_path: Path) -> None:
    """MoCo: two encoders, whose last layer is a projection, and a queue."""
    state = {}
    for encoder, factor in (("encoder_q", 1), ("encoder_k", 0)):
        state |= {f"module.{encoder}.{n}": v * factor for n, v in theirs.state_dict().items()}
        for kind in ("weight", "bias"):
            state[f"module.{encoder}.fc.2.{kind}"] = state.pop(f"module.{encoder}.fc.{kind}")
    state |= {"module.queue": torch.rand(3, 16), "module.queue_ptr": torch.zeros(1).long()}
    path = saved(tmp_path / "a.pt", {"epoch": 200, "arch": "resnet50", "state_dict": state})
    assert "--entry encoder_q" in refusal(path)
    assert "no head" in refusal(path, entry="encoder_q")
    assert "there is fc.2.weight, fc.2.bias in its place" in refusal(path, entry="encoder_q")
    check_trunk(theirs, path, entry="encoder_q")


def check_trunk(theirs: Theirs, path: Path, **more: Any) -> None:
    network = imported(path, classes=(foreign.NO_HEAD,), trunk_only=True, **more)
    theirs.fc = nn.Identity()
    with torch.no_grad():
        torch.testing.assert_close(
            network.features(IMAGES), logits(theirs, IMAGES), rtol=1e-4, atol=1e-5
        )
        assert not network(IMAGES).any()


def test_the_command_takes_a_trunk_and_an_entry(theirs: Theirs, tmp_path: Path) -> None:
    other = {name: value * 0 for name, value in theirs.state_dict().items()}
    path = saved(tmp_path / "a.pt", {"state_dict": other, "state_dict_ema": theirs.state_dict()})
    words = [
        "--checkpoint",
        path,
        "--family",
        "resnet",
        "--parameters",
        json.dumps(MODEL.parameters),
    ]
    words += ["--size", 32, "--mean", *MEAN, "--std", *STD, "--entry", "state_dict_ema"]
    words += ["--no-head", "--output", tmp_path / "b.safetensors"]
    import_checkpoint.main(import_checkpoint.parser().parse_args(list(map(str, words))))
    network, classes = load_checkpoint(tmp_path / "b.safetensors", torch.device("cpu"), MODEL, 32)
    assert classes == (foreign.NO_HEAD,)
    assert torch.equal(network.blocks.stem[0].weight, theirs.conv1.weight)
    assert not network.head.weight.any()
