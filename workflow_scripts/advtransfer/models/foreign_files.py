"""Reading of other programs' checkpoints: what a file is, and which of its tensors are the weights.

A file is told by its first bytes, whatever its name ends in. Nothing is unpickled: a file is
refused if its weights cannot be read without executing its content.
"""

from __future__ import annotations

import json
import pickle
import re
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from ..artifacts.files import file_error, file_sha256
from ..artifacts.tensors import ATTRIBUTES_KEY
from ..errors import UserError
from ..wording import first_of, short
from .foreign_wrappers import WRAPPERS

Tensors = dict[str, torch.Tensor]

FEW = 3  # tensors that a message names: their names are long
NAME_CHARACTERS = 300  # greatest length of a tensor's name
LEVELS = 3  # of mappings in mappings, in which weights are looked for
WHOLE = "."  # the entry that stands for the file's content itself
CHOOSE = "--entry (`entry` in the configuration)"
ZIP = b"PK\x03\x04"
LONGEST_HEADER = 100_000_000  # bytes; the limit of the library safetensors itself
SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.\w+$")
# Files that are no weights by name: first bytes, what they are, and what to do.
OTHER_FILES = [
    (b"version https://git-lfs", "a pointer of Git LFS, not the file", "Run `git lfs pull` there."),
    (b"\x1f\x8b", "compressed with gzip", "Unpack it."),
    (b"BZh", "compressed with bzip2", "Unpack it."),
    (b"\xfd7zXZ\0", "compressed with xz", "Unpack it."),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "Unpack it."),
    (b"7z\xbc\xaf", "a 7-Zip archive", "Unpack it, and import the file with the weights."),
    (b"Rar!", "a RAR archive", "Unpack it, and import the file with the weights."),
    (b"\x89HDF", "an HDF5 file, as Keras writes", "Save a PyTorch state dict with torch.save."),
    (
        b"\x93NUMPY",
        "one numpy array",
        "Save all arrays by name with `numpy.savez('weights.npz', **arrays)`.",
    ),
    (b"GGUF", "a GGUF file of quantised weights", "Save a PyTorch state dict with torch.save."),
]


def checkpoint_sha256(path: Path) -> str:
    """Return the sha256 of the file's content, in hexadecimal digits.

    Raises:
        UserError: The path is no file, or the file is empty or cannot be read.
    """
    if not path.is_file():
        what = "this is a folder" if path.is_dir() else "no such file"
        raise UserError(f"{path}: {what}; --checkpoint takes the file with the weights.")
    if not path.stat().st_size:
        raise UserError(f"{path}: this file is empty. Copy it anew from where it came.")
    return file_sha256(path)


def read_weights(path: Path, entry: str | None = None) -> Tensors:
    """Return every tensor of a foreign file by its name, without executing anything in the file.

    Values that are no tensors are left out: a network's state dict has none.

    Args:
        path: a file of safetensors, of ``torch.save`` or of ``numpy.savez``, with any ending.
        entry: the set of weights to take, or the first part of their names, if the file holds
            several.

    Raises:
        UserError: The file is of another kind or damaged, holds objects that would have to be
            executed, has no set of weights or several, or has values that are no plain tensors.
    """
    return _plain_tensors(path, _state_dict(path, _content(path), entry))


# What the file is ---------------------------------------------------------------------------------


def _content(path: Path) -> Any:
    """Return what the file holds, read as what it is by its first bytes."""
    if (shard := SHARD.search(path.name)) and int(shard[2]) > 1:
        raise _shards(path, f"part {int(shard[1])} of {int(shard[2])} of a set of weights")
    try:
        with open(path, "rb") as handle:
            start = handle.read(512)
    except OSError as error:
        raise file_error(path, error, "read") from None
    if start.startswith(ZIP):
        return _load_archive(path)
    length = int.from_bytes(start[:8], "little")
    if start[8:9] == b"{" and length <= LONGEST_HEADER:
        return _load_safetensors(path)
    _refuse_others(path, start)
    if path.suffix == ".safetensors" and not _is_pickle(path):
        return _load_safetensors(path)  # which says what is wrong with it
    return _load_without_executing(path)


