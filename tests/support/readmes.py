"""READMEs of studies: their sections, their tables, and the numbers that they print."""

from __future__ import annotations

import csv
import importlib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import yaml

from support.workflow import ROOT
from workflow_scripts.studies import folders

NUMBER = re.compile(r"[+−]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+)")
WITH_INTERVAL = re.compile(rf"({NUMBER.pattern}) \[({NUMBER.pattern}), ({NUMBER.pattern})\]")

TESTS = ROOT / "tests" / "units" / "studies"
SIGNED = ("value", "difference", "gain")  # columns of the CSV that are differences
Conditions = Mapping[str, Any]  # column of the CSV: text, number, or a tuple of those


@dataclass(frozen=True)
class Column:
    """A column of a README's table: what its cells print of a row of the CSV."""

    # Columns of the CSV, in this order; those in _low and _high are the interval of the one before.
    numbers: tuple[str, ...] = ("value", "ci_low", "ci_high")
    where: Conditions = field(default_factory=dict)  # which of its rows
    digits: int = 3
    signed: bool = False  # differences have their sign, + included
    bold: bool = False  # an interval that excludes 0 is bold, with its number
    # What stands in parentheses after the numbers: these columns of the CSV, by these labels.
    names: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    note: Callable[[Mapping[str, str]], str] = lambda row: ""  # what follows all that

    def cell(self, row: Mapping[str, str]) -> str:
        """Return the text of a cell."""
        parts: list[str] = []
        low = 0.0
        for name in self.numbers:
            if row[name] == "":
                continue
            value = float(row[name])
            text = shown(value, self.digits, plus=self.signed and name in SIGNED)
            if name.endswith("_low"):
                low = value
                parts[-1] += f" [{text}"
            elif name.endswith("_high"):
                number = f"{parts.pop()}, {text}]"
                parts.append(f"**{number}**" if self.bold and (low > 0 or value < 0) else number)
            else:
                parts.append(text)
        text = ", ".join(parts)
        if self.names:
            text += f" ({', '.join(self.labels.get(row[name], row[name]) for name in self.names)})"
        return text + self.note(row)


@dataclass(frozen=True)
class Printed:
    """A table under "What came out", and the rows of the CSV that its numbers come from."""

    study: str
    table: str  # the name of the study's table: results/<table>.csv
    number: int  # which table of the section, from 0
    # What a cell of the columns that name a row says: {heading: {text: conditions}}.
    rows: Mapping[str, Mapping[str, Conditions]]
    columns: Mapping[str, Column]
    where: Conditions = field(default_factory=dict)  # of all cells

    def __str__(self) -> str:
        return f"{self.study} {self.number}"

    def cells(
        self, heading: list[str], line: list[str], kept: list[dict[str, str]]
    ) -> Iterator[tuple[int, Column, list[dict[str, str]]]]:
        """Yield the cells of a line that are compared: position, column, and the rows of the CSV.

        Lines in italics are other people's numbers, and empty cells have none.
        """
        if line[0].startswith("*"):
            return
        row = [texts[line[heading.index(name)]] for name, texts in self.rows.items()]
        for name, column in self.columns.items():
            position = heading.index(name)
            if line[position]:
                # Conditions are met one after the other: a row and a column may narrow the same.
                yield position, column, reduce(matching, [*row, column.where, self.where], kept)


@dataclass(frozen=True)
class Quoted:
    """Rows of a table that sentences quote, kept beside those that the README's tables print."""

    table: str
    where: Conditions


def folder_of(study: str) -> Path:
    """A study's own folder."""
    return ROOT / folders.STUDIES / study


def kind_of(study: str) -> str:
    """The kind of a study, as its settings say."""
    settings = yaml.safe_load((folder_of(study) / "config.yaml").read_text(encoding="utf-8"))
    return settings["studies"][study].get("kind", study)


def sections(study: str) -> dict[str, str]:
    """The sections of a study's README by heading; "" is what stands before the first one."""
    found = {"": ""}
    heading = ""
    for line in (folder_of(study) / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = line[3:]
            found[heading] = ""
        else:
            found[heading] += line + "\n"
    return found


def markdown_tables(text: str) -> list[list[list[str]]]:
    """The tables in a text: rows of cells, the heading first."""
    found: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        if not inside:
            found.append([])
        inside = True
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not all(set(cell) <= set(":-") for cell in cells):
            found[-1].append(cells)
    return found


def results(study: str) -> dict[str, list[dict[str, str]]]:
    """The rows of a real run that a study's folder keeps, by the name of the table."""
    found = {}
    for file in sorted((folder_of(study) / "results").glob("*.csv")):
        with file.open(encoding="utf-8", newline="") as lines:
            found[file.stem] = list(csv.DictReader(lines))
    return found


def matching(rows: list[dict[str, str]], where: Conditions) -> list[dict[str, str]]:
    """The rows that meet all conditions."""
    return [row for row in rows if all(_is(row[name], wanted) for name, wanted in where.items())]


def printed_by(study: str) -> tuple[list[Printed], list[Quoted]]:
    """The tables of a study's README that are compared, and the rows that its sentences quote."""
    if not (TESTS / study / "printed.py").is_file():
        return [], []
    module = importlib.import_module(f"units.studies.{study}.printed")
    return module.TABLES, getattr(module, "QUOTED", [])


def shown(value: float, digits: int, *, plus: bool = False) -> str:
    """Return a number as READMEs print it, with a true minus."""
    text = f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        return text.removeprefix("-")
    return ("+" + text if plus and value > 0 else text).replace("-", "−")


def agrees(printed: str, exact: str) -> bool:
    """Whether a number of a table, rounded to as many digits, is the printed one."""
    plain = printed.replace(",", "").replace("−", "-")
    digits = len(plain.partition(".")[2])
    return exact != "" and abs(float(plain) - float(exact)) <= 0.5 * 10**-digits + 1e-9


def _is(text: str, wanted: Any) -> bool:
    if isinstance(wanted, tuple):
        return any(_is(text, one) for one in wanted)
    if isinstance(wanted, (int, float)):
        return text != "" and math.isclose(float(text), wanted, rel_tol=1e-6, abs_tol=1e-12)
    return bool(text == wanted)
