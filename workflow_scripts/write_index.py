"""List every artefact of a configuration: what it is, its name in the config, its path."""

import argparse

from .advtransfer.cli import run, step_parser

COLUMNS = ("study", "kind", "name", "seed", "path")


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--output", required=True, help="CSV to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import json

    from .advtransfer.artifacts import write_rows
    from .advtransfer.plan import index_rows, make_plan

    write_rows(arguments.output, index_rows(make_plan(json.loads(arguments.recipe))), COLUMNS)


if __name__ == "__main__":
    run(main, parser())
