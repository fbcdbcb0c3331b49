"""Parsing and formatting of the size of a perturbation."""

from __future__ import annotations

from .errors import UserError


def parse_epsilon(value: float | str) -> float:
    """Return ``8/255``, ``"0.25"`` or a number as a float.

    Raises:
        UserError: The denominator is zero.
    """
    if isinstance(value, str):
        numerator, _, denominator = value.partition("/")
        if denominator and float(denominator) == 0:
            raise UserError(f"epsilon {value}: division by zero; write a fraction such as 8/255.")
        return float(numerator) / float(denominator or 1)
    return float(value)


def format_epsilon(epsilon: float) -> str:
    """Return a short decimal if it is exact, otherwise ``8/255`` for a whole number of grey levels.

    >>> format_epsilon(8 / 255), format_epsilon(0.25)
    ('8/255', '0.25')
    """
    levels = epsilon * 255
    if float(f"{epsilon:g}") != epsilon and abs(levels - round(levels)) < 1e-9:
        return f"{round(levels)}/255"
    return f"{epsilon:g}"
