"""Write the page of the study of fixed-feature and full-network transfer.

One HTML file without scripts that loads nothing; every number on it comes from the tables.
"""

import argparse
from pathlib import Path

from .advtransfer.cli import run, step_parser

TABLES = {
    "summary": "all-of table (CSV)",
    "best": "best-of table (CSV)",
    "selection": "choices on test images (CSV)",
    "correlations": "of both modes' accuracies (CSV)",
    "sources": "table of the study's sources (CSV)",
}


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    for name, what in TABLES.items():
        parser.add_argument(f"--{name}", required=True, help=what)
    parser.add_argument(
        "--figures", nargs="*", default=[], metavar="NAME=FILE", help="figures by name"
    )
    parser.add_argument(
        "--template", required=True, help="template; base, parts and captions lie beside it"
    )
    parser.add_argument("--output", required=True, help="page to write (HTML)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from .advtransfer.artifacts import atomic
    from .advtransfer.plotting import FigureRecipe
    from .advtransfer.recipes import from_json
    from .advtransfer.transfer_page import render_page

    recipe = from_json(FigureRecipe, arguments.recipe)
    tables = {name: getattr(arguments, name) for name in TABLES}
    page = render_page(recipe, tables, arguments.figures, Path(arguments.template))
    with atomic(arguments.output) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run(main, parser())
