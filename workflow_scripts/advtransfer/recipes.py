"""Recipes of artefacts: the mechanism of typed, frozen recipes and their canonical JSON.

A recipe holds everything that determines the bytes of an artefact, including its upstream recipes,
and nothing else: no device, threads, paths of results or labels. Its digest is part of the
artefact's path, and its canonical JSON is the only scientific parameter of a Snakemake rule.

A field with its default value is left out of the JSON. A new hyper-parameter with a neutral default
(the behaviour before it existed) therefore changes no digest. A field whose *meaning* changes needs
a new name.

The recipe classes are in the modules of their stages, ``recipe.py`` and ``<what>_recipe.py``. When
such a module changes, every step that imports it runs again. It therefore holds only recipes that
are used together, and a new recipe gets a module of its own.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from .errors import UserError

R = TypeVar("R")
T = TypeVar("T")


class Addressed(ABC):
    """A recipe with an artefact of its own, which therefore has an address."""

    @abstractmethod
    def label(self) -> str:
        """Return the readable part of the address, which depends on the recipe alone."""


class NamesModule(ABC):
    """A recipe that names an extension module of the library, which is imported by name."""

    @abstractmethod
    def module(self) -> str:
        """Return the path of the module's file below the library's folder."""

    def is_run_downstream(self) -> bool:
        """Return whether steps that use this recipe's artefact run the module, too."""
        return True


def to_plain(recipe: Any) -> Any:
    """Return the recipe as JSON types, without the fields that have their default."""
    if dataclasses.is_dataclass(recipe) and not isinstance(recipe, type):
        plain = {}
        for item in dataclasses.fields(recipe):
            value = getattr(recipe, item.name)
            if "float" in str(item.type) and type(value) is int:
                value = float(value)  # 1 and 1.0 in YAML must give the same recipe
            default = (
                item.default_factory()
                if item.default_factory is not dataclasses.MISSING
                else item.default
            )
            if value != default:
                plain[item.name] = to_plain(value)
        return plain
    if isinstance(recipe, (list, tuple)):
        return [to_plain(item) for item in recipe]
    if isinstance(recipe, dict):
        return {str(key): to_plain(value) for key, value in recipe.items()}
    if recipe is None or isinstance(recipe, (bool, int, float, str)):
        return recipe
    raise TypeError(f"a recipe cannot hold {type(recipe).__name__}: {recipe!r}")


def once_per_recipe(function: Callable[[Any], T]) -> Callable[[Any], T]:
    """Make ``function`` store its result for a recipe beside the recipe's fields.

    The result can never change, and a plan of thousands of jobs needs it hundreds of thousands of
    times.
    """
    name = f"_{function.__name__}"

    @functools.wraps(function)
    def remembering(recipe: Any) -> T:
        if not dataclasses.is_dataclass(recipe):
            return function(recipe)
        kept = vars(recipe)
        if name not in kept:
            kept[name] = function(recipe)
        return typing.cast(T, kept[name])

    return remembering


@once_per_recipe
def to_json(recipe: Any) -> str:
    """Return the canonical JSON: sorted keys, no white space, no defaults."""
    return json.dumps(to_plain(recipe), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _build(kind: Any, value: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        kind = next(option for option in typing.get_args(kind) if option is not type(None))
        return _build(kind, value)
    if origin is tuple:
        return tuple(_build(typing.get_args(kind)[0], item) for item in value)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        unknown = set(value) - set(hints)
        if unknown:
            raise UserError(
                f"{kind.__name__} has no field {sorted(unknown)}; it has {sorted(hints)}"
            )
        try:
            return kind(**{key: _build(hints[key], item) for key, item in value.items()})
        except TypeError as error:
            raise UserError(f"{kind.__name__}: {error}") from None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def from_plain(kind: type[R], value: Any) -> R:
    """Return the recipe of type ``kind`` that JSON types describe; the inverse of `to_plain`.

    Raises:
        UserError: A field is unknown or missing.
    """
    if not isinstance(value, dict):
        raise UserError(f"a recipe is a JSON object, not {type(value).__name__}")
    return typing.cast(R, _build(kind, value))


def from_json(kind: type[R], text: str) -> R:
    """Return the recipe of type ``kind`` that canonical (or hand-written) JSON describes.

    Raises:
        UserError: The text is not JSON, or a field is unknown or missing.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"the recipe is not JSON: {error}") from None
    return from_plain(kind, value)


@once_per_recipe
def digest(recipe: Any) -> str:
    """Return ten base32 characters (50 bits) of the SHA-256 of the canonical JSON."""
    raw = hashlib.sha256(to_json(recipe).encode()).digest()
    return base64.b32encode(raw).decode().lower()[:10]


def derived_seed(recipe: Any, seed: int, purpose: str) -> int:
    """Return a 63-bit random seed for a recipe, a seed index and a purpose."""
    text = f"{to_json(recipe)}|{seed}|{purpose}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
