"""Write the page of a study: its question, its method and its results.

The page is one HTML file without scripts that loads nothing. Every number on it comes from the
tables. The recipe holds the facts that the page states and the settings that it reads, as JSON.
"""

import argparse

from .advtransfer.cli import add_named, add_study, run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    add_study(parser)
    add_named(parser, "--tables", "tables to read (CSV)")
    add_named(parser, "--figures", "figures to show (SVG or PNG)")
    parser.add_argument("--output", required=True, help="page to write (HTML)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import json
    from pathlib import Path

    from .advtransfer.artifacts.files import atomic
    from .advtransfer.artifacts.table_reader import read_rows
    from .advtransfer.recipes import from_plain
    from .advtransfer.report.page import embedded, render
    from .advtransfer.report.shared import shared_in_words
    from .advtransfer.report.words import fact_text
    from .studies import folders

    study, kind = arguments.study, arguments.kind
    page = folders.load(study, kind, "page")
    recipe = json.loads(arguments.recipe)
    facts = recipe.pop("facts")
    settings = from_plain(page.Settings, {"study": study, **recipe})
    declared = folders.figures(study, kind)
    origins = folders.origins(study, kind)
    figures = {}
    for name, file in arguments.figures.items():
        figure = declared[name]
        caption = folders.HERE / figure.module.with_suffix(".rst")
        files = " and ".join(origins[table].file for table in figure.tables)
        drawn = f"Drawn by {figure.module.as_posix()}" + (f" from {files}." if files else ".")
        figures[name] = {**embedded(Path(file), figure.alt, caption), "origin": drawn}
    counted = "table" in arguments.tables  # a study's main table counts shared images
    context = {
        "study": study,
        "facts": [(name, fact_text(value)) for name, value in facts.items()],
        "figures": figures,
        "origins": origins,
        "shared": shared_in_words(read_rows(arguments.tables["table"])) if counted else "",
        **page.context(arguments.tables, settings),
    }
    text = render("page.html.j2", folders.templates(study, kind), context)
    with atomic(arguments.output) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run(main, parser())
