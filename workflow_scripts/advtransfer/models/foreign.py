"""Import of other programs' checkpoints: read the weights, rename, check and save them.

Nothing is unpickled: a file is refused if its weights cannot be read without executing its content.

Tensors may be named as in torchvision's ResNets (``conv1``, ``layer1.0.downsample.0``, ``fc``), as
in the robustness library's CIFAR ResNets (``layer1.0.shortcut.0``, ``linear``), or as in the family
itself ("native", every family). The robustness library (Engstrom et al. 2019) saves a DataParallel
AttackerModel. It has the network as ``module.model.*`` and again as ``module.attacker.model.*``,
and the normaliser as ``module.normalizer.new_mean`` and ``new_std`` and again in
``module.attacker.normalize``.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..artifacts.files import file_error
from ..artifacts.tensors import ATTRIBUTES_KEY
from ..errors import UserError
from .library import foreign_names
from .network import Network
from .recipe import ModelRecipe
from .zoo import build_network, family_module, save_checkpoint

Tensors = dict[str, torch.Tensor]
Normaliser = tuple[torch.Tensor, torch.Tensor]  # mean and std, each (1,) or (3,)

MEAN_NAMES = {"new_mean": "new_std", "mean": "std"}  # last parts of a normaliser's names
COUNTER = "num_batches_tracked"  # batch norm's counter, which is no weight; old files lack it
NAMED_AT_MOST = 3  # greatest number of tensors that a message names
NAME_CHARACTERS = 300  # greatest length of a tensor's name
LITE0_BLOCKS = (1, 2, 2, 3, 3, 4, 1)  # number of blocks in each stage of an EfficientNet-Lite0


# Reading ------------------------------------------------------------------------------------------


def file_sha256(path: Path) -> str:
    """Return the sha256 of the file's content, in hexadecimal digits.

    Raises:
        UserError: The path is no file, or the file is empty or cannot be read.
    """
    if not path.is_file():
        what = "this is a folder" if path.is_dir() else "no such file"
        raise UserError(f"{path}: {what}; --checkpoint takes the file with the weights.")
    if not path.stat().st_size:
        raise UserError(f"{path}: this file is empty. Copy it anew from where it came.")
    try:
        with open(path, "rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise file_error(path, error, "read") from None


def read_weights(path: Path, entry: str | None = None) -> Tensors:
    """Return every tensor of a foreign file by its name, without executing anything in the file.

    Args:
        path: a ``.safetensors`` file, or a file of ``torch.save`` with any other ending.
        entry: the set of weights to take, if the file holds several.

    Raises:
        UserError: The file is damaged, holds objects that would have to be executed, has no set of
            weights or several, or has values that are no plain tensors.
    """
    if path.suffix == ".safetensors":
        content = _load_safetensors(path)
    else:
        _check_archive(path)
        content = _load_without_executing(path)
    return _plain_tensors(path, _state_dict(path, content, entry))


def _load_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            if ATTRIBUTES_KEY in (file.metadata() or {}):
                raise UserError(
                    f"{path}: this is a checkpoint of this project already; use it as it is."
                )
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise file_error(path, error, "read") from None
    except SafetensorError as error:
        raise UserError(
            f"{path}: this safetensors file is truncated or damaged, or no safetensors file, "
            f"{path.stat().st_size} bytes ({error}). Copy it anew from where it came."
        ) from None


def _check_archive(path: Path) -> None:
    """Refuse programs, compressed archives, and damage, since torch verifies no checksum."""
    try:
        with open(path, "rb") as handle:
            if handle.read(4) != b"PK\x03\x04":
                return
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
            if any(record.filename.endswith("/constants.pkl") for record in records):
                raise UserError(
                    f"{path}: this is a TorchScript archive, a program and not weights alone. "
                    + _way_out("torch.jit.load(...).state_dict()")
                )
            if any(record.compress_type != zipfile.ZIP_STORED for record in records):
                raise UserError(
                    f"{path}: the records of this archive are compressed, which torch.save never "
                    "does. Save the weights with torch.save or safetensors."
                )
            wrong = archive.testzip()
    except OSError as error:
        raise file_error(path, error, "read") from None
    except (zipfile.BadZipFile, EOFError, ValueError, RuntimeError) as error:
        raise _damaged(path, error) from None
    if wrong is not None:
        raise _damaged(path, f"'{wrong}' does not have its checksum")


def _damaged(path: Path, reason: object) -> UserError:
    lines = str(reason).strip().splitlines()
    return UserError(
        f"{path}: this file is truncated, damaged, or not written by torch.save, "
        f"{path.stat().st_size} bytes{f' ({lines[0][:160]})' if lines else ''}. Copy it anew from "
        "where it came and compare its sha256."
    )


def _load_without_executing(path: Path) -> Any:
    """Return the content as torch's reader of plain weights gives it, or explain its failure."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error repeats the warning on the protocol
            return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise file_error(path, error, "read") from None
    except MemoryError:
        raise UserError(f"{path}: not enough memory to read this file.") from None
    except (
        Exception
    ) as error:  # a hostile or truncated file can raise anything: KeyError, EOFError, ...
        text = str(error)
        if ".tar format" in text:
            raise UserError(
                f"{path}: PyTorch's oldest format (a tar archive) cannot be read "
                "without executing it. " + _way_out("model.state_dict()")
            ) from None
        named = re.search(r"GLOBAL ([\w.]+)", text)
        if named or (isinstance(error, pickle.UnpicklingError) and _is_pickle(path)):
            raise UserError(
                f"{path}: this file holds objects{f' ({named[1]})' if named else ''} that would "
                "have to be executed to be read. This command never does that, whoever made the "
                "file. " + _way_out("model.state_dict()")
            ) from None
        # Torch's own message on unpickling advises the user to execute the file.
        raise _damaged(path, error if isinstance(error, (OSError, RuntimeError)) else "") from None


