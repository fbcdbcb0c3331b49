"""Summarise transfers to whole targets: every source, the best robust ones, what choosing on test
images would have added, and how fixed-feature and full-network transfer go together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...advtransfer.cli import log
from ..source_tables import Table
from . import columns, summary

READS = ("table",)
# The tables that are made here, with their labels in the report.
TABLES = {
    "summary": "all sources",
    "best": "best robust sources",
    "selection": "chosen on test images",
    "correlations": "fixed-feature against full-network",
}
# What computes the numbers in them.
LIBRARY = {
    "summary": (
        "studies.fixed_vs_full.summary.summary_rows",
        "advtransfer.statistics.intervals.mean_interval",
    ),
    "best": (
        "studies.fixed_vs_full.summary.best_rows",
        "advtransfer.statistics.intervals.mean_interval",
    ),
    "selection": ("studies.fixed_vs_full.summary.selection_rows",),
    "correlations": ("advtransfer.statistics.correlations.correlate_all",),
}
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
