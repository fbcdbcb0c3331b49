"""Pages of studies: HTML without scripts that loads nothing, made from templates."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from ..errors import UserError

TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


def render(template: str, folders: Sequence[Path], context: Mapping[str, Any]) -> str:
    """The page that a template makes of ``context``.

    Args:
        template: its file name.
        folders: searched in this order for it, and for what it extends and includes.
        context: all the names that the templates use.

    Raises:
        UserError: a template is in none of the folders.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    try:
        return environment.get_template(template).render(context)
    except jinja2.TemplateNotFound as error:
        where = " or ".join(str(folder) for folder in folders)
        raise UserError(f"{error}: there is no such template in {where}.") from None


def embedded(figure: Path, alternative: str, caption: Path) -> dict[str, str]:
    """A figure as the templates show it: a data URI, an alternative text and a caption.

    Args:
        figure: the SVG or PNG file.
        alternative: what the figure shows, for readers who cannot see it.
        caption: the file that Snakemake's report shows as the caption, too.

    Raises:
        UserError: a file is missing, or the figure is neither SVG nor PNG.
    """
    for needed in (figure, caption):
        if not needed.is_file():
            raise UserError(f"{needed}: there is no such file; the page needs it.")
    if figure.suffix not in TYPES:
        raise UserError(f"{figure}: a figure on a page is .svg or .png.")
    data = base64.b64encode(figure.read_bytes()).decode()
    return {
        "uri": f"data:{TYPES[figure.suffix]};base64,{data}",
        "alt": alternative,
        "caption": caption.read_text().strip(),
    }
