"""Read the configuration as the Snakefile does: every study's settings, config.yaml, overlays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ..advtransfer.errors import UserError

ROOT = Path(__file__).parents[2]
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
STUDIES = "workflow_scripts/studies"


def study_files(root: Path = ROOT) -> list[Path]:
    """Files with the settings of a study each."""
    return sorted((root / STUDIES).glob("*/config.yaml"))


def load(*overlays: str | Path, root: Path = ROOT) -> dict[str, Any]:
    """The configuration of the workflow in ``root`` with files laid over it.

    Args:
        overlays: files like those given with --configfile, relative to ``root``.
    """
    config: dict[str, Any] = {}
    files = (*study_files(root), root / "config.yaml", *(root / name for name in overlays))
    check_files(files)
    for file in files:
        merge(config, yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    return config


def check_files(files: Iterable[str | Path]) -> None:
    """Refuse files of the configuration in which a key stands twice; YAML keeps the second alone.

    Raises:
        UserError: Every such key of all files, and both its lines.
    """
    found = []
    for file in files:
        try:
            root = yaml.compose(Path(file).read_text(encoding="utf-8-sig"), Loader=LOADER)
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue  # whoever reads the file reports it
        found += [f"{file}: {twice}" for twice in dict.fromkeys(_twice(root, "", set()))]
    if found:
        raise UserError(
            "a key stands twice in one mapping, and only the second would count:"
            + "".join(f"\n  - {one}" for one in found)
            + "\nPut what belongs together under one key, or remove one of the two."
        )


def _twice(node: Any, path: str, seen: set[int]) -> Iterator[str]:
    """Keys that stand twice in a mapping of this node, with their lines."""
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for k, item in enumerate(node.value):
            yield from _twice(item, f"{path}[{k}]", seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            where = f"{path}.{key.value}" if path else str(key.value)
            line, name = key.start_mark.line + 1, (key.tag, str(key.value))
            if name in lines:
                yield f"{where}, lines {lines[name]} and {line}"
            lines.setdefault(name, line)
            yield from _twice(value, where, seen)


def merge(config: dict[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``overlay`` over ``config``, in place: mappings key by key, everything else whole."""
    for key, value in overlay.items():
        if isinstance(value, Mapping):
            below = config.get(key)
            config[key] = merge(below if isinstance(below, dict) else {}, value)
        else:
            config[key] = value
    return config
