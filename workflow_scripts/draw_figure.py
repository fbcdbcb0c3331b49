"""Draw one figure of a study from its tables.

The recipe holds the settings of the study that the figure reads, as JSON.
"""

import argparse

from .advtransfer.cli import add_named, add_study, run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    add_study(parser)
    parser.add_argument("--figure", required=True, help="name of a module in the study's figures/")
    add_named(parser, "--tables", "tables to read (CSV)")
    add_named(parser, "--files", "artefacts that the figure shows besides tables")
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import json

    from .advtransfer.plotting.save import save
    from .advtransfer.recipes import from_plain
    from .studies import folders

    module = folders.load(arguments.study, arguments.kind, f"figures.{arguments.figure}")
    recipe = {"study": arguments.study, **json.loads(arguments.recipe)}
    settings = from_plain(module.Settings, recipe)
    files = (arguments.files,) if arguments.files else ()
    save(module.draw(arguments.tables, settings, *files), arguments.output)


if __name__ == "__main__":
    run(main, parser())
