"""Lists of names as a message or a log can hold them."""

from __future__ import annotations

from collections.abc import Iterable

NAMED_AT_MOST = 5  # of more names than IN_FULL, those that are shown
IN_FULL = 20


def listed(names: Iterable[object], in_full: int = IN_FULL) -> str:
    """Return the names, or the first few and the number of the others.

    >>> listed(["cat", "dog"]), listed(range(150))
    ('cat, dog', '0, 1, 2, 3, 4 and 145 more')
    """
    texts = [str(name) for name in names]
    if len(texts) <= in_full:
        return ", ".join(texts)
    shown = min(NAMED_AT_MOST, in_full)
    return f"{', '.join(texts[:shown])} and {len(texts) - shown} more"


def counted(classes: Iterable[object]) -> str:
    """Return the number of classes and the first few.

    >>> counted(["cat", "dog"])
    '2 classes (cat, dog)'
    """
    texts = [str(name) for name in classes]
    many = "class" if len(texts) == 1 else "classes"
    return f"{len(texts)} {many} ({listed(texts, NAMED_AT_MOST)})"
