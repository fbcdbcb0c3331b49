"""Sources and targets that several studies share: what `use` refers to."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from ..advtransfer.errors import UserError
from ..advtransfer.wording import listed

USE = "use"


def resolved(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration in which sources and targets of studies are complete.

    A part with the key `use` gets the keys of the entry that it names in `sources` or `targets`.
    Keys beside `use` win, and null beside it removes a key. What has another shape than the schema
    wants is left as it is, for the schema to name.

    Raises:
        UserError: there is no such entry.
    """
    studies = config.get("studies")
    if not isinstance(studies, Mapping):
        return dict(config)
    found = {}
    for name, study in studies.items():
        if isinstance(study, Mapping):
            study = dict(study)
            if "sources" in study:
                key = f"studies.{name}.sources"
                study["sources"] = _complete(study["sources"], config, "sources", key)
            targets = study.get("targets")
            if isinstance(targets, Mapping):
                study["targets"] = {
                    target: _complete(part, config, "targets", f"studies.{name}.targets.{target}")
                    for target, part in targets.items()
                }
        found[name] = study
    return {**config, "studies": found}


def _complete(part: Any, config: Mapping[str, Any], section: str, key: str) -> Any:
    """Sources, or a target, with the keys of the entry that it uses."""
    if not isinstance(part, Mapping) or USE not in part:
        return part
    own = {name: value for name, value in part.items() if name != USE}
    wanted = part[USE]
    if wanted is None:
        return own
    entries = config.get(section)
    if not isinstance(entries, Mapping):
        entries = {}
    known = [name for name, entry in entries.items() if entry is not None]
    if wanted not in known:
        near = get_close_matches(str(wanted), known, 1)
        hint = f"did you mean '{near[0]}'? There" if near else "there"
        raise UserError(
            f"{key}.{USE}: no '{wanted}' in `{section}`; {hint} are {listed(known) or 'none'}."
        )
    entry = entries[wanted]
    return {**entry, **own} if isinstance(entry, Mapping) else own
