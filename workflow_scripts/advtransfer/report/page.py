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
    """Return the page that a template makes of ``context``.

    Args:
        template: file name of the template.
        folders: folders to search, in this order, for the template and those that it uses.
        context: values of all names in the templates.

    Raises:
        UserError: A template is in none of the folders.
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
    """Return a figure for the templates: a data URI, an alternative text and a caption.

    Args:
        figure: the SVG or PNG file.
        alternative: description of the figure for readers who cannot see it.
        caption: the file with the caption, which Snakemake's report shows, too.

    Raises:
        UserError: A file is missing, or the figure is neither SVG nor PNG.
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
