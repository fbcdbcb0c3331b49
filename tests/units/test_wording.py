"""Lists in messages and logs: how many, and the first few. Values: their beginning."""

from __future__ import annotations

import pytest

from workflow_scripts.advtransfer.wording import counted, first_of, listed, short


@pytest.mark.parametrize(
    ("number", "expected"), [(0, ""), (2, "0, 1"), (150, "0, 1, 2, 3, 4 and 145 more")]
)
def test_listed(number: int, expected: str) -> None:
    assert listed(range(number)) == expected


def test_a_list_of_a_screen_line_is_whole() -> None:
    assert listed("abcdefghij") == "a, b, c, d, e, f, g, h, i, j"


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, ""), (3, "0\n  1\n  2"), (4, "0\n  1\n  2\n  and 1 more")],
)
def test_the_first_few_one_a_line(number: int, expected: str) -> None:
    assert first_of(iter(range(number)), 3, "\n  ") == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("", ""), ("a" * 10, "a" * 10), ("a" * 11, "a" * 7 + "...")]
)
def test_short(text: str, expected: str) -> None:
    assert short(text, 10) == expected


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
