"""Lists and values as a message or a log can hold them."""

from __future__ import annotations

from collections.abc import Iterable

NAMED_AT_MOST = 5  # of more items than a message lists in full, those that it names
LINES_AT_MOST = 10  # likewise of items that stand one a line
IN_FULL = 20
CHARACTERS = 80  # of a value that a message repeats


def first_of(items: Iterable[object], at_most: int = NAMED_AT_MOST, between: str = ", ") -> str:
    r"""Return the first few items, and the number of the others.

    >>> first_of(range(150)), first_of("abc", 2, "\n  ")
    ('0, 1, 2, 3, 4 and 145 more', 'a\n  b\n  and 1 more')
    """
    texts = [str(item) for item in items]
    more = len(texts) - at_most
    gap = " " if between == ", " else between
    return between.join(texts[:at_most]) + (f"{gap}and {more} more" if more > 0 else "")


def listed(names: Iterable[object], in_full: int = IN_FULL) -> str:
    """Return the names, or the first few and the number of the others.

    >>> listed(["cat", "dog"]), listed(range(150))
    ('cat, dog', '0, 1, 2, 3, 4 and 145 more')
    """
    texts = [str(name) for name in names]
    return first_of(texts, len(texts) if len(texts) <= in_full else min(NAMED_AT_MOST, in_full))


def counted(classes: Iterable[object]) -> str:
    """Return the number of classes and the first few.

    >>> counted(["cat", "dog"])
    '2 classes (cat, dog)'
    """
    texts = [str(name) for name in classes]
    many = "class" if len(texts) == 1 else "classes"
    return f"{len(texts)} {many} ({first_of(texts)})"


def short(text: str, characters: int = CHARACTERS) -> str:
    """Return a text of at most so many characters, the last three of which say that it goes on.

    >>> short("a lark ascending", 10)
    'a lark ...'
    """
    return text if len(text) <= characters else f"{text[: characters - 3]}..."
