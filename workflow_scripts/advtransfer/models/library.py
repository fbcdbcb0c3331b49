"""Models of torchvision and timm behind the project's interface: their own modules, regrouped.

The parts of a model are taken in the order of their definition. A part that is a plain Sequential
is split further, so that every residual block is a block of its own. The model may compute its
parts in another order. Therefore every time a model is built, its blocks must reproduce the
penultimate features of the model itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx, nn

from .layers import global_pool
from .network import Blocks

TOLERANCE = 1e-4  # relative to the largest feature: sums may be taken in another order
STEM = 4  # greatest number of convolutions in a stem
Unit = tuple[str, nn.Module]


class Chain(nn.Sequential):
    """A block: modules of the library in order.

    Attributes:
        folds: names of convolutions and of the batch norms that follow them, unless they are
            neighbours in a Sequential (`network.inference_copy` folds each pair).
    """

    folds: tuple[tuple[str, str], ...] = ()


def split(model: nn.Module, head: str, size: int) -> tuple[Blocks, int]:
    """Split another library's model, and return its blocks and the width of its penultimate layer.

    The blocks are the model's own modules, so the model is unusable afterwards. No block changes
    its input in place, so that activations at a cut can be stored.

    Args:
        model: a model from images (N, 3, size, size) to logits.
        head: name of its last layer, which must be linear.
        size: pixels a side of the image that the split is checked on.

    Raises:
        ValueError: The last layer is not linear, or the model is no chain of its parts.
    """
    linear = model.get_submodule(head)
    if not isinstance(linear, nn.Linear):
        raise ValueError(f"its last layer '{head}' is a {type(linear).__name__}, not linear")
    model.set_submodule(head, nn.Identity())
    model.eval()
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1, 3, size, size, generator=generator) * 2 - 1
    with torch.no_grad():
        try:
            wanted = model(images)
        except AssertionError as error:  # the network accepts one image size only
            raise ValueError(str(error)) from None
        try:
            blocks = _grouped(list(_complete(_units(model), images)))
            found = images
            for block in blocks.values():
                found = block(found)
            same = found.shape == wanted.shape and _close(found, wanted)
        except Exception as error:  # parts that do not fit together raise anything
            raise _no_chain(str(error).strip().splitlines()[:1]) from None
    if not same:
        raise _no_chain(["its parts one after the other give other features than the model"])
    for block in blocks.values():
        _plain(block)
        block.folds = _folds(block)
    return dict(blocks), linear.in_features


def foreign_names(model: nn.Module, head: str, size: int) -> dict[str, str]:
    """Return the library's name of each of a model's tensors, head included, by our name.

    Raises:
        ValueError: see `split`.
    """
    theirs = {id(value): name for name, value in model.state_dict(keep_vars=True).items()}
    blocks, _ = split(model, head, size)
    ours = nn.ModuleDict(blocks).state_dict(prefix="blocks.", keep_vars=True)
    names = {name: theirs[id(value)] for name, value in ours.items()}
    return names | {f"head.{kind}": f"{head}.{kind}" for kind in ("weight", "bias")}


def _close(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    return bool((found - wanted).abs().max() <= TOLERANCE * wanted.abs().max())


def _no_chain(reason: list[str]) -> ValueError:
    return ValueError(
        "it is no chain of its parts, which is what freezing up to a block needs "
        f"({'; '.join(reason)[:200]}). Most convolutional networks are one: residual, dense, "
        "VGG, mobile and efficient ones; transformers with a class token are not"
    )


def _units(module: nn.Module, prefix: str = "") -> Iterator[Unit]:
    """Yield the modules that are called one after the other; a Sequential yields its parts."""
    for name, child in module.named_children():
        if type(child) is nn.Sequential:
            yield from _units(child, f"{prefix}{name}_")
        elif not isinstance(child, nn.Identity):
            yield f"{prefix}{name}", child


def _complete(units: Iterator[Unit], x: torch.Tensor) -> Iterator[Unit]:
    """Yield the units, and add the pooling and flattening that a model does by function calls.

    These come between the last feature map and the first unit that takes vectors.
    """
    pooled = False
    for name, unit in units:
        if x.ndim == 4 and isinstance(unit, (nn.Linear, nn.Dropout)):
            flat = _vectors(pooled)
            yield "pool", flat
            x = flat(x)
        yield name, unit
        pooled = isinstance(unit, nn.AdaptiveAvgPool2d)
        x = unit(x)
    if x.ndim == 4:
        yield "pool", _vectors(pooled)


def _vectors(pooled: bool) -> nn.Module:
    return nn.Flatten() if pooled else global_pool()


def _grouped(units: list[Unit]) -> dict[str, Chain]:
    """Group the units into blocks.

    The stem is a block, and so are every part with parts of its own, every single convolution or
    linear layer, and the pooling.
    """
    stem = _has_stem(units)
    groups: dict[str, Chain] = {}
    for name, unit in units:
        alone = isinstance(unit, (nn.Conv2d, nn.Linear))
        pooling = "Adaptive" in type(unit).__name__ or name == "pool"
        last = next(reversed(groups.values()), None)
        begins = (
            last is None
            or _is_composite(unit)
            # Convolutions of a stem form one block. In a network without other parts, each
            # convolution is a block of its own.
            or (alone and (not stem or any(map(_is_composite, last)) or _is_pool(last)))
            or (pooling and not _is_pool(last))
        )
        if begins:
            first = last is None and stem and not _is_composite(unit)
            groups["stem" if first else "pool" if pooling else name] = last = Chain()
        assert last is not None
        last.add_module(str(len(last)), unit)
    return groups


def _is_composite(unit: nn.Module) -> bool:
    if isinstance(unit, (nn.modules.batchnorm._BatchNorm, nn.GroupNorm)):
        return False  # norms of timm have their activation as a part
    return any(True for _ in unit.children()) and any(True for _ in unit.parameters())


def _has_stem(units: list[Unit]) -> bool:
    """Return whether few convolutions come before the first part that has parts of its own."""
    convolutions = 0
    for _, unit in units:
        if _is_composite(unit):
            return convolutions <= STEM
        convolutions += isinstance(unit, nn.Conv2d)
    return False


def _is_pool(group: Chain) -> bool:
    return not any(True for _ in group.parameters())


def _plain(block: Any) -> None:
    """Replace timm's batch norm with activation by torch's, and make nothing change its input."""
    for module in list(block.modules()):
        for name, child in list(module.named_children()):
            if type(child).__name__ == "BatchNormAct2d":
                norm: Any = child
                module.add_module(name, nn.Sequential(_batch_norm(norm), norm.drop, norm.act))
    for module in block.modules():
        if hasattr(module, "inplace"):
            module.inplace = False


def _batch_norm(norm: Any) -> nn.BatchNorm2d:
    """Return torch's batch norm with the tensors of ``norm``."""
    plain = nn.BatchNorm2d(norm.num_features, norm.eps, norm.momentum)
    plain.weight, plain.bias = norm.weight, norm.bias
    for name, value in norm.named_buffers(recurse=False):
        plain.register_buffer(name, value)
    return plain.train(norm.training)


