"""Find the best epsilon of every target, and how well each measure of granularity predicts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...advtransfer.artifacts.table_reader import read_rows
from ..source_tables import Table
from .ranking import Ranking, ranking_tables

READS = ("table", "measures")
# The tables that are made here, with their labels in the report.
TABLES = {
    "best": "best epsilons",
    "prediction": "what predicts them",
}
# What computes the numbers in them.
LIBRARY = {
    "best": ("studies.granularity.best_epsilon.estimate",),
    "prediction": (
        "studies.granularity.best_epsilon.predict",
        "studies.granularity.best_epsilon.dependence",
    ),
}
SETTINGS = (
    "estimator",
    "temperature",
    "measure",
    "basis",
    "bootstrap",
    "permutations",
    "scores",
)


def analyse(tables: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Table]:
    """Return the best epsilon of every target, and how well every measure predicts it.

    Args:
        tables: paths of the tables in ``READS``.
        settings: the study's name (``study``) and its settings in ``SETTINGS``.
    """
    best, prediction = ranking_tables(
        read_rows(tables["table"]), read_rows(tables["measures"]), Ranking(**settings)
    )
    return {"best": best, "prediction": prediction}
