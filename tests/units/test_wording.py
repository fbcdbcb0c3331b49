"""Lists of names in messages and logs: how many, and the first few."""

from __future__ import annotations

import pytest

from workflow_scripts.advtransfer.wording import counted, listed


@pytest.mark.parametrize(
    ("number", "expected"), [(0, ""), (2, "0, 1"), (150, "0, 1, 2, 3, 4 and 145 more")]
)
def test_listed(number: int, expected: str) -> None:
    assert listed(range(number)) == expected


def test_a_list_of_a_screen_line_is_whole() -> None:
    assert listed("abcdefghij") == "a, b, c, d, e, f, g, h, i, j"


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (["cat"], "1 class (cat)"),
        (["cat", "dog"], "2 classes (cat, dog)"),
        ([f"c{k}" for k in range(150)], "150 classes (c0, c1, c2, c3, c4 and 145 more)"),
    ],
)
def test_counted(classes: list[str], expected: str) -> None:
    assert counted(classes) == expected
