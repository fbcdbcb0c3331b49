"""Summarise a study of transfer to whole targets: all-of and best-of tables, what a choice on test
images would have given, and how fixed-feature and full-network transfer go together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...advtransfer.cli import log
from ..source_tables import Table
from . import columns, summary

READS = ("table",)
TABLES = {
    "summary": "all sources",
    "best": "best robust sources",
    "selection": "chosen on test images",
    "correlations": "fixed against full",
}  # made here, with their labels in the report
SETTINGS = ("baseline", "metrics", "bootstrap", "permutations")


def analyse(tables: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Table]:
    """Summarise the transferred networks.

    Args:
        tables: paths of the tables in ``READS``.
        settings: the study's name (``study``) and its settings in ``SETTINGS``.
    """
    study, baseline, metrics = (settings[name] for name in ("study", "baseline", "metrics"))
    draws = {name: settings[name] for name in ("bootstrap", "permutations")}
    cells = summary.cells_of(summary.read_networks(tables["table"]))
    made = {
        "summary": (
            columns.SUMMARY_COLUMNS,
            summary.summary_rows(cells, study, baseline, metrics),
        ),
        "best": (columns.BEST_COLUMNS, summary.best_rows(cells, study, baseline, metrics)),
        "selection": (columns.SELECTION_COLUMNS, summary.selection_rows(cells, study, metrics)),
        "correlations": (
            columns.CORRELATION_COLUMNS,
            summary.correlation_rows(cells, study, metrics, **draws),
        ),
    }
    found = {}
    for table, (names, rows) in made.items():
        blank = [{key: "" if value != value else value for key, value in r.items()} for r in rows]
        log.info("%s: %d rows", table, len(blank))
        found[table] = (list(names), blank)
    return found
