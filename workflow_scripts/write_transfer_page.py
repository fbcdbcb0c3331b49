"""Write the page of the study of fixed-feature and full-network transfer.

One HTML file without scripts that loads nothing; every number on it comes from the tables.
"""

import argparse

from .advtransfer.cli import run
from .advtransfer.page_step import page_parser, write_page

TABLES = {
    "summary": "all-of table",
    "best": "best-of table",
    "selection": "choices on test images",
    "correlations": "correlations of both modes' accuracies",
    "sources": "table of the study's sources",
}


def parser() -> argparse.ArgumentParser:
    return page_parser(__doc__, TABLES)


def main(arguments: argparse.Namespace) -> None:
    from .advtransfer.plotting import FigureRecipe
    from .studies.fixed_vs_full.page import render_page

    write_page(arguments, TABLES, FigureRecipe, render_page)


if __name__ == "__main__":
    run(main, parser())
