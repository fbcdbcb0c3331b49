"""Write the page of a study of detection: what was asked, measured and found.

One HTML file without scripts that loads nothing; every number on it comes from the tables.
"""

import argparse

from .advtransfer.cli import run
from .advtransfer.page_step import page_parser, write_page

TABLES = {
    "table": "average precision",
    "differences": "table of paired differences",
    "sources": "table of the study's sources",
}


def parser() -> argparse.ArgumentParser:
    return page_parser(__doc__, TABLES)


def main(arguments: argparse.Namespace) -> None:
    from .studies.detection.page import render_page
    from .studies.detection.plotting import DetectionFigureRecipe

    write_page(arguments, TABLES, DetectionFigureRecipe, render_page)


if __name__ == "__main__":
    run(main, parser())
