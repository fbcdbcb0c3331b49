"""Write tables that have the same columns below one another into one table."""

import argparse

from .advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__, recipe=False)
    parser.add_argument("--tables", required=True, nargs="+", help="CSV files, in order")
    parser.add_argument("--output", required=True, help="CSV to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from .advtransfer.artifacts.table_reader import read_rows
    from .advtransfer.artifacts.table_writer import write_rows

    rows = [row for table in arguments.tables for row in read_rows(table)]
    write_rows(arguments.output, rows, list(rows[0]))


if __name__ == "__main__":
    run(main, parser())
