"""Parsing, range and formatting of the size of a perturbation."""

from __future__ import annotations

import math
import re

from .errors import UserError

NUMBER = re.compile(r"[0-9]*\.?[0-9]*([eE][-+]?[0-9]+)?", re.ASCII)


def parse_epsilon(value: float | str) -> float:
    """Return ``8/255``, ``"0.25"`` or a number as a float.

    Raises:
        UserError: The text is neither, or the denominator is zero.
    """
    if not isinstance(value, str):
        return float(value)
    numerator, slash, denominator = (part.strip() for part in value.partition("/"))
    try:
        if not all(NUMBER.fullmatch(part) for part in (numerator, denominator)):
            raise ValueError
        above, below = float(numerator), float(denominator) if slash else 1.0
    except ValueError:
        raise UserError(
            f"epsilon {value!r}: expected a decimal number or a fraction such as 8/255."
        ) from None
    if below == 0:
        raise UserError(f"epsilon {value}: division by zero; write a fraction such as 8/255.")
    return above / below


def check_radius(key: str, norm: str, radius: float, pixels: int | None = None) -> None:
    """Refuse a radius that cannot be meant: a ball larger than the space of all images.

    Args:
        key: what the message names.
        pixels: number of values of an image (C * H * W); None: unknown, and l2 has no limit.

    Raises:
        UserError: The radius is negative, not finite, or larger than the distance between any two
            images.
    """
    limit = math.inf
    if norm == "linf":
        limit = 1.0
    elif norm == "l2" and pixels:
        limit = math.sqrt(pixels)
    if math.isfinite(radius) and 0 <= radius <= limit:
        return
    within = "0 or more, and finite" if limit == math.inf else f"0 to {limit:.4g}"
    levels = f"; {radius:g} grey levels are {radius:g}/255" if 1 < radius < math.inf else ""
    raise UserError(
        f"{key}: {radius:g} cannot be meant. Pixels are in [0, 1]; in {norm}, expected {within}"
        f"{levels}."
    )


def format_epsilon(epsilon: float) -> str:
    """Return a short decimal if it is exact, otherwise ``8/255`` for a whole number of grey levels.

    >>> format_epsilon(8 / 255), format_epsilon(0.25)
    ('8/255', '0.25')
    """
    levels = epsilon * 255
    if float(f"{epsilon:g}") != epsilon and abs(levels - round(levels)) < 1e-9:
        return f"{round(levels)}/255"
    return f"{epsilon:g}"
