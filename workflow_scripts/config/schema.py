"""Generate rules/schemas from the typed sections (`make schema`).

`config.schema.json` is what a whole configuration is checked against. `overlay.schema.json` is for
editors: a file may say a part of it, and null removes an entry.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from ..studies import folders
from .check import SCHEMA
from .load import study_files
from .sections import Configuration

DIALECT = "https://json-schema.org/draft/2020-12/schema"
OVERLAY = SCHEMA.with_name("overlay.schema.json")
LONG_NAME = re.compile(r"workflow_scripts__studies__(?:kinds__)?(\w+?)__settings__(\w+)")
REFERENCE = "#/$defs/"
Schema = dict[str, Any]


class Generator(GenerateJsonSchema):
    """JSON schema as the checker's messages want it: no titles, no null (which removes a key before
    anything is checked), and nothing said twice of one value."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: Any) -> Schema:
        return self.generate_inner(schema["schema"])

    def literal_schema(self, schema: Any) -> Schema:
        expected = list(schema["expected"])
        return {"const": expected[0]} if len(expected) == 1 else {"enum": expected}

    def dict_schema(self, schema: Any) -> Schema:
        """A mapping whose names and values are constrained."""
        names = {k: v for k, v in self.generate_inner(schema["keys_schema"]).items() if k != "type"}
        found: Schema = {"type": "object"}
        if names:
            found["propertyNames"] = names
        found["additionalProperties"] = self.generate_inner(schema["values_schema"])
        self.update_with_validations(found, schema, self.ValidationsMapping.object)
        return found

    def default_schema(self, schema: Any) -> Schema:
        found = super().default_schema(schema)
        if found.get("default", 0) is None:
            del found["default"]
        return found

    def model_schema(self, schema: Any) -> Schema:
        found = super().model_schema(schema)
        del found["title"]
        found["description"] = _one_line(found["description"])
        found.setdefault("additionalProperties", False)
        return found


def full_schema() -> Schema:
    """The schema of a whole configuration, where every `use` is resolved."""
    settings = {name: folders.load(name, name, "settings").Settings for name in folders.kinds()}
    classes = [(one, "validation") for one in (Configuration, *settings.values())]
    _, found = models_json_schema(classes, schema_generator=Generator)  # type: ignore[arg-type]
    text = LONG_NAME.sub(_short_name, json.dumps(found["$defs"]))
    definitions: Schema = json.loads(text)
    for name in settings:
        known = definitions[name]["properties"]["kind"]
        definitions[name]["properties"]["kind"] = {
            "const": name,
            "description": known["description"],
        }
    whole = definitions.pop(Configuration.__name__)
    whole["properties"]["studies"] |= _studies(settings)
    return {
        "$schema": DIALECT,
        "title": "advtransfer configuration",
        **whole,
        "$defs": dict(sorted(definitions.items())),
    }


def overlay_schema() -> Schema:
    """The schema of a file that says a part of the configuration."""
    found = _partial(full_schema())
    return found | {"title": "advtransfer configuration, in part"}


def _studies(names: Iterable[str]) -> Schema:
    """What stands under `studies`: known studies by name, others by their kind."""
    known: Schema = {}
    for file in study_files():
        name = file.parent.name
        kind = yaml.safe_load(file.read_text())["studies"][name].get("kind", name)
        known[name] = {"$ref": REFERENCE + kind}
        if kind != name:
            known[name]["required"] = ["kind"]
    names = sorted(names)
    description = "What the study is: the kind whose keys it has"
    return {
        "properties": known,
        "additionalProperties": {
            "type": "object",
            "description": "A study of a known kind",
            "properties": {"kind": {"enum": names, "description": description}},
            "required": ["kind"],
            "allOf": [
                {
                    "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
                    "then": {"$ref": REFERENCE + name},
                }
                for name in names
            ],
            "additionalProperties": True,  # the kind says which
        },
    }


def _partial(value: Any) -> Any:
    """A schema without what has to be there, in which null may stand for every value."""
    if isinstance(value, list):
        return [_partial(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {
        key: part if key in ("if", "enum", "default", "propertyNames") else _partial(part)
        for key, part in value.items()
        if not (key in ("required", "minProperties") and not isinstance(part, dict))
    }
    if isinstance(found.get("type"), (str, list)):
        types = found["type"]
        found["type"] = list(
            dict.fromkeys([*([types] if isinstance(types, str) else types), "null"])
        )
    if isinstance(found.get("enum"), list):
        found["enum"] = [*found["enum"], None]
    if isinstance(found.get("const"), (str, int)):
        found["enum"] = [found.pop("const"), None]
    return found


def _short_name(match: re.Match[str]) -> str:
    """Name of a class that several modules define: the kind's, and for its parts with their own."""
    kind, name = match.groups()
    return str(kind) if name == "Settings" else f"{kind}.{name}"


def _one_line(text: str) -> str:
    """A docstring as a description that can stand in a sentence."""
    return " ".join(text.split()).removesuffix(".")


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--output", help="folder to write both schemas to; default: print the first"
    )
    parser.add_argument(
        "--check", action="store_true", help="fail if rules/schemas is not what would be written"
    )
    return parser


def main(arguments: argparse.Namespace) -> None:
    if arguments.output is None and not arguments.check:
        print(_text(full_schema()), end="")
        return
    texts = {SCHEMA: _text(full_schema()), OVERLAY: _text(overlay_schema())}
    if arguments.check:
        old = [f.name for f in texts if f.read_text(encoding="utf-8") != texts[f]]
        if old:
            sys.exit(f"{' and '.join(old)} in rules/schemas: not up to date; run `make schema`.")
        return
    for file, text in texts.items():
        (Path(arguments.output) / file.name).write_text(text, encoding="utf-8")


def _text(schema: Schema) -> str:
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main(parser().parse_args())
