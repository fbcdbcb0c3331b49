"""Keep the rows of a run that READMEs print, and print their numbers in the READMEs' tables.

    PYTHONPATH=tests python -m support.keep_results results/tables

For every study whose tables are there, the rows that its ``printed.py`` names go to ``results/`` of
its folder, and the cells of its README's tables are written anew. Sentences stay as they are:
tests/units/studies/test_readmes.py names the intervals in them that no row has.
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

from support.readmes import folder_of, markdown_tables, matching, printed_by, sections
from workflow_scripts.advtransfer.artifacts.sealed import csv_bytes
from workflow_scripts.studies import folders

RESULTS = "What came out"
Rows = list[dict[str, str]]


def main(folder: Path) -> None:
    for study in folders.with_settings():
        if printed_by(study)[0] and (folder / f"{study}.csv").is_file():
            keep(study, folder)


def keep(study: str, folder: Path) -> None:
    """Write the kept rows and the tables of a study's README."""
    tables, quoted = printed_by(study)
    known = {part.table: read(folder, study, part.table) for part in (*tables, *quoted)}
    kept: dict[str, set[int]] = {table: set() for table in known}
    readme = folder_of(study) / "README.md"
    before, heading, rest = readme.read_text(encoding="utf-8").partition(f"## {RESULTS}\n")
    for printed in tables:
        rows = known[printed.table]
        head, *lines = markdown_tables(sections(study)[RESULTS])[printed.number]
        for line in lines:
            cells = list(line)
            for position, column, found in printed.cells(head, line, rows):
                if len(found) != 1:
                    where = f"{study}, table {printed.number}, {line[0]}, {head[position]}"
                    sys.exit(f"error: {where}: {len(found)} rows of {printed.table}.")
                cells[position] = column.cell(found[0])
                kept[printed.table].add(rows.index(found[0]))
            if text_of(line) not in rest:
                sys.exit(f"error: {readme}: the cells of {line[0]} need one space around them.")
            rest = rest.replace(text_of(line), text_of(cells), 1)
    for part in quoted:
        rows = known[part.table]
        kept[part.table].update(map(rows.index, matching(rows, part.where)))
    readme.write_text(before + heading + rest, encoding="utf-8")
    for table, positions in kept.items():
        write(folder_of(study) / "results" / f"{table}.csv", known[table], sorted(positions))


def read(folder: Path, study: str, table: str) -> Rows:
    """Return a table of the run; ``table`` is that of the transferred networks."""
    name = study if table == "table" else f"{study}_{table}"
    text = csv_bytes(folder / f"{name}.csv").decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def write(path: Path, rows: Rows, positions: list[int]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[position] for position in positions)


def text_of(cells: list[str]) -> str:
    """Return a line of a table as READMEs write it; an empty cell is one space."""
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python -m support.keep_results <folder of the tables of a run>")
    main(Path(sys.argv[1]))
