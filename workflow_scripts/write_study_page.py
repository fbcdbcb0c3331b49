"""Write the page of a study: what was asked, how it was measured, what came out.

The page is one HTML file without scripts that loads nothing: it opens from disk, and inside
Snakemake's report. Every number on it comes from the tables.
"""

import argparse

from .advtransfer.cli import run
from .advtransfer.page_step import page_parser, write_page

TABLES = {
    "table": "table of the study",
    "correlations": "table of correlations",
    "sources": "table of the study's sources",
}


def parser() -> argparse.ArgumentParser:
    return page_parser(__doc__, TABLES)


def main(arguments: argparse.Namespace) -> None:
    from .advtransfer.plotting import FigureRecipe
    from .advtransfer.study_page import render_page

    write_page(arguments, TABLES, FigureRecipe, render_page)


if __name__ == "__main__":
    run(main, parser())