def _refuse_others(path: Path, start: bytes) -> None:
    """Refuse files that hold no weights by name, and say what they are."""
    for magic, what, way_out in OTHER_FILES:
        if start.startswith(magic):
            raise UserError(f"{path}: this file is {what}. {way_out}")
    if start[257:262] == b"ustar":
        raise UserError(
            f"{path}: this is a tar archive{_members_of_tar(path)}. If it holds files, unpack "
            "it and import the file with the weights. PyTorch's oldest format, a tar archive as "
            f"well, cannot be read without executing it. {_way_out('model.state_dict()')}"
        )
    text = start.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html")):
        raise _damaged(path, "it is a web page, which some servers send instead of a file")
    if text.startswith(b"{") and _is_index(path):
        raise _shards(path, "the index of weights that stand in several files")


def _members_of_tar(path: Path) -> str:
    try:
        with tarfile.open(path) as archive:
            return f" of {_listed(member.name for member in archive)}"
    except (tarfile.TarError, OSError, EOFError):
        return ""


def _is_index(path: Path) -> bool:
    try:
        return "weight_map" in json.loads(path.read_bytes())
    except (ValueError, TypeError, RecursionError, OSError):
        return False


def _shards(path: Path, what: str) -> UserError:
    return UserError(
        f"{path}: this is {what}. Only a single file can be imported: join the parts with "
        "safetensors.torch, `save_file({name: value for part in parts for name, value in "
        "load_file(part).items()}, 'weights.safetensors')` (torch.load for parts of torch.save)."
    )


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


def _load_archive(path: Path) -> Any:
    """Return the content of a zip archive; torch itself verifies none of its checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
            names = [record.filename for record in records]
            _refuse_programs(path, names)
            of_numpy = bool(names) and all(name.endswith(".npy") for name in names)
            if not of_numpy and not any(name.endswith("data.pkl") for name in names):
                raise _damaged(
                    path,
                    f"it is a zip archive of {_listed(names) or 'nothing'}; if the weights are "
                    "among them, unpack it and import that file",
                )
            stored = all(record.compress_type == zipfile.ZIP_STORED for record in records)
            if not of_numpy and not stored:
                raise UserError(
                    f"{path}: the records of this archive are compressed, which torch.save never "
                    "does. Save the weights with torch.save or safetensors."
                )
            wrong = archive.testzip()
    except OSError as error:
        raise file_error(path, error, "read") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        raise _damaged(path, error) from None
    if wrong is not None:
        raise _damaged(path, f"'{wrong}' does not have its checksum")
    return _load_arrays(path) if of_numpy else _load_without_executing(path)


def _refuse_programs(path: Path, names: list[str]) -> None:
    """Refuse archives that are told by the names of their records to be more than weights."""
    ends = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in ends:
        what, weights = "TorchScript", "torch.jit.load(...).state_dict()"
    elif ends & {"archive_format", "serialized_exported_program.json"}:
        what, weights = "torch.export", "torch.export.load(...).state_dict"
    else:
        return
    raise UserError(
        f"{path}: this is a {what} archive, a program and not weights alone. {_way_out(weights)}"
    )


def _load_arrays(path: Path) -> Any:
    """Return the arrays of numpy.savez as tensors; text and dates are left out."""
    import numpy as np

    found = {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                array = archive[name]
                if array.dtype.kind in "fiub":
                    native = array.astype(array.dtype.newbyteorder("="), order="C")
                    found[name] = torch.from_numpy(native)
                elif array.dtype.kind == "V":
                    raise UserError(
                        f"{path}: '{name}' has a type that numpy does not know ({array.dtype}), "
                        "as of bfloat16. Save the arrays as float32."
                    )
    except (ValueError, TypeError, EOFError, OSError) as error:
        if "pickle" in str(error):
            raise UserError(
                f"{path}: this numpy archive holds objects that would have to be executed to be "
                "read. This command never does that, whoever made the file. Save arrays alone: "
                "`numpy.savez('weights.npz', **arrays)`."
            ) from None
        raise _damaged(path, error) from None
    return found


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
        # A file that torch opens itself is read as what its ending says.
        with warnings.catch_warnings(), open(path, "rb") as file:
            warnings.simplefilter("ignore")  # the error repeats the warning on the protocol
            return torch.load(file, map_location="cpu", weights_only=True)
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


# Which tensors are the weights --------------------------------------------------------------------


def _state_dict(path: Path, content: Any, entry: str | None) -> Mapping[Any, Any]:
    """Return the mapping of names to tensors: ``content`` itself, or a mapping in it."""
    if not isinstance(content, Mapping):
        raise UserError(
            f"{path}: this file holds a {type(content).__name__}, not weights by name. "
            + _way_out("model.state_dict()")
        )
    sets = _sets(content)
    if entry is not None:
        return _chosen(path, content, sets, entry)
    if len(sets) == 1:
        return next(iter(sets.values()))
    if sets:
        raise UserError(
            f"{path}: this file holds several sets of weights, {_listed(sets)}: choose one with "
            f"{CHOOSE}, as in --entry {next(iter(sets))}"
            f"{'; . is the file itself' if WHOLE in sets else ''}."
        )
    raise UserError(
        f"{path}: this file holds no weights: none of its entries ({_listed(content) or 'none'}) "
        "is a tensor or a mapping of names to tensors."
    )


def _sets(content: Mapping[Any, Any]) -> dict[str, Mapping[Any, Any]]:
    """Return what may be the weights in a file's content, by its entry, such as "state.model".

    These are the outermost mappings that hold a matrix or a kernel; if there is none, those that
    hold a vector. Mappings of an optimiser do not count. Numbers beside the mappings do not make
    the content itself one: a training saves its best accuracy as a tensor, too.
    """
    for dimensions in (2, 1):
        level: dict[str, Mapping[Any, Any]] = {WHOLE: content}
        named = any("." in str(name) for name in _weights(content, dimensions))
        for _ in range(LEVELS):
            level = dict(_inner(level))
            found = {key: part for key, part in level.items() if _holds(part, dimensions)}
            if named:
                found = {WHOLE: content, **found}
            if found:
                return found
        if _holds(content, dimensions):
            return {WHOLE: content}
    return {}


def _inner(level: Mapping[str, Mapping[Any, Any]]) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Yield the mappings in each of the mappings, with their entry."""
    for above, part in level.items():
        for key, value in part.items():
            if isinstance(key, str) and isinstance(value, Mapping) and not key.startswith("optim"):
                yield (key if above == WHOLE else f"{above}.{key}"), value


