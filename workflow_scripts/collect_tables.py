"""Gather a study's artefacts into its tidy tables.

The recipe is the part of the configuration that determines these artefacts and their paths, so the
step needs no list of files.
"""

import argparse

from .advtransfer.cli import add_named, add_study, run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    add_study(parser)
    parser.add_argument("--root", default=".", help="folder that holds results/ (default: here)")
    add_named(parser, "--output", "tables to write (CSV)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import contextlib
    import json
    from pathlib import Path

    from .advtransfer.artifacts.table_writer import write_rows
    from .studies import folders

    design = folders.load(arguments.study, arguments.kind, "design")
    study = design.Reader(json.loads(arguments.recipe), arguments.study).study()
    with contextlib.chdir(Path(arguments.root)):
        tables = folders.load(arguments.study, arguments.kind, "tables").collect(study)
    for name, path in arguments.output.items():
        columns, rows = tables[name]
        write_rows(path, rows, columns)


if __name__ == "__main__":
    run(main, parser())
