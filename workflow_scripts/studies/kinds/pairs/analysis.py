"""Correlate every transferability metric of a study with knowledge transfer.

Seeds of one model are not independent, so intervals resample whole models
and p-values permute them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....advtransfer.cli import log
from ...columns import Table
from .columns import CORRELATION_COLUMNS

READS = ("table",)
# Tables that are made here, with their labels in the report.
TABLES = {"correlations": "correlations"}
LIBRARY = {"correlations": ("advtransfer.statistics.correlations.correlate_all",)}
SETTINGS = ("primary", "bootstrap", "permutations")
CONCATENATED = ("correlations",)  # one file has those of all studies of the main job
CONDITIONS = ["target", "reference", "metric", "direction", "attack", "norm", "epsilon"]
TRANSFERS = ("last_layer_accuracy", "full_network_accuracy")


def analyse(tables: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Table]:
    """Correlate every metric with every mode of knowledge transfer, for each set of conditions.

    Args:
        tables: paths of the tables in ``READS``.
        settings: the study's name (``study``) and its settings in ``SETTINGS``.
    """
    import io
    import math

    import pandas as pd
    from tqdm import tqdm

    from ....advtransfer.artifacts.sealed import csv_bytes
    from ....advtransfer.statistics.correlations import correlate_all

    table = pd.read_csv(io.BytesIO(csv_bytes(tables["table"])))
    primary = settings["primary"]
    subsets = {"natural": table[table["robust"] == 0]}
    if (table["robust"] == 1).any():
        subsets["all"] = table
    rows = []
    for name, subset in subsets.items():
        # Reference seeds repeat one measurement of a source, so they are averaged first.
        values = ["value", "source_accuracy", *TRANSFERS]
        means = subset.groupby([*CONDITIONS, "source", "source_seed"], sort=True)[values].mean()
        grouped = means.groupby(level=CONDITIONS, sort=True)
        for conditions, group in tqdm(grouped, desc=f"{name} sources", disable=None, leave=False):
            wide = group.reset_index().pivot(index="source", columns="source_seed", values=values)
            for transfer in TRANSFERS:
                found = correlate_all(
                    wide["value"].to_numpy(),
                    wide[transfer].to_numpy(),
                    wide["source_accuracy"].to_numpy(),
                    bootstrap=settings["bootstrap"],
                    permutations=settings["permutations"],
                    seed=0,
                )
                for statistic, result in found.items():
                    row: dict[str, Any] = dict(zip(CONDITIONS, conditions, strict=True))
                    is_primary = (
                        name == "natural"
                        and statistic == "pearson"
                        and transfer == primary["transfer"]
                        and math.isclose(row["epsilon"], primary["epsilon"], rel_tol=1e-6)
                        and all(row[key] == primary[key] for key in CONDITIONS if key != "epsilon")
                    )
                    row |= {
                        "study": settings["study"],
                        "sources": name,
                        "transfer": transfer,
                        "statistic": statistic,
                        "role": "primary" if is_primary else "exploratory",
                    }
                    row |= {
                        key: "" if isinstance(value, float) and math.isnan(value) else value
                        for key, value in result._asdict().items()
                    }
                    rows.append(row)
                    if is_primary:
                        log.info("primary: %s", result)
    return {"correlations": (list(CORRELATION_COLUMNS), rows)}
