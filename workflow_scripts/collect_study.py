"""Gather a study's artefacts into its tidy tables.

The recipe is the study's part of the configuration: what exists and where follows from it, so the
step needs no list of files.
"""

import argparse

from .advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--root", default=".", help="folder that holds results/ (default: here)")
    parser.add_argument("--table", required=True, help="CSV to write: every metric, every pair")
    parser.add_argument("--sources", required=True, help="CSV to write: accuracies of the sources")
    parser.add_argument("--curves", required=True, help="CSV to write: transfer over epochs")
    parser.add_argument("--per-image", required=True, help="CSV to write: the primary attack")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import contextlib
    import json
    from pathlib import Path

    from .advtransfer import tables
    from .advtransfer.artifacts.table_writer import write_rows
    from .advtransfer.plan import make_plan

    (study,) = make_plan(json.loads(arguments.recipe)).pairs.values()
    with contextlib.chdir(Path(arguments.root)):
        gathered = {
            arguments.table: tables.metric_rows(study),
            arguments.sources: tables.source_rows(study),
            arguments.curves: tables.curve_rows(study),
            arguments.per_image: tables.per_image_rows(study),
        }
    for path, (columns, rows) in gathered.items():
        write_rows(path, rows, columns)


if __name__ == "__main__":
    run(main, parser())
