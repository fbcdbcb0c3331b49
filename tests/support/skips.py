"""What could not be tested on this machine is said at the very end, where nobody overlooks it."""

from __future__ import annotations

import pytest

not_tested: list[str] = []


def skip_loudly(reason: str) -> None:
    """Skip, and keep the reason for the last lines of the session."""
    if reason not in not_tested:
        not_tested.append(reason)
    pytest.skip(reason)
