"""Write the page of the study of granularity: what was asked, measured and found.

One HTML file without scripts that loads nothing; every number on it comes from the tables.
"""

import argparse

from .advtransfer.cli import run
from .advtransfer.page_step import page_parser, write_page

TABLES = {
    "table": "the study's transferred networks",
    "sources": "table of the study's sources",
    "measures": "measures of its targets",
    "best": "best epsilons",
    "prediction": "what predicts them",
}


def parser() -> argparse.ArgumentParser:
    return page_parser(__doc__, TABLES)


def main(arguments: argparse.Namespace) -> None:
    from .studies.granularity.page import render_page
    from .studies.granularity.plotting import GranularityFigure

    write_page(arguments, TABLES, GranularityFigure, render_page)


if __name__ == "__main__":
    run(main, parser())
