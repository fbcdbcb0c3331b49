"""Write the page of the study of data efficiency: what was asked, measured and found.

One HTML file without scripts that loads nothing; every number on it comes from the tables.
"""

import argparse

from .advtransfer.cli import run
from .advtransfer.page_step import page_parser, write_page

TABLES = {
    "differences": "table of paired differences",
    "sources": "table of the study's sources",
    "similarity": "table of distances to targets",
}


def parser() -> argparse.ArgumentParser:
    return page_parser(__doc__, TABLES)


def main(arguments: argparse.Namespace) -> None:
    from .advtransfer.plotting import FigureRecipe
    from .studies.data_efficiency.page import render_page

    write_page(arguments, TABLES, FigureRecipe, render_page)


if __name__ == "__main__":
    run(main, parser())
