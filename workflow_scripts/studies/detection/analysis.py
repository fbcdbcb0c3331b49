"""Paired differences between detectors: average precision on a source minus on the baseline's.

Detectors are paired by seed: those of one seed began with the same first weights of all but the
backbone, and met the same images in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...advtransfer.cli import log
from ..source_tables import Table
from .columns import AP_COLUMNS, DIFFERENCE_COLUMNS

READS = ("table",)
# The tables that are made here, with their labels in the report.
TABLES = {"differences": "paired differences"}
# What computes the numbers in them.
LIBRARY = {"differences": ("advtransfer.statistics.paired.paired_difference",)}
SETTINGS = ("baseline",)


def analyse(tables: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Table]:
    """Compare the detectors of every training with those of the baseline.

    Args:
        tables: paths of the tables in ``READS``.
        settings: the study's name (``study``) and its settings in ``SETTINGS``.
    """
    import math

    from ...advtransfer.plotting.frames import read_table
    from ...advtransfer.statistics.paired import paired_difference

    table = read_table(tables["table"], AP_COLUMNS)
    rows = []
    places = ["task", "data", "of", "metric", "source_model"]
    for key, cell in table.groupby(places, sort=False):
        place = dict(zip(places, key, strict=True))
        values = cell.pivot_table(
            index="source_seed", columns="source_training", values="value", dropna=False
        )
        if settings["baseline"] not in values:
            continue
        for training in dict.fromkeys(cell["source_training"]):
            if training == settings["baseline"]:
                continue
            found = paired_difference(values[[training]], values[[settings["baseline"]]])
            if not found.n_source_seeds:
                continue
            place["model"] = place.pop("source_model", place.get("model"))
            measured = found._asdict()
            measured.pop("n_subset_seeds")
            rows.append(
                {
                    "study": settings["study"],
                    **place,
                    "training": training,
                    "baseline_training": settings["baseline"],
                    **{
                        name: "" if isinstance(value, float) and math.isnan(value) else value
                        for name, value in measured.items()
                    },
                }
            )
    log.info("%d differences", len(rows))
    return {"differences": (list(DIFFERENCE_COLUMNS), rows)}