def _weights(part: Mapping[Any, Any], dimensions: int) -> list[Any]:
    return [
        name
        for name, value in part.items()
        if isinstance(value, torch.Tensor)
        and value.is_floating_point()
        and value.ndim >= dimensions
    ]


def _holds(part: Mapping[Any, Any], dimensions: int) -> bool:
    return bool(_weights(part, dimensions))


def _chosen(
    path: Path, content: Mapping[Any, Any], sets: Mapping[str, Mapping[Any, Any]], entry: str
) -> Mapping[Any, Any]:
    """Return the set of weights at an entry, or those whose names begin with it."""
    level: dict[str, Mapping[Any, Any]] = {WHOLE: content}
    for _ in range(LEVELS + 1):
        if entry in level and _holds(level[entry], 1):
            return level[entry]
        level = dict(_inner(level))
    wrappers = "|".join(map(re.escape, WRAPPERS))
    for name, part in sets.items():
        prefix = re.escape(entry.removeprefix(f"{name}."))
        below = re.compile(rf"(?:(?:{wrappers})\.)*{prefix}\.(?P<rest>.+)", re.DOTALL)
        found = {
            inner["rest"]: value
            for key, value in part.items()
            if isinstance(key, str) and (inner := below.fullmatch(key))
        }
        if found:
            return found
    raise UserError(
        f"{path}: no set of weights under the entry '{entry}'; there are "
        f"{_listed(sets) or 'none'} (all entries: {_listed(content)})."
    )


def _plain_tensors(path: Path, state: Mapping[Any, Any]) -> Tensors:
    """Return all tensors, which must be dense, in memory and as large as their shapes say."""
    found: Tensors = {}
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            continue
        if not isinstance(name, str) or not name.isprintable() or len(name) > NAME_CHARACTERS:
            raise UserError(f"{path}: no program names a tensor {short(str(name))!r}.")
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
        found[name] = value.detach()
    return found


def first_few(names: Iterable[str]) -> str:
    """Return the first few names of tensors, and the number of the others."""
    return first_of(names, FEW)


def _listed(entries: Iterable[Any]) -> str:
    texts = [short(str(entry)) for entry in entries]
    return first_few(text if text.isprintable() else repr(text) for text in texts)
