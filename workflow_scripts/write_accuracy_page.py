"""Write the page of accuracy and robustness together: what was asked, measured and found.

One HTML file without scripts that loads nothing; every number on it comes from the tables.
"""

import argparse

from .advtransfer.cli import run
from .advtransfer.page_step import page_parser, write_page

TABLES = {
    "points": "table of architectures and epsilons",
    "correlations": "table of R^2 by epsilon",
    "predictors": "table of left-out errors",
    "width": "table of accuracy over width",
}


def parser() -> argparse.ArgumentParser:
    return page_parser(__doc__, TABLES)


def main(arguments: argparse.Namespace) -> None:
    from .advtransfer.plotting import FigureRecipe
    from .studies.accuracy_and_robustness.page import render_page

    write_page(arguments, TABLES, FigureRecipe, render_page)


if __name__ == "__main__":
    run(main, parser())
