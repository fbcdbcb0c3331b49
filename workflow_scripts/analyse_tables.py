"""Compute a study's tables of statistics from its tables of measurements.

The recipe holds the settings of the study that its analysis reads, as JSON.
"""

import argparse

from .advtransfer.cli import add_named, add_study, run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    add_study(parser)
    add_named(parser, "--tables", "tables to read (CSV)")
    add_named(parser, "--output", "tables to write (CSV)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import json

    from .advtransfer.artifacts.table_writer import write_rows
    from .studies import folders

    analysis = folders.load(arguments.study, arguments.kind, "analysis")
    settings = {"study": arguments.study, **json.loads(arguments.recipe)}
    tables = analysis.analyse(arguments.tables, settings)
    for name, path in arguments.output.items():
        columns, rows = tables[name]
        write_rows(path, rows, columns)


if __name__ == "__main__":
    run(main, parser())