def _way_out(weights: str) -> str:
    return (
        "Way out: in the program that wrote the file, on a machine that trusts it, save the "
        f"weights alone with `torch.save({weights}, 'weights.pt')` (of the robustness library's "
        "checkpoints: `torch.save(checkpoint['model'], 'weights.pt')`) and import weights.pt."
    )


def _is_pickle(path: Path) -> bool:
    """Return whether the first two bytes are those of a torch archive or a pickle, protocol 2-5."""
    with open(path, "rb") as handle:
        start = handle.read(2)
    return start == b"PK" or (start[:1] == b"\x80" and start[1:] in b"\x02\x03\x04\x05")


def _state_dict(path: Path, content: Any, entry: str | None) -> Mapping[Any, Any]:
    """Return the mapping of names to tensors: ``content`` itself, or one of its entries."""
    if not isinstance(content, Mapping):
        raise UserError(
            f"{path}: this file holds a {type(content).__name__}, not weights by name. "
            + _way_out("model.state_dict()")
        )
    sets = {
        str(key): value
        for key, value in content.items()
        if isinstance(value, Mapping) and any(isinstance(v, torch.Tensor) for v in value.values())
    }
    if entry is not None:
        if entry not in sets:
            raise UserError(
                f"{path}: no set of weights under the entry '{entry}'; there are "
                f"{_listed(sets) or 'none'} (all entries: {_listed(content)})."
            )
        return sets[entry]
    if any(isinstance(value, torch.Tensor) for value in content.values()):
        return content
    if len(sets) == 1:
        return next(iter(sets.values()))
    if sets:
        raise UserError(
            f"{path}: this file holds several sets of weights, {_listed(sets)}: choose one with "
            "--entry."
        )
    raise UserError(
        f"{path}: this file holds no weights: none of its entries ({_listed(content) or 'none'}) "
        "is a tensor or a mapping of names to tensors."
    )


