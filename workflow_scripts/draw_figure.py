"""Draw one figure of a study from its tables.

The recipe has the study's settings that the figure asks for, as JSON.
"""

import argparse

from .advtransfer.cli import add_named, add_study, run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    add_study(parser)
    parser.add_argument("--figure", required=True, help="name of a module in the study's figures/")
    add_named(parser, "--tables", "tables to read (CSV)")
    add_named(parser, "--files", "artefacts that the figure shows besides tables", required=False)
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import json

    from .studies import folders

    module = folders.load(arguments.study, arguments.kind, f"figures.{arguments.figure}")
    settings = {"study": arguments.study, **json.loads(arguments.recipe)}
    raise NotImplementedError(module, settings)  # until the figures have their interface


if __name__ == "__main__":
    run(main, parser())
