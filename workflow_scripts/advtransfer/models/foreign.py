"""Import of other programs' checkpoints: rename the weights, check and save them.

`foreign_files` reads them, `foreign_wrappers` finds the network in them. Nothing is unpickled: a
file is refused if its weights cannot be read without executing its content.

Tensors may be named as in torchvision's ResNets (``conv1``, ``layer1.0.downsample.0``, ``fc``), as
in the robustness library's CIFAR ResNets (``layer1.0.shortcut.0``, ``linear``), or as in the family
itself ("native", every family).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..data.text_lists import checked_class_names
from ..errors import UserError
from .foreign_files import CHOOSE, checkpoint_sha256, first_few, read_weights
from .foreign_wrappers import Normaliser, bare_name, last_part, unwrap
from .library import foreign_names
from .network import Network
from .recipe import ModelRecipe
from .zoo import build_network, family_module, save_checkpoint

NO_HEAD = "no class (a trunk without its head)"  # the class of a network without a head
COUNTER = "num_batches_tracked"  # batch norm's counter, which is no weight; old files lack it
LITE0_BLOCKS = (1, 2, 2, 3, 3, 4, 1)  # number of blocks in each stage of an EfficientNet-Lite0


# Names --------------------------------------------------------------------------------------------


def _native(name: str) -> str:
    return name


def _resnet_names(shortcut: str, head: str) -> Callable[[str], str]:
    """Return a function from our names of the resnet family to those that torchvision introduced.

    A block's body repeats convolution, batch norm and ReLU, without the last ReLU. Positions 0 and
    1 are torchvision's ``conv1`` and ``bn1``, 3 and 4 ``conv2`` and ``bn2``, 6 and 7 ``conv3`` and
    ``bn3``.
    """

    def foreign(name: str) -> str:
        if stem := re.fullmatch(r"blocks\.stem\.([01])\.(\w+)", name):
            return f"{('conv1', 'bn1')[int(stem[1])]}.{stem[2]}"
        if body := re.fullmatch(r"blocks\.stage(\d+)_(\d+)\.body\.(\d+)\.(\w+)", name):
            number, kind = divmod(int(body[3]), 3)
            return f"layer{body[1]}.{body[2]}.{('conv', 'bn')[kind]}{number + 1}.{body[4]}"
        if side := re.fullmatch(r"blocks\.stage(\d+)_(\d+)\.shortcut\.([01])\.(\w+)", name):
            return f"layer{side[1]}.{side[2]}.{shortcut}.{side[3]}.{side[4]}"
        return re.sub(r"^head\.", f"{head}.", name)

    return foreign


# For each family and scheme of names, the function from our name to the foreign one.
SCHEMES: dict[str, dict[str, Callable[[str], str]]] = {
    "resnet": {
        "torchvision": _resnet_names("downsample", "fc"),
        "robustness CIFAR": _resnet_names("shortcut", "linear"),
    }
}


def _library_schemes(model: ModelRecipe, size: int) -> dict[str, Callable[[str], str]]:
    """Return the naming schemes of a family whose models come from another library.

    These are the library's own names, and those of programs that name the same network otherwise.
    """
    module = family_module(model.family)
    if not hasattr(module, "library"):
        return {}
    original, head = module.library(**model.parameters)
    names = foreign_names(original, head, size)
    schemes = {model.family: names}
    other = {"tf_efficientnet_lite0": _efficientnet_pytorch, "mobilenet_v2": _first_mobilenet_v2}
    if rename := other.get(str(model.parameters.get("name"))):
        schemes[rename.__name__.strip("_")] = {our: rename(n) for our, n in names.items()}
    return {
        name: {our: bare_name(n) for our, n in scheme.items()}.__getitem__
        for name, scheme in schemes.items()
    }


def _efficientnet_pytorch(name: str) -> str:
    """Translate timm's name of an EfficientNet's tensor to EfficientNet-PyTorch's (Melas-Kyriazi).

    There, blocks are numbered across stages. Blocks of the first stage have no expansion, so their
    layers have other names than those of later blocks.
    """
    found = re.fullmatch(r"blocks\.(\d+)\.(\d+)\.(\w+?)\.(\w+)", name)
    if found is None:
        part, _, kind = name.rpartition(".")
        parts = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
        return f"{parts.get(part, '_fc')}.{kind}"
    stage, block, part, kind = int(found[1]), int(found[2]), found[3], found[4]
    first = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    others = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
    others |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
    number = sum(LITE0_BLOCKS[:stage]) + block
    return f"_blocks.{number}.{(others if stage else first)[part]}.{kind}"


def _first_mobilenet_v2(name: str) -> str:
    """Translate torchvision's name of a MobileNetV2's tensor to that of the first PyTorch version.

    There, a block is one sequence. The prefix ``features.`` is missing, because `unwrap` removes it
    from a trunk.
    """
    name = name.removeprefix("features.")
    found = re.fullmatch(r"(\d+)\.conv\.(\d)\.(?:(\d)\.)?(\w+)", name)
    if found is None:
        return name
    # The inner parts are convolution, batch norm and ReLU; a convolution and a batch norm follow.
    inner = 1 if found[1] == "1" else 2
    position, within = int(found[2]), found[3]
    place = 3 * position + int(within) if within else position + 2 * inner
    return f"{found[1]}.conv.{place}.{found[4]}"


def load_foreign(
    tensors: Mapping[str, torch.Tensor],
    model: ModelRecipe,
    classes: int,
    size: int,
    *,
    trunk_only: bool = False,
) -> tuple[Network, str]:
    """Return a network with the weights of ``tensors``, in evaluation mode, and their name scheme.

    Every tensor must have a place in the network, the right shape, and finite floating-point
    values. The normaliser stays that of a new network.

    Args:
        tensors: tensors of the bare network, as `unwrap` returns them.
        model: the architecture that the weights are for.
        classes: number of logits.
        size: pixels a side of the images.
        trunk_only: leave out the file's head, if it has one; the network gets one whose logits
            are 0.

    Raises:
        UserError: The model cannot be built, the names follow no known scheme, or a tensor is
            missing, unexpected, of another shape, not floating-point or not finite.
    """
    network = build_network(model, classes, size)
    state = network.state_dict()
    own = {name: value for name, value in state.items() if not name.startswith("normalize.")}
    schemes = {"native": _native, **SCHEMES.get(model.family, {}), **_library_schemes(model, size)}
    scheme = max(schemes, key=lambda kind: sum(schemes[kind](name) in tensors for name in own))
    expected = {schemes[scheme](name): name for name in own}
    if not any(name in tensors for name in expected):
        _check_one_network([schemes[kind](name) for kind in schemes for name in own], tensors)
        raise UserError(
            f"the names fit none of the schemes known for the family {model.family} "
            f"({', '.join(schemes)}): the file has {first_few(tensors)}, for instance; expected "
            f"{first_few(expected)}. Rename them, or give the right --family."
        )
    if trunk_only:
        torch.nn.init.zeros_(network.head.weight)
        torch.nn.init.zeros_(network.head.bias)
        head = schemes[scheme]("head.weight").removesuffix("weight")
        tensors = {name: value for name, value in tensors.items() if not name.startswith(head)}
        expected = {name: ours for name, ours in expected.items() if not ours.startswith("head.")}
    hint = _hint(tensors, model, size)
    _check_head(scheme, expected, tensors, own, classes)
    _check_names(scheme, expected, tensors, hint)
    for name, ours in expected.items():
        value = tensors.get(name)
        if value is None:  # a batch norm's counter
            continue
        if value.shape != own[ours].shape:
            if not value.numel():
                raise UserError(
                    f"'{name}' holds no values, as where DeepSpeed (ZeRO-3) or FSDP divides a "
                    "network among several files. Gather the weights with the program that wrote "
                    "them (DeepSpeed: zero_to_fp32.py)."
                )
            others = sum(
                tensors[n].shape != own[o].shape for n, o in expected.items() if n in tensors
            )
            raise UserError(
                f"'{name}' has shape {tuple(value.shape)}, expected {tuple(own[ours].shape)}"
                f"{f' (and {others - 1} more of another shape)' if others > 1 else ''}. {hint}"
            )
        if value.is_floating_point() != own[ours].is_floating_point():
            raise UserError(f"'{name}' is {value.dtype}, expected {own[ours].dtype}.")
        converted = value.to(own[ours].dtype)
        if not torch.isfinite(converted).all():
            raise UserError(
                f"'{name}' holds values that are not finite in float32: the training diverged, or "
                "the file was damaged."
            )
        own[ours] = converted
    network.load_state_dict(state | own)
    return network.eval(), scheme


def _check_head(
    scheme: str,
    expected: Mapping[str, str],
    tensors: Mapping[str, torch.Tensor],
    own: Mapping[str, torch.Tensor],
    classes: int,
) -> None:
    """Refuse a head with another number of classes, before reporting anything else about it."""
    name = next((foreign for foreign, ours in expected.items() if ours == "head.weight"), None)
    value = None if name is None else tensors.get(name)
    if value is not None and value.ndim == 2 and len(value) != classes:
        raise UserError(
            f"the network in the file has {len(value)} classes ('{name}', names of the scheme "
            f"{scheme}) and {classes} are named: give as many names, in the network's order, with "
            "--classes or --classes-file."
        )


def _check_one_network(known: Sequence[str], tensors: Mapping[str, torch.Tensor]) -> None:
    """Refuse tensors of several networks, such as student and teacher, by how names begin."""
    firsts = dict.fromkeys(name.partition(".")[0] for name in tensors)
    fitting = [first for first in firsts if any(f"{first}.{name}" in tensors for name in known)]
    if fitting:
        raise UserError(
            f"the network is not alone in the file: names begin with {first_few(firsts)}. Choose "
            f"its part with {CHOOSE}, as in --entry {fitting[0]}"
            + (f"; {', '.join(fitting)} would fit." if len(fitting) > 1 else ".")
        )


def _check_names(
    scheme: str, expected: Mapping[str, str], tensors: Mapping[str, torch.Tensor], hint: str
) -> None:
    missing = [name for name in expected if name not in tensors and last_part(name) != COUNTER]
    unexpected = [name for name in tensors if name not in expected]
    head = [name for name, ours in expected.items() if ours.startswith("head.")]
    if head and missing == head and all(_is_of_head(name, head) for name in unexpected):
        raise UserError(
            f"no head: by the names of the scheme {scheme}, the network's last layer is missing: "
            f"{', '.join(head)}"
            + (f" (there is {first_few(unexpected)} in its place)" if unexpected else "")
            + ". To transfer the network, import its trunk alone with --no-head (`head: false` in "
            "the configuration) instead of the classes; it cannot be evaluated or compared. "
            "Otherwise get a file with the head."
        )
    if missing or unexpected:
        parts = [
            f"{len(names)} {kind}: {first_few(names)}"
            for kind, names in (("missing", missing), ("unexpected", unexpected))
            if names
        ]
        raise UserError(
            f"by the names of the scheme {scheme}, tensors are {'; '.join(parts)}. {hint}"
        )


def _is_of_head(name: str, head: Sequence[str]) -> bool:
    """Return whether a tensor stands where the head does, as the layers of a projection."""
    return any(name.startswith(other.rpartition(".")[0] + ".") for other in head)


def _hint(tensors: Mapping[str, torch.Tensor], model: ModelRecipe, size: int) -> str:
    """Return the likely cause of names or shapes that do not fit."""
    given = f"The file is probably of another architecture than {model.family} {model.parameters}"
    found = _resnet_parameters(tensors)
    if model.family == "resnet" and found and found != model.parameters:
        return f"{given}: it looks like --parameters '{json.dumps(found)}'."
    return f"{given} for {size}x{size} images: check --family, --parameters and --size."


def _resnet_parameters(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any] | None:
    """Return the parameters of the resnet family that names and shapes imply; None: other names.

    Shapes do not show the stride of a 3x3 stem.
    """
    stem, first = tensors.get("conv1.weight"), tensors.get("layer1.0.conv1.weight")
    if stem is None or first is None or stem.ndim != 4 or first.ndim != 4:
        return None
    found: dict[str, Any] = {"width": len(stem), "blocks": []}
    while any(name.startswith(f"layer{len(found['blocks']) + 1}.0.") for name in tensors):
        stage = f"layer{len(found['blocks']) + 1}"
        blocks = {name.split(".")[1] for name in tensors if name.startswith(f"{stage}.")}
        found["blocks"].append(len(blocks))
    if "layer1.0.conv3.weight" in tensors:
        found["bottleneck"] = True
        if len(first) // max(1, len(stem)) > 1:
            found["inner_factor"] = len(first) // len(stem)
    if stem.shape[-1] == 7:
        found["stem"] = "imagenet"
    return found


# Import -------------------------------------------------------------------------------------------


def import_checkpoint(
    path: str | Path,
    output: str | Path,
    model: ModelRecipe,
    classes: Sequence[str],
    size: int,
    *,
    normaliser: tuple[Sequence[float], Sequence[float]] | None = None,
    sha256: str | None = None,
    entry: str | None = None,
    trunk_only: bool = False,
    origin: str | None = None,
) -> str:
    """Write a foreign checkpoint as one of this project, together with its origin.

    Args:
        path: the foreign file.
        output: the checkpoint to write.
        model, size: the architecture, and pixels a side of its images.
        classes: class names in the order of the logits; `NO_HEAD` alone for a trunk.
        normaliser: mean and std that the network's images were normalised with, one value or three
            each; None: the file has its own.
        sha256: expected sha256 of the file; None: any.
        entry: the set of weights to take, if the file holds several.
        trunk_only: leave out the file's head, if it has one; the network gets one of zeros, and
            one class.
        origin: where the file was published; stored with the weights.

    Returns:
        The scheme of names that was recognised.

    Raises:
        UserError: `checkpoint_sha256`, `read_weights`, `unwrap` or `load_foreign` refuses the file,
            its sha256 is another one, `checked_class_names` refuses the classes, or there is not
            exactly one valid normaliser.
    """
    path = Path(path)
    classes = checked_class_names(classes, "--classes")
    if size < 1:
        raise UserError(f"images of {size} pixels a side: expected at least 1.")
    if Path(output).exists() and path.exists() and path.samefile(output):
        raise UserError(f"{output}: this would replace the original; give another --output.")
    found = _verified_sha256(path, sha256)
    tensors = read_weights(path, entry)
    try:
        bare, own = unwrap(tensors)
        mean, std = _normaliser(own, normaliser)
        network, scheme = load_foreign(bare, model, len(classes), size, trunk_only=trunk_only)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    network.normalize.mean.copy_(mean.view(1, -1, 1, 1))
    network.normalize.std.copy_(std.view(1, -1, 1, 1))
    with torch.no_grad():
        if not torch.isfinite(network(torch.full((1, 3, size, size), 0.5))).all():
            raise UserError(f"{path}: a grey image gives logits that are not finite.")
    save_checkpoint(
        output,
        network,
        model,
        classes,
        size,
        imported={
            "file": path.name,
            "sha256": found,
            "names": scheme,
            "normaliser": "given" if own is None else "of the file",
            **({} if entry is None else {"entry": entry}),
            **({} if origin is None else {"origin": origin}),
        },
    )
    return scheme


def _verified_sha256(path: Path, expected: str | None) -> str:
    """Return the file's sha256, in hexadecimal digits.

    Raises:
        UserError: It is not the ``expected`` one (None: any), or the file cannot be read.
    """
    found = checkpoint_sha256(path)
    if expected is not None and found != expected.strip().lower():
        raise UserError(
            f"{path}: this is another file than the one asked for: sha256 expected {expected}, "
            f"found {found}."
        )
    return found


def _normaliser(
    own: Normaliser | None, given: tuple[Sequence[float], Sequence[float]] | None
) -> Normaliser:
    """Return the file's normaliser or the given one; exactly one of them must exist."""
    if own is None and given is None:
        raise UserError(
            "the file has no normaliser, so the network was probably trained on images that were "
            "normalised outside of it: give --mean and --std of that training. Usual values for "
            "CIFAR-10 are --mean 0.4914 0.4822 0.4465 --std 0.2023 0.1994 0.2010 (or --std 0.2470 "
            "0.2435 0.2616), for ImageNet --mean 0.485 0.456 0.406 --std 0.229 0.224 0.225, and "
            "for a network that takes pixels in [0, 1] without normalisation --mean 0 --std 1."
        )
    if own is not None and given is not None:
        raise UserError(
            f"the file has a normaliser of its own (mean {_values(own[0])}, std {_values(own[1])}):"
            " leave out --mean and --std."
        )
    if own is None:
        assert given is not None
        if any(len(values) not in (1, 3) for values in given):
            raise UserError("--mean and --std take one value or three (red, green, blue) each.")
        own = torch.tensor(given[0]).float(), torch.tensor(given[1]).float()
    mean, std = own
    if given is None and _is_of_bytes(mean, std):  # the same function of pixels in [0, 1]
        mean, std = mean / 255, std / 255
    usable = torch.isfinite(mean).all() and torch.isfinite(std).all() and (std > 0).all()
    if not usable:
        raise UserError(
            f"a normaliser with mean {_values(mean)} and std {_values(std)} is of no use: both "
            "must be finite, and std above 0."
        )
    if _is_of_bytes(mean, std):
        raise UserError(
            f"a normaliser with mean {_values(mean)} and std {_values(std)} is for pixels in 0 to "
            "255: divide both by 255, pixels are in [0, 1] here."
        )
    return mean, std


def _is_of_bytes(mean: torch.Tensor, std: torch.Tensor) -> bool:
    """Return whether a normaliser is for pixels in 0 to 255."""
    return float(mean.abs().max()) > 2 or float(std.max()) > 2


def _values(values: torch.Tensor) -> str:
    return " ".join(f"{value:.4g}" for value in values.tolist())
