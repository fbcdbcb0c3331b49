"""Write the page of accuracy and robustness together: what was asked, measured and found.

One HTML file without scripts that loads nothing; every number on it comes from the tables.
"""

import argparse
from pathlib import Path

from .advtransfer.cli import run, step_parser

TABLES = ("points", "correlations", "predictors", "width")


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--points", required=True, help="table of architectures and epsilons (CSV)")
    parser.add_argument("--correlations", required=True, help="table of R^2 by epsilon (CSV)")
    parser.add_argument("--predictors", required=True, help="table of left-out errors (CSV)")
    parser.add_argument("--width", required=True, help="table of accuracy over width (CSV)")
    parser.add_argument(
        "--figures", nargs="*", default=[], metavar="NAME=FILE", help="figures by name"
    )
    parser.add_argument(
        "--template", required=True, help="template; base, parts and captions lie beside it"
    )
    parser.add_argument("--output", required=True, help="page to write (HTML)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from .advtransfer.accuracy_page import render_page
    from .advtransfer.artifacts import atomic
    from .advtransfer.plotting import FigureRecipe
    from .advtransfer.recipes import from_json

    recipe = from_json(FigureRecipe, arguments.recipe)
    tables = {name: getattr(arguments, name) for name in TABLES}
    page = render_page(recipe, tables, arguments.figures, Path(arguments.template))
    with atomic(arguments.output) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run(main, parser())
