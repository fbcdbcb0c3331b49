"""Gather the artefacts of a study of data efficiency into its tidy tables.

The recipe is the study's part of the configuration: what exists and where follows from it, so the
step needs no list of files.
"""

import argparse

from .advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--root", default=".", help="folder that holds results/ (default: here)")
    parser.add_argument("--table", required=True, help="CSV to write: every transferred network")
    parser.add_argument("--curves", required=True, help="CSV to write: transfer over epochs")
    parser.add_argument("--robustness", required=True, help="CSV to write: them under attack")
    parser.add_argument("--sources", required=True, help="CSV to write: the sources and their cost")
    parser.add_argument("--similarity", required=True, help="CSV to write: targets by distance")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import contextlib
    import json
    from pathlib import Path

    from .advtransfer import efficiency_tables as tables
    from .advtransfer.artifacts.table_writer import write_rows
    from .advtransfer.plan import make_plan

    (study,) = make_plan(json.loads(arguments.recipe)).efficiency.values()
    with contextlib.chdir(Path(arguments.root)):
        transfers, curves, robustness = tables.transfer_tables(study)
        gathered = {
            arguments.table: transfers,
            arguments.curves: curves,
            arguments.robustness: robustness,
            arguments.sources: tables.source_table(study),
            arguments.similarity: tables.similarity_table(study),
        }
    for path, (columns, rows) in gathered.items():
        write_rows(path, rows, columns)


if __name__ == "__main__":
    run(main, parser())
