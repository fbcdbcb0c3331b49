"""Print the paths of the report, pages, figures and tables of a finished run."""

import argparse
from pathlib import Path

from .advtransfer.cli import run, step_parser
from .advtransfer.errors import UserError


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__, recipe=False)
    parser.add_argument("folder", type=Path, help="results, or results/<label>")
    return parser


def main(arguments: argparse.Namespace) -> None:
    folder: Path = arguments.folder
    report = folder / "report.html"
    if not report.is_file():
        raise UserError(f"{report}: no such file; run `snakemake` first.")
    for title, paths in (
        ("Report (open in a browser)", [report]),
        ("Pages", sorted(folder.glob("pages/*.html"))),
        ("Figures", sorted(folder.glob("figures/*/*.svg"))),
        ("Tables", sorted(folder.glob("tables/*.csv"))),
    ):
        print(f"\n{title}:")
        for path in paths:
            print(f"  {path}")


if __name__ == "__main__":
    run(main, parser())
