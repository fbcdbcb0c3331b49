"""Write the page of a study: what was asked, how it was measured, what came out.

The page is one HTML file without scripts that loads nothing: it opens from disk, and inside
Snakemake's report. Every number on it comes from the tables.
"""

import argparse
from pathlib import Path

from .advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--table", required=True, help="table of the study (CSV)")
    parser.add_argument("--correlations", required=True, help="table of correlations (CSV)")
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
    from .advtransfer.plotting import FigureRecipe
    from .advtransfer.recipes import from_json
    from .advtransfer.study_page import render_page

    recipe = from_json(FigureRecipe, arguments.recipe)
    tables = {name: getattr(arguments, name) for name in ("table", "correlations", "sources")}
    page = render_page(recipe, tables, arguments.figures, Path(arguments.template))
    with atomic(arguments.output) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run(main, parser())
