"""What the steps that write a study's page share: the command line, and the way it is written."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .cli import step_parser


def page_parser(description: str | None, tables: Mapping[str, str]) -> argparse.ArgumentParser:
    """Parser of such a step. ``tables``: what each option that names a table (CSV) is."""
    parser = step_parser(description or "")
    for name, what in tables.items():
        parser.add_argument(f"--{name}", required=True, help=f"{what} (CSV)")
    parser.add_argument(
        "--figures", nargs="*", default=[], metavar="NAME=FILE", help="figures by name"
    )
    parser.add_argument(
        "--template", required=True, help="template; base, parts and captions lie beside it"
    )
    parser.add_argument("--output", required=True, help="page to write (HTML)")
    return parser


def write_page(
    arguments: argparse.Namespace,
    tables: Mapping[str, str],
    recipe: type,
    render: Callable[[Any, dict[str, str], list[str], Path], str],
) -> None:
    """Write the page that ``render`` makes of the ``recipe`` (its class), tables and figures."""
    from .artifacts.files import atomic
    from .recipes import from_json

    page = render(
        from_json(recipe, arguments.recipe),
        {name: getattr(arguments, name) for name in tables},
        arguments.figures,
        Path(arguments.template),
    )
    with atomic(arguments.output) as temporary:
        temporary.write_text(page, encoding="utf-8")
