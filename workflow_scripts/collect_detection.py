"""Gather the artefacts of a study of detection into its tidy tables.

The recipe is the study's part of the configuration: what exists and where follows from it, so the
step needs no list of files.
"""

import argparse

from .advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__ or "")
    parser.add_argument("--root", default=".", help="folder that holds results/ (default: here)")
    parser.add_argument("--table", required=True, help="CSV to write: average precision")
    parser.add_argument("--sources", required=True, help="CSV to write: the sources and their cost")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import contextlib
    import json
    from pathlib import Path

    from .advtransfer import detection_tables as tables
    from .advtransfer.artifacts.table_writer import write_rows
    from .advtransfer.plan import make_plan
    from .advtransfer.source_tables import source_table

    (study,) = make_plan(json.loads(arguments.recipe)).detection.values()
    with contextlib.chdir(Path(arguments.root)):
        gathered = {
            arguments.table: tables.ap_table(study),
            arguments.sources: source_table(study),
        }
    for path, (columns, rows) in gathered.items():
        write_rows(path, rows, columns)


if __name__ == "__main__":
    run(main, parser())
