"""Steps called in this process, and what their figures say."""

from __future__ import annotations

import importlib
from pathlib import Path
from xml.etree import ElementTree


def run_step(step: str, line: list[str]) -> None:
    module = importlib.import_module(f"workflow_scripts.{step}")
    module.main(module.parser().parse_args(line))


def texts(path: Path) -> str:
    """All that an SVG says, one line of text per line."""
    found = ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")
    return "\n".join("".join(node.itertext()) for node in found)
