"""Wrappers around a foreign network: what other programs put around and beside its tensors.

The robustness library (Engstrom et al. 2019) saves a DataParallel AttackerModel. It has the network
as ``module.model.*`` and again as ``module.attacker.model.*``, and the normaliser as
``module.normalizer.new_mean`` and ``new_std`` and again in ``module.attacker.normalize``.
RobustBench's networks have the normaliser as buffers of their own, ``mu`` and ``sigma``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from ..errors import UserError

Tensors = dict[str, torch.Tensor]
Normaliser = tuple[torch.Tensor, torch.Tensor]  # mean and std, each (1,) or (3,)

# Parts of names that belong to a wrapper, wherever in a name they stand.
WRAPPERS = (
    "module",  # DataParallel, DistributedDataParallel, AveragedModel
    "_orig_mod",  # torch.compile
    "_fsdp_wrapped_module",
    "_fpw_module",  # the first FSDP, of fairscale
    "_checkpoint_wrapped_module",
)
FLAT = ("_flat_param", "flat_param")  # FSDP's: one vector for many tensors
LOSSES = ("criterion", "loss", "loss_fn", "loss_func", "loss_function")
# Last parts of the names of numbers that are no weights: of thop, of averaging, of a training.
NUMBERS = re.compile(
    r"total_ops|total_params|n_averaged|num_updates|initted|step|epoch|iteration|"
    r"best_\w+|\w*_?(acc|prec)\d*"
)
# The last part of a mean's name, such as new_mean, mu or pixel_mean; the deviation is named alike.
MEAN = re.compile(r"(\w*_)?(?:mean|means|mu)(_\w*)?")
DEVIATIONS = ("std", "stds", "sd", "sds", "sigma", "stdev")


def unwrap(tensors: Mapping[str, torch.Tensor]) -> tuple[Tensors, Normaliser | None]:
    """Return the tensors of the bare network, and its normaliser if it has one.

    This removes wrappers' parts of names, losses, numbers that are no weights, the robustness
    library's second copy (``attacker``), the normaliser, and every prefix that all names share
    (Lightning's ``model``, ...).

    Raises:
        UserError: Two copies or two normalisers differ, two names become the same, or tensors are
            flattened into one.
    """
    found: Tensors = {}
    for name, value in tensors.items():
        if last_part(name) in FLAT:
            raise UserError(
                f"'{name}' is FSDP's: one vector for many tensors. Save the full state dict "
                "(`StateDictType.FULL_STATE_DICT`) with the program that wrote the file."
            )
        if _is_beside(name, value):
            continue
        bare = bare_name(name)
        if bare in found:
            raise UserError(f"the names '{bare}' and '{name}' belong to the same tensor.")
        found[bare] = value
    found = _one_copy(_without_shared_prefix(found))
    normalisers = []
    for name, other in _normalisers(found):
        normalisers.append((name, _channels(found.pop(name)), _channels(found.pop(other))))
    for name, mean, std in normalisers[1:]:
        first, *values = normalisers[0]
        if not all(torch.equal(a, b) for a, b in zip(values, (mean, std), strict=True)):
            raise UserError(f"the normalisers '{first}' and '{name}' differ: which one is meant?")
    return _without_shared_prefix(found), normalisers[0][1:] if normalisers else None


def bare_name(name: str) -> str:
    """Return a tensor's name without the parts that belong to a wrapper."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS) or name


def last_part(name: str) -> str:
    return name.rpartition(".")[2]


def _is_beside(name: str, value: torch.Tensor) -> bool:
    """Return whether this is a part of the loss, or a number that is no weight."""
    if any(part in LOSSES for part in name.split(".")):
        return True
    return value.numel() == 1 and NUMBERS.fullmatch(last_part(name)) is not None


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


def _normalisers(tensors: Tensors) -> list[tuple[str, str]]:
    """Return the names of each mean of one value or three, and of the deviation beside it."""
    pairs = []
    for name, value in tensors.items():
        last = last_part(name)
        if (found := MEAN.fullmatch(last)) is None or value.numel() not in (1, 3):
            continue
        for kind in DEVIATIONS:
            other = f"{name.removesuffix(last)}{found[1] or ''}{kind}{found[2] or ''}"
            if other in tensors and tensors[other].numel() in (1, 3):
                pairs.append((name, other))
                break
    return pairs


def _channels(value: torch.Tensor) -> torch.Tensor:
    """Return a normaliser's mean or std, of any shape, as float32 (1,) or (3,)."""
    return value.reshape(-1).float()
