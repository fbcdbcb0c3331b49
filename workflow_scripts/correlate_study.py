"""Correlate every transferability metric of a study with knowledge transfer.

Model seeds are not independent: intervals and p-values resample and permute models as wholes.
"""

import argparse

from .advtransfer.cli import log, run, step_parser

COLUMNS = (
    "study",
    "target",
    "reference",
    "sources",
    "metric",
    "direction",
    "attack",
    "norm",
    "epsilon",
    "transfer",
    "statistic",
    "value",
    "ci_low",
    "ci_high",
    "p_value",
    "n_models",
    "n_rows",
    "role",
)
CONDITIONS = ["target", "reference", "metric", "direction", "attack", "norm", "epsilon"]
TRANSFERS = ("last_layer_accuracy", "full_network_accuracy")


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--table", required=True, help="the study's table (CSV)")
    parser.add_argument("--output", required=True, help="CSV to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import io
    import json
    import math
    from typing import Any

    import pandas as pd
    from tqdm import tqdm

    from .advtransfer.artifacts.sealed import csv_bytes
    from .advtransfer.artifacts.table_writer import write_rows
    from .advtransfer.statistics.correlations import correlate_all

    recipe = json.loads(arguments.recipe)
    table = pd.read_csv(io.BytesIO(csv_bytes(arguments.table)))
    primary = recipe["primary"]
    subsets = {"natural": table[table["robust"] == 0]}
    if (table["robust"] == 1).any():
        subsets["all"] = table
    rows = []
    for name, subset in subsets.items():
        # Reference seeds are averaged first: they are repeats of one measurement of a source.
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
                    bootstrap=recipe["bootstrap"],
                    permutations=recipe["permutations"],
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
                        "study": recipe["study"],
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
    write_rows(arguments.output, rows, COLUMNS)


if __name__ == "__main__":
    run(main, parser())
