"""Write the page of a study of detection: what was asked, measured and found.

One HTML file without scripts that loads nothing; every number on it comes from the tables.
"""

import argparse
from pathlib import Path

from .advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__ or "")
    parser.add_argument("--table", required=True, help="average precision (CSV)")
    parser.add_argument("--differences", required=True, help="table of paired differences (CSV)")
    parser.add_argument("--sources", required=True, help="table of the study's sources (CSV)")
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
    from .advtransfer.detection_page import render_page
    from .advtransfer.detection_plotting import DetectionFigureRecipe
    from .advtransfer.recipes import from_json

    recipe = from_json(DetectionFigureRecipe, arguments.recipe)
    names = ("table", "differences", "sources")
    tables = {name: getattr(arguments, name) for name in names}
    page = render_page(recipe, tables, arguments.figures, Path(arguments.template))
    with atomic(arguments.output) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run(main, parser())
