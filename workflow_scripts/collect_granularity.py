"""Gather what was measured on the targets of a study of granularity into one tidy table.

The recipe is the study's part of the configuration: what exists and where follows from it, so the
step needs no list of files.
"""

import argparse

from .advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--root", default=".", help="folder that holds results/ (default: here)")
    parser.add_argument("--output", required=True, help="CSV to write: every measure of a target")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import contextlib
    import json
    from pathlib import Path

    from .advtransfer.artifacts.table_writer import write_rows
    from .advtransfer.granularity_tables import measure_table
    from .advtransfer.plan import make_plan
    from .advtransfer.studies.granularity import GranularityStudy

    (study,) = make_plan(json.loads(arguments.recipe)).studies.values()
    assert isinstance(study, GranularityStudy)
    with contextlib.chdir(Path(arguments.root)):
        columns, rows = measure_table(study)
    write_rows(arguments.output, rows, columns)


if __name__ == "__main__":
    run(main, parser())