def _plain_tensors(path: Path, state: Mapping[Any, Any]) -> Tensors:
    """Check that all values are dense tensors in memory, as large as their shapes say."""
    for name, value in state.items():
        if isinstance(name, str) and (not name.isprintable() or len(name) > NAME_CHARACTERS):
            raise UserError(f"{path}: a tensor is named {name[:80]!r}, which no program does.")
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise UserError(
                f"{path}: beside tensors there is {name!r}, a {type(value).__name__}. Only weights "
                "by name are imported: " + _way_out("model.state_dict()")
            )
        plain = (
            value.layout == torch.strided
            and value.device.type == "cpu"
            and not value.is_quantized
            and not value.is_nested
        )
        if not plain or value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise UserError(
                f"{path}: '{name}' is not a plain dense tensor (sparse, quantised, on no device, "
                "or fewer values than its shape needs). Save the weights as plain tensors."
            )
    return {name: value.detach() for name, value in state.items()}


# Wrappers around the network ----------------------------------------------------------------------


def unwrap(tensors: Mapping[str, torch.Tensor]) -> tuple[Tensors, Normaliser | None]:
    """Return the tensors of the bare network, and its normaliser if it has one.

    This removes torch.compile's ``_orig_mod``, the robustness library's second copy (``attacker``),
    the normaliser, and every prefix that all names share (DataParallel's ``module``, Lightning's
    ``model``, ...).

    Raises:
        UserError: Two copies or two normalisers differ, or two names become the same.
    """
    found: Tensors = {}
    for name, value in tensors.items():
        bare = ".".join(part for part in name.split(".") if part != "_orig_mod")
        if bare in found:
            raise UserError(f"the names '{bare}' and '{name}' belong to the same tensor.")
        found[bare] = value
    found = _one_copy(_without_shared_prefix(found))
    means = [name for name in found if _last(name) in MEAN_NAMES]
    normalisers = []
    for name in means:
        other = name.removesuffix(_last(name)) + MEAN_NAMES[_last(name)]
        if other in found:
            normalisers.append((name, _channels(name, found), _channels(other, found)))
            del found[name], found[other]
    for name, mean, std in normalisers[1:]:
        first, *values = normalisers[0]
        if not all(torch.equal(a, b) for a, b in zip(values, (mean, std), strict=True)):
            raise UserError(f"the normalisers '{first}' and '{name}' differ: which one is meant?")
    return _without_shared_prefix(found), normalisers[0][1:] if normalisers else None


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _without_shared_prefix(tensors: Tensors) -> Tensors:
    while tensors and len({name.partition(".")[0] for name in tensors}) == 1:
        if not all(name.partition(".")[2] for name in tensors):
            break
        tensors = {name.partition(".")[2]: value for name, value in tensors.items()}
    return tensors


def _one_copy(tensors: Tensors) -> Tensors:
    """Remove ``attacker``'s copies of network and normaliser, which must equal the originals."""
    found = {name: value for name, value in tensors.items() if not name.startswith("attacker.")}
    for name, value in tensors.items():
        if name not in found:
            twin = re.sub(r"^normalize\.", "normalizer.", name.removeprefix("attacker."))
            there = found.setdefault(twin, value)
            same = there.shape == value.shape and there.dtype == value.dtype
            if not same or not torch.equal(there.nan_to_num(), value.nan_to_num()):
                raise UserError(
                    f"the file holds the network twice, and '{twin}' differs from '{name}': it was "
                    "damaged or put together from two networks."
                )
    return found


