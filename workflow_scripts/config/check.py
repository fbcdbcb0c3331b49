"""The configuration: checked against its schema, every problem as one readable line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..advtransfer.characters import CONTROL
from ..advtransfer.errors import UserError
from ..advtransfer.wording import short

SCHEMA = Path(__file__).parents[2] / "rules" / "schemas" / "config.schema.json"
Config = dict[str, Any]


def check_config(config: Mapping[str, Any]) -> None:
    """Refuse a configuration that does not fit the schema.

    Raises:
        UserError: every problem, by key, with what was expected and the nearest known key.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    # To JSON Schema, 5.0 is an integer; as epochs or as a seed it is a mistake.
    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: _is_int(value))
    validator = extend(Draft202012Validator, type_checker=types)(json.loads(SCHEMA.read_text()))
    errors = list(validator.iter_errors(config))
    if any(_is_named(error) for error in errors):
        errors = [error for error in errors if not _may_be_named(error)]
    lines = {line for error in errors for line in _lines(error, validator.schema)}
    problems = sorted(lines | set(_unfit(config)))
    if problems:
        raise UserError(
            "the configuration has "
            + ("one problem:" if len(problems) == 1 else f"{len(problems)} problems:")
            + "".join(f"\n  - {line}" for line in problems)
            + "\nconfig.yaml explains every key, and workflow_scripts/studies/<study>/config.yaml "
            "those of a study; a file given with --configfile is laid over them."
        )


def without_nulls(value: Any) -> Any:
    """A configuration without the entries that an overlay set to null, which removes them."""
    if isinstance(value, Mapping):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _unfit(value: Any, path: str = "") -> Iterator[str]:
    """What YAML can hold and a recipe cannot: keys that are no text, numbers that are not finite,
    control characters (no path, command line or log can hold them all)."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            where = _join(path, str(key))
            if not isinstance(key, str):
                yield f"{where}: YAML reads this name as {type(key).__name__}; put it in quotes."
            elif CONTROL.search(key):
                yield f"{where}: a name has no line breaks or other control characters."
            yield from _unfit(item, where)
    elif isinstance(value, list):
        for k, item in enumerate(value):
            yield from _unfit(item, f"{path}[{k}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path}: expected a finite number, got {value}."
    elif isinstance(value, str) and CONTROL.search(value):
        yield f"{path}: {_shown(value)} has a line break or another control character."


KINDS = {  # JSON Schema's types in words
    "number": "a number",
    "integer": "a whole number",
    "string": "text",
    "array": "a list",
    "object": "a mapping",
}


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _is_named(error: Any) -> bool:
    """Whether an error is in an entry of `sources` or `targets`, which several studies use."""
    return list(error.absolute_path)[:1] in (["sources"], ["targets"])


def _may_be_named(error: Any) -> bool:
    """Whether an error is in the sources or targets of a study, which may have it from an entry."""
    place = list(error.absolute_path)
    return place[:1] == ["studies"] and place[2:3] in (["sources"], ["targets"])


def _lines(error: Any, schema: Any) -> list[str]:
    """One schema violation in words."""
    path = _dotted(error.absolute_path)
    place = list(error.absolute_path)
    if place[:1] == ["studies"] and (lines := _study_lines(error, place, schema)):
        return lines
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(error.schema.get("properties", {}))
        unknown = [key for key in error.instance if key not in known]
        return [_unknown_key(path, key, known) for key in unknown]
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        properties = error.schema.get("properties", {})
        return [
            f"{_join(path, key)} is missing: {_description(properties.get(key, {}), schema)}."
            for key in missing
        ]
    value = error.instance
    if error.validator == "type" and error.validator_value == "integer" and _is_whole(value):
        return [f"{path}: expected a whole number, got {value}; write {int(value)}."]
    if isinstance(value, bool) and error.validator in ("type", "anyOf"):
        kind = KINDS.get(str(error.validator_value), "a number or text")
        return [
            f"{path}: expected {kind}, got {str(value).lower()}. YAML reads yes, no, on and off as "
            "true or false; put text in quotes."
        ]
    if error.validator == "pattern":
        what = _description(error.schema, schema)
        return [f"{path}: {_shown(value)} does not fit. {what}."]
    if isinstance(value, str) and error.validator in ("type", "anyOf"):
        wants_number = error.validator_value in ("integer", "number")
        if re.fullmatch(r"-?\d+(\.\d*)?[eE][+-]?\d+", value):
            return [
                f"{path}: '{value}' is text to YAML, which wants a dot and a sign of the exponent; "
                f"write {_yaml_number(value)}."
            ]
        if wants_number:
            return [f"{path}: expected a number, got the text '{value}'."]
    if error.validator == "anyOf":
        description = _description(error.schema, schema)
        return [f"{path}: {value!r} does not fit. {description}, not negative."]
    if error.validator == "minItems":
        return [f"{path}: needs at least {error.validator_value} item, got an empty list."]
    if error.validator == "minProperties":
        return [f"{path}: needs at least {error.validator_value} entry."]
    return [f"{path or 'the file'}: {error.message}."]


def _study_lines(error: Any, place: list[Any], schema: Any) -> list[str]:
    """A study that is not known, or of no known kind."""
    known = list(schema["properties"]["studies"]["properties"])
    kinds = schema["properties"]["studies"]["additionalProperties"]["properties"]["kind"]["enum"]
    path = _dotted(place)
    of_no_kind = error.validator == "required" and error.validator_value == ["kind"]
    if len(place) == 2 and of_no_kind and place[1] not in known:
        near = get_close_matches(place[1], known, 1)
        hint = f"did you mean '{near[0]}'? If it is" if near else "if it is"
        return [
            f"{path}: no such study; {hint} a study of your own, give it a `kind`, one of "
            f"{', '.join(kinds)}."
        ]
    if len(place) == 3 and place[2] == "kind" and error.validator == "enum":
        near = get_close_matches(str(error.instance), kinds, 1)
        hint = f"did you mean '{near[0]}'? There" if near else "there"
        return [
            f"{path}: no kind of study is called {_shown(str(error.instance))}; {hint} are "
            f"{', '.join(kinds)}."
        ]
    return []


def _yaml_number(text: str) -> str:
    """``1e-3`` as YAML reads numbers: ``0.001 or 1.0e-3``."""
    mantissa, exponent = text.lower().split("e")
    mantissa += "" if "." in mantissa else ".0"
    exponent = exponent if exponent[0] in "+-" else f"+{exponent}"
    short = f"{float(text):g}"
    return f"{mantissa}e{exponent}" if "e" in short else f"{short} or {mantissa}e{exponent}"


def _unknown_key(path: str, key: str, known: list[str]) -> str:
    near = get_close_matches(str(key), known, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}."
    return f"{_join(path, str(key))}: no such key; {hint}"


def _description(schema: Mapping[str, Any], root: Any) -> str:
    if "description" in schema:
        return str(schema["description"])
    reference = str(schema.get("$ref", "")).rsplit("/", 1)[-1]
    return str(root.get("$defs", {}).get(reference, {}).get("description", "required"))


def _join(path: str, key: str) -> str:
    key = key if short(key) == key and key.isprintable() else _shown(key)
    return f"{path}.{key}" if path else key


def _dotted(path: Any) -> str:
    text = ""
    for part in path:
        text = f"{text}[{part}]" if isinstance(part, int) else _join(text, str(part))
    return text


def _shown(text: str) -> str:
    """A text in quotes as a message can hold it: short, and without control characters."""
    return repr(short(text))
