"""Words for numbers and intervals: verdicts, signs, estimates, strengths, p-values, facts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..plotting.labels import number


def verdict(value: float, low: float, high: float) -> dict[str, str]:
    """Return the verdict on the claim that a correlation is positive, from its interval."""
    if math.isnan(value):
        headline, reason = "Not measurable:", "the correlation is undefined for these sources."
    elif math.isnan(low) or math.isnan(high):
        headline, reason = "Inconclusive:", "there are too few source models for an interval."
    elif low > 0:
        headline = "The claim is supported:"
        reason = "the correlation is positive, as claimed, and its interval excludes 0."
        return {"kind": "supported", "headline": headline, "reason": reason}
    elif high < 0:
        headline = "The claim is not supported: opposite sign."
        reason = "The correlation is negative and its interval excludes 0: the paper's claim does "
        reason += "not reproduce here."
        return {"kind": "opposite", "headline": headline, "reason": reason}
    else:
        headline = "Inconclusive: interval includes 0."
        reason = "The paper's claim is neither reproduced nor refuted here."
    return {"kind": "inconclusive", "headline": headline, "reason": reason}


def sign(low: float, high: float) -> str:
    """Return ``above``, ``below``, ``open`` (the interval includes 0) or ``none`` (no interval)."""
    if math.isnan(low) or math.isnan(high):
        return "none"
    return "above" if low > 0 else "below" if high < 0 else "open"


def sign_of(row: Any) -> str:
    """Return the sign of a row with ``ci_low`` and ``ci_high``."""
    return sign(row.ci_low, row.ci_high)


def verdict_of_signs(
    signs: Sequence[str],
    reason: str,
    *,
    unmeasurable: str = "one seed bears no interval, or nothing was compared.",
    supported: str = "The claim is supported:",
    opposite: str = "Opposite sign:",
    mixed: str = "It depends on the target:",
) -> dict[str, str]:
    """Return the verdict of several differences on a claim.

    Args:
        signs: the `sign` of each difference.
        reason: the sentence after the headline.
        unmeasurable: the sentence instead, if there is no difference or one has no interval.
        supported, opposite, mixed: headlines if all are above 0, all below 0, or they disagree.
    """
    if not signs or "none" in signs:
        return {"kind": "inconclusive", "headline": "Not measurable:", "reason": unmeasurable}
    above, below = signs.count("above"), signs.count("below")
    if above == len(signs):
        return {"kind": "supported", "headline": supported, "reason": reason}
    if below == len(signs):
        return {"kind": "opposite", "headline": opposite, "reason": reason}
    headline = mixed if above or below else "Inconclusive:"
    return {"kind": "inconclusive", "headline": headline, "reason": reason}


def estimate(values: tuple[float, float, float], *, signed: bool = False) -> str:
    """Return ``0.83 [0.41, 0.97]``, with a plus sign if ``signed``, as for a difference."""
    value, low, high = values
    text = number(value, 3)
    text = f"+{text}" if signed and value > 0 else text
    if math.isnan(value):
        return "–"
    if math.isnan(low) or math.isnan(high):
        return f"{text} (no interval)"
    return f"{text} [{number(low, 3)}, {number(high, 3)}]"


def difference_text(row: Any) -> str:
    """Return a difference and its interval, such as ``+0.041 [0.012, 0.070]``."""
    return estimate((row.value, row.ci_low, row.ci_high), signed=True)


def strength(value: float) -> str:
    """Return the sign and size of a correlation in words."""
    if math.isnan(value):
        return "undefined"
    sign = "positive" if value > 0 else "negative"
    size = "weak" if abs(value) < 0.3 else "moderate" if abs(value) < 0.6 else "strong"
    return f"{sign} and {size}"


def p_text(value: float) -> str:
    if math.isnan(value):
        return "no p-value"
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def fact_text(value: Any) -> str:
    """Return a fact of the config as text."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {fact_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(fact_text(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