def _channels(name: str, tensors: Tensors) -> torch.Tensor:
    """Return a normaliser's mean or std, of any shape, as float32 (1,) or (3,)."""
    value = tensors[name].reshape(-1).float()
    if len(value) not in (1, 3):
        raise UserError(
            f"the normaliser's '{name}' has shape {tuple(tensors[name].shape)}; expected one value "
            "or three."
        )
    return value


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
    return {name: scheme.__getitem__ for name, scheme in schemes.items()}


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
        trunk_only: the tensors have no head; the network gets one whose logits are 0.

    Raises:
        UserError: The model cannot be built, the names follow no known scheme, or a tensor is
            missing, unexpected, of another shape, not floating-point or not finite.
    """
    network = build_network(model, classes, size)
    state = network.state_dict()
    own = {name: value for name, value in state.items() if not name.startswith("normalize.")}
    if trunk_only:
        torch.nn.init.zeros_(network.head.weight)
        torch.nn.init.zeros_(network.head.bias)
        own = {name: value for name, value in own.items() if not name.startswith("head.")}
    schemes = {"native": _native, **SCHEMES.get(model.family, {}), **_library_schemes(model, size)}
    scheme = max(schemes, key=lambda kind: sum(schemes[kind](name) in tensors for name in own))
    expected = {schemes[scheme](name): name for name in own}
    if not any(name in tensors for name in expected):
        raise UserError(
            f"the names fit none of the schemes known for the family {model.family} "
            f"({', '.join(schemes)}): the file has {_first(tensors)}, for instance; expected "
            f"{_first(expected)}. Rename them, or give the right --family."
        )
    hint = _hint(tensors, model, size)
    _check_head(scheme, expected, tensors, own, classes)
    _check_names(scheme, expected, tensors, hint)
    for name, ours in expected.items():
        value = tensors.get(name)
        if value is None:  # a batch norm's counter
            continue
        if value.shape != own[ours].shape:
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


def _check_names(
    scheme: str, expected: Mapping[str, str], tensors: Mapping[str, torch.Tensor], hint: str
) -> None:
    missing = [name for name in expected if name not in tensors and _last(name) != COUNTER]
    unexpected = [name for name in tensors if name not in expected]
    if missing or unexpected:
        parts = [
            f"{len(names)} {kind}: {_first(names)}"
            for kind, names in (("missing", missing), ("unexpected", unexpected))
            if names
        ]
        raise UserError(
            f"by the names of the scheme {scheme}, tensors are {'; '.join(parts)}. {hint}"
        )


def _first(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _listed(entries: Iterable[Any]) -> str:
    texts = [str(entry)[:80] for entry in entries]
    return _first(text if text.isprintable() else repr(text) for text in texts)


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
        classes: class names in the order of the logits.
        normaliser: mean and std that the network's images were normalised with, one value or three
            each; None: the file has its own.
        sha256: expected sha256 of the file; None: any.
        entry: the set of weights to take, if the file holds several.
        trunk_only: the file has no head; the network gets one of zeros.
        origin: where the file was published; stored with the weights.

    Returns:
        The scheme of names that was recognised.

    Raises:
        UserError: `file_sha256`, `read_weights`, `unwrap` or `load_foreign` refuses the file, its
            sha256 is another one, class names are empty or repeated, or there is not exactly one
            valid normaliser.
    """
    path = Path(path)
    _check_names_of_classes(classes)
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
        tuple(classes),
        size,
        imported={
            "file": path.name,
            "sha256": found,
            "names": scheme,
            "normaliser": "given" if own is None else "of the file",
            **({} if origin is None else {"origin": origin}),
        },
    )
    return scheme


def _check_names_of_classes(classes: Sequence[str]) -> None:
    """Refuse classes without a name of their own.

    Raises:
        UserError: There is no class, a class has no name, or two classes share one.
    """
    repeated = sorted({name for name in classes if list(classes).count(name) > 1})
    if not classes or repeated or not all(classes):
        raise UserError(
            "every class needs a name of its own"
            + (f"; given twice: {_first(repeated)}." if repeated else "; one is empty or missing.")
        )


def _verified_sha256(path: Path, expected: str | None) -> str:
    """Return the file's sha256, in hexadecimal digits.

    Raises:
        UserError: It is not the ``expected`` one (None: any), or the file cannot be read.
    """
    found = file_sha256(path)
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
    usable = torch.isfinite(mean).all() and torch.isfinite(std).all() and (std > 0).all()
    if not usable:
        raise UserError(
            f"a normaliser with mean {_values(mean)} and std {_values(std)} is of no use: both "
            "must be finite, and std above 0."
        )
    if float(mean.abs().max()) > 2 or float(std.max()) > 2:
        raise UserError(
            f"a normaliser with mean {_values(mean)} and std {_values(std)} is for pixels in 0 to "
            "255: divide both by 255, pixels are in [0, 1] here."
        )
    return own


def _values(values: torch.Tensor) -> str:
    return " ".join(f"{value:.4g}" for value in values.tolist())