class _Tracer(fx.Tracer):
    """A tracer that records the calls of modules without parts."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return not any(True for _ in module.children())


def _folds(block: nn.Module) -> tuple[tuple[str, str], ...]:
    """Return each convolution whose output goes only into a batch norm, with that batch norm.

    They are found in the block's graph; a block that cannot be traced has none.
    """
    try:
        nodes = [n for n in _Tracer().trace(block).nodes if n.op == "call_module"]
    except Exception:  # the control flow depends on values
        return ()
    calls = Counter(str(node.target) for node in nodes)
    found = []
    for node in nodes:
        before = node.args[0]
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        pair = str(before.target), str(node.target)
        first, second = map(block.get_submodule, pair)
        once = calls[pair[0]] == calls[pair[1]] == 1
        if once and isinstance(first, nn.Conv2d) and type(second) is nn.BatchNorm2d:
            found.append(pair)
    return tuple(pair for pair in found if not _neighbours(block, *pair))


def _neighbours(block: nn.Module, first: str, second: str) -> bool:
    """Return whether both are neighbours in a Sequential, where they are found without this."""
    (parent, _, a), (other, _, b) = first.rpartition("."), second.rpartition(".")
    if parent != other or not isinstance(block.get_submodule(parent), nn.Sequential):
        return False
    names = list(block.get_submodule(parent)._modules)
    return names.index(b) == names.index(a) + 1
