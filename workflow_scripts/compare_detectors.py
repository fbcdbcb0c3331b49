"""Paired differences between detectors: average precision on a source minus on the baseline's.

Detectors are paired by seed: those of one seed began with the same first weights of all but the
backbone, and met the same images in the same order.
"""

import argparse

from .advtransfer.cli import log, run, step_parser

COLUMNS = (
    "study",
    "task",
    "data",
    "of",
    "metric",
    "model",
    "training",
    "baseline_training",
    "value",
    "ci_low",
    "ci_high",
    "mean",
    "baseline_mean",
    "n_source_seeds",
)


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__ or "")
    parser.add_argument("--table", required=True, help="average precision (CSV)")
    parser.add_argument("--output", required=True, help="CSV to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import json
    import math

    from .advtransfer import plotting
    from .advtransfer.artifacts.table_writer import write_rows
    from .advtransfer.detection_plotting import AP_COLUMNS
    from .advtransfer.statistics.paired import paired_difference

    recipe = json.loads(arguments.recipe)
    table = plotting.read_table(arguments.table, AP_COLUMNS)
    rows = []
    places = ["task", "data", "of", "metric", "source_model"]
    for key, cell in table.groupby(places, sort=False):
        place = dict(zip(places, key, strict=True))
        values = cell.pivot_table(
            index="source_seed", columns="source_training", values="value", dropna=False
        )
        if recipe["baseline"] not in values:
            continue
        for training in dict.fromkeys(cell["source_training"]):
            if training == recipe["baseline"]:
                continue
            found = paired_difference(values[[training]], values[[recipe["baseline"]]])
            if not found.n_source_seeds:
                continue
            place["model"] = place.pop("source_model", place.get("model"))
            measured = found._asdict()
            measured.pop("n_subset_seeds")
            rows.append(
                {
                    "study": recipe["study"],
                    **place,
                    "training": training,
                    "baseline_training": recipe["baseline"],
                    **{
                        name: "" if isinstance(value, float) and math.isnan(value) else value
                        for name, value in measured.items()
                    },
                }
            )
    log.info("%d differences", len(rows))
    write_rows(arguments.output, rows, COLUMNS)


if __name__ == "__main__":
    run(main, parser())
