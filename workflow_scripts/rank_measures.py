"""Find the best epsilon of every target, and how well each measure of granularity predicts it."""

import argparse

from .advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--table", required=True, help="the study's transferred networks (CSV)")
    parser.add_argument("--measures", required=True, help="measures of its targets (CSV)")
    parser.add_argument("--best", required=True, help="CSV to write: best epsilons")
    parser.add_argument("--prediction", required=True, help="CSV to write: what predicts them")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import json

    from .advtransfer.artifacts.table_reader import read_rows
    from .advtransfer.artifacts.table_writer import write_rows
    from .advtransfer.measure_ranking import ranking_tables

    tables = ranking_tables(
        read_rows(arguments.table), read_rows(arguments.measures), **json.loads(arguments.recipe)
    )
    for path, (columns, rows) in zip((arguments.best, arguments.prediction), tables, strict=True):
        write_rows(path, rows, columns)


if __name__ == "__main__":
    run(main, parser())
