"""The README of every study: it has all sections, names all tables and figures, its links lead
somewhere, and what it prints of a real run are the numbers that this run left in its tables.

Rows of that run stand in `results/` of the study's folder; `printed.py` beside the study's tests
says which cell of a table in the README comes from which of them.
"""

from __future__ import annotations

import re

import pytest

from support.readmes import (
    WITH_INTERVAL,
    Printed,
    agrees,
    folder_of,
    kind_of,
    markdown_tables,
    printed_by,
    results,
    sections,
)
from workflow_scripts.studies import folders

STUDIES = folders.with_settings()
RESULTS = "What came out"
HEADINGS = ["", "Run it", RESULTS, "Files and columns", "Where to go on"]
# Columns of a table that may hold a number with its interval.
INTERVALS = (
    ("value", "ci_low", "ci_high"),
    ("mean", "ci_low", "ci_high"),
    ("epsilon", "ci_low", "ci_high"),
    ("difference", "difference_low", "difference_high"),
    ("r_squared", "r_squared_low", "r_squared_high"),
    ("pearson", "pearson_low", "pearson_high"),
    ("gain", "gain_low", "gain_high"),
)

PRINTED = [printed for study in STUDIES for printed in printed_by(study)[0]]


@pytest.mark.parametrize("study", STUDIES)
def test_a_readme_has_all_sections(study: str) -> None:
    found = sections(study)
    assert [heading for heading in found if heading in HEADINGS] == HEADINGS
    title = found[""].splitlines()[0]
    assert title.startswith("# ") and title.endswith("?")
    assert f"snakemake {study}" in found["Run it"]


@pytest.mark.parametrize("study", STUDIES)
def test_a_readme_names_every_table_and_figure(study: str) -> None:
    text = sections(study)["Files and columns"]
    kind = kind_of(study)
    files = {origin.file for origin in folders.origins(study, kind).values()}
    names = files | set(folders.figures(study, kind))
    assert {name for name in names if f"`{name}`" not in text} == set()


@pytest.mark.parametrize("study", STUDIES)
def test_links_of_a_readme_lead_somewhere(study: str) -> None:
    text = "".join(sections(study).values())
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    local = [link for link in links if link and "://" not in link]
    assert local and [link for link in local if not (folder_of(study) / link).exists()] == []


@pytest.mark.parametrize("printed", PRINTED, ids=str)
def test_a_printed_table_agrees_with_the_run(printed: Printed) -> None:
    heading, *lines = markdown_tables(sections(printed.study)[RESULTS])[printed.number]
    assert heading[: len(printed.rows)] == list(printed.rows)
    assert set(printed.columns) <= set(heading)
    kept = results(printed.study)[printed.table]
    for line in lines:
        for position, column, found in printed.cells(heading, line, kept):
            where = f"{line[0]}, {heading[position]}"
            assert len(found) == 1, f"{where}: {len(found)} rows of the table"
            assert line[position] == column.cell(found[0]), where


@pytest.mark.parametrize("study", STUDIES)
def test_intervals_in_the_text_agree_with_the_run(study: str) -> None:
    """Sentences, too: a number with its interval is one of the rows that the folder keeps."""
    known = [
        exact
        for rows in results(study).values()
        for row in rows
        for names in INTERVALS
        if all(exact := [row.get(name, "") for name in names])
    ]
    if not known:
        pytest.skip("the folder keeps no rows of a run")
    text = "\n".join(
        line for line in sections(study)[RESULTS].splitlines() if not line.startswith("|")
    )
    printed = WITH_INTERVAL.findall(text)
    unknown = [
        shown for shown in printed if not any(all(map(agrees, shown, exact)) for exact in known)
    ]
    assert unknown == []


@pytest.mark.parametrize("study", STUDIES)
def test_every_table_that_names_kept_rows_is_compared(study: str) -> None:
    """The README links to the rows that are kept, and `printed.py` says what they are for."""
    named = set(re.findall(r"\]\(results/(\w+)\.csv\)", sections(study)[RESULTS]))
    tables, quoted = printed_by(study)
    compared = {part.table for part in (*tables, *quoted)}
    assert named == compared == set(results(study))
