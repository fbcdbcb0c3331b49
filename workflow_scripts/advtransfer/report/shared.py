"""What a page says of images that a source and a target share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..data.comparison_recipe import SHARED_COLUMNS


def shared_in_words(rows: Sequence[Mapping[str, str]]) -> str:
    """Return a sentence on the images that transfers left out, from the rows of a study's table.

    It is empty for a table that does not count them.
    """
    if not rows or not set(SHARED_COLUMNS) <= rows[0].keys():
        return ""
    known = [row for row in rows if row[SHARED_COLUMNS[0]] != ""]
    if not known:
        return (
            "The images that imported sources were trained on are not known, so none of a target's "
            "images was left out."
        )
    unknown = (
        " The images that imported sources were trained on are not known."
        if len(known) < len(rows)
        else ""
    )
    most: dict[str, list[int]] = {}
    for row in known:
        counts = [int(float(row[column])) for column in SHARED_COLUMNS]
        found = most.setdefault(row["target"], [0, 0])
        most[row["target"]] = [max(pair) for pair in zip(found, counts, strict=True)]
    told = [
        f"{train} training and {test} test image{'s' * (test != 1)} of {target}"
        for target, (train, test) in most.items()
        if train or test
    ]
    if not told:
        return "No source that was trained here saw an image of a target." + unknown
    return (
        "Images of a target that a source was trained on were left out of its transfer and of the "
        f"measurement: at most {', '.join(told)} for one source.{unknown}"
    )
