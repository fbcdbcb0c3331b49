"""Lists that people bring as text files, one name a line, whatever system wrote them.

Every such list is read here: test images, class names, the lists of official datasets. Names are in
Unicode's composed form (NFC) afterwards. macOS writes file names in the decomposed form (NFD), in
which the same letters are other characters.

This module imports no array library, because the plan uses it at every start of Snakemake.
"""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..artifacts.files import file_error
from ..characters import CONTROL
from ..errors import UserError
from ..home import expanded
from ..wording import first_of, short

TRAINS = re.compile(r"""[\s,;"']train(ing)?["']?$""", re.IGNORECASE)  # in a table of both splits
LINE_END = re.compile("\r\n|\n|\r")
MARKS = {  # how files in other encodings begin; UTF-32 is first, as it begins like UTF-16
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


def composed(value: Any) -> Any:
    """Return a text in Unicode's composed form, or lists and mappings with all their texts so."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, list | tuple):
        return type(value)(composed(item) for item in value)
    if isinstance(value, dict):
        return {composed(key): composed(item) for key, item in value.items()}
    return value


def read_lines(path: str | Path) -> list[str]:
    """Return the lines of a text file that are not empty, without spaces around them, in NFC.

    Raises:
        UserError: The file cannot be read, or is no text in UTF-8.
    """
    return [line for _, line in _numbered(path)]


def lines_of(where: str, data: bytes) -> list[str]:
    """Return the lines of a text file as `read_lines` does, from the bytes of the file."""
    return [line for _, line in _lines(where, data)]


def read_class_names(path: str | Path) -> tuple[str, ...]:
    """Return the class names of a text file with one a line.

    Raises:
        UserError: The file cannot be read, has no name, or `checked_class_names` refuses one.
    """
    numbered = _numbered(path)
    if not numbered:
        raise UserError(f"{path}: no class name in it; expected one a line.")
    lines, names = zip(*numbered, strict=True)
    return checked_class_names(names, str(path), lines)


def checked_class_names(
    names: Sequence[str], where: str, lines: Sequence[int] | None = None
) -> tuple[str, ...]:
    """Return the names of classes, which have to differ and to have one line each.

    Args:
        names: the names, in NFC.
        where: what messages call their origin.
        lines: number of the line that each name stands in; None: they stand in no file.

    Raises:
        UserError: There is no name, one is empty, has a control character, or is there twice.
    """
    place, numbers = ("place", range(1, len(names) + 1)) if lines is None else ("line", lines)
    if not names:
        raise UserError(f"{where}: class names are missing; expected one for every class.")
    found: dict[str, int] = {}
    for number, name in zip(numbers, names, strict=True):
        if not name:
            raise UserError(f"{where}: the class name in {place} {number} is empty or missing.")
        if CONTROL.search(name):
            raise UserError(
                f"{where}: {place} {number}, {short(repr(name))}, has a control character; "
                "expected names of one line."
            )
        if name in found:
            raise UserError(
                f"{where}: the class '{short(name)}' is in {place} {found[name]} and again in "
                f"{place} {number}; expected different names."
            )
        found[name] = number
    return tuple(found)


def name_on_disk(folder: Path, name: str) -> str:
    """Return the name of a file as the folder has it: with ``/``, and in NFC or NFD.

    A name without a file is returned as it is.
    """
    slashes = name.replace("\\", "/")
    forms = (name, slashes, *(unicodedata.normalize(form, slashes) for form in ("NFC", "NFD")))
    return next((form for form in forms if os.path.isfile(folder / form)), name)


def files_in_list(
    path: str | Path, files: Collection[str], endings: Sequence[str], where: str
) -> set[str]:
    """Return those of ``files`` that a list names.

    A line is the name of a file, as in ``files``. It may begin with ``./``, have ``\\`` between
    folders, stand in quotation marks, and have a label after the name. Lines that begin with ``# ``
    are comments, and a first line that has neither a folder nor an ending is a heading.

    Args:
        path: the list.
        files: names with ``/`` between folders, no two of them equal in NFC.
        endings: those of all files, in lower case.
        where: what the names are relative to, for messages.

    Raises:
        UserError: The list cannot be read, or lines name no file; the message repeats the first.
    """
    by_name = {composed(name): name for name in files}
    ending = re.compile(f"(?:{'|'.join(map(re.escape, endings))})(?=$|[\\s,;\"'])", re.IGNORECASE)
    numbered = _numbered(path)
    found, lost = set(), []
    for k, (number, line) in enumerate(numbered):
        name = next((name for name in _readings(line, ending) if name in by_name), None)
        if name is not None and line not in by_name and TRAINS.search(line):
            raise UserError(
                f"{path}: line {number} says that its image is one to train on: {line!r}. This "
                "list names test images alone; leave the others out."
            )
        if name is not None:
            found.add(by_name[name])
            continue
        is_heading = k == 0 and not ending.search(line) and not re.search(r"[/\\]", line)
        if not is_heading and not line.startswith("# "):
            lost.append((number, line))
    if lost:
        near = {variant: name for name in by_name for variant in _variants(name)}
        told = []
        for number, line in lost:
            meant = (near.get(_variants(name)[0]) for name in _readings(line, ending))
            hint = next((f" (there is {name!r})" for name in meant if name), "")
            told.append(f"line {number}: {line!r}{hint}")
        raise UserError(
            f"{path}: {len(lost)} of its {len(numbered)} lines name no image in {where}:\n  "
            + first_of(told, between="\n  ")
            + f"\nNames are relative to {where}, with their folders and endings. Correct these "
            "lines, or remove them if their images are gone."
        )
    return found


def _readings(line: str, ending: re.Pattern[str]) -> Iterator[str]:
    """Yield what a line may name, in the order of trust: as it is, and without a label after it."""
    last = max((match.end() for match in ending.finditer(line)), default=len(line))
    for text in (line, line[:last]):
        for name in (text, text.strip("\"'")):
            for path in (name, name.replace("\\", "/")):
                yield posixpath.normpath(path).lstrip("/")


def _variants(name: str) -> tuple[str, str]:
    """Return a name in lower case, and that without its ending: what a mistaken line may have."""
    return name.lower(), posixpath.splitext(name.lower())[0]


def _numbered(path: str | Path) -> list[tuple[int, str]]:
    try:
        return _lines(str(path), expanded(path).read_bytes())
    except OSError as error:
        raise file_error(path, error, "read") from None


def _lines(where: str, data: bytes) -> list[tuple[int, str]]:
    """Return the lines of a text file that are not empty, with their numbers from 1."""
    # A byte-order mark stands at the start, and where files that had one were joined.
    lines = LINE_END.split(composed(_text(where, data)).replace("\ufeff", ""))
    return [(k, line.strip()) for k, line in enumerate(lines, 1) if line.strip()]


def _text(where: str, data: bytes) -> str:
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            raise UserError(
                f"{where}: not a text file in UTF-8 but in {encoding}, as PowerShell and Notepad "
                f"write it. Save it as UTF-8: iconv -f {encoding} -t UTF-8 <list> > <new list>"
            )
    if b"\0" in data:
        raise UserError(f"{where}: not a text file: it has zero bytes in it. Is it the right one?")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = LINE_END.split(data[: error.start].decode("latin-1"))
        line = LINE_END.split(data.decode("cp1252", errors="replace"))[len(before) - 1].strip()
        raise UserError(
            f"{where}: not a text file in UTF-8: line {len(before)} seems to be in Latin-1 (or "
            f"Windows-1252), in which it reads {line[:80]!r}. Save the file as UTF-8: "
            "iconv -f WINDOWS-1252 -t UTF-8 <list> > <new list>"
        ) from None
