"""READMEs of studies: their sections, their tables, and the numbers that they print."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from support.workflow import ROOT
from workflow_scripts.studies import folders

NUMBER = re.compile(r"[+−]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+)")
WITH_INTERVAL = re.compile(rf"({NUMBER.pattern}) \[({NUMBER.pattern}), ({NUMBER.pattern})\]")

Conditions = Mapping[str, Any]  # column of the CSV: text, number, or a tuple of those


@dataclass(frozen=True)
class Column:
    """A column of a README's table: the numbers that its cells print, in this order."""

    numbers: tuple[str, ...] = ("value", "ci_low", "ci_high")  # columns of the CSV
    where: Conditions = field(default_factory=dict)  # which of its rows


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
    """The tables in a text: rows of cells, the heading first, without marks of emphasis."""
    found: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        if not inside:
            found.append([])
        inside = True
        cells = [cell.strip().replace("**", "") for cell in line.strip().strip("|").split("|")]
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


def numbers_in(cell: str) -> list[str]:
    """The numbers that a cell prints; what stands in brackets like (ℓ₂ 0.25) is no number of it."""
    return NUMBER.findall(re.sub(r"\([^)]*\)|, r < 0", "", cell))


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
