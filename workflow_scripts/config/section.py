"""What the sections of the configuration are made of: a closed base class, and types of their keys.

A section is a class, a key is one of its fields: its type, range, default and description.
`rules/schemas` is generated from them (`make schema`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from typing_extensions import TypeAliasType

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$(?!\n)"
NO_OPTION = r"^(?!-)"  # a path that a command does not take for an option
UNIQUE: dict[str, Any] = {"uniqueItems": True}
ALL_CLASSES = "all"


class Section(BaseModel):
    """A part of the configuration; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, regex_engine="python-re")


Name = TypeAliasType(
    "Name",
    Annotated[
        str,
        Field(pattern=NAME_PATTERN),
        # No type: of a name that is a number, another message says that it needs quotes.
        WithJsonSchema(
            {
                "pattern": NAME_PATTERN,
                "description": "A name: at most 64 letters a-z, digits, _ and -, the first no -",
            }
        ),
    ],
)
Names = Annotated[list[str], Field(min_length=1, json_schema_extra=UNIQUE)]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[list[Text], Field(min_length=1, json_schema_extra=UNIQUE)]
Classes = Annotated[
    Texts | Literal["all"],
    # One schema with two types: its messages name what is wrong with a list, where those of two
    # alternatives would say that neither fits.
    WithJsonSchema(
        {
            "type": ["array", "string"],
            "pattern": f"^{ALL_CLASSES}$",
            "items": {"type": "string", "minLength": 1},
            "minItems": 1,
            "uniqueItems": True,
        }
    ),
]
Epsilon = TypeAliasType(
    "Epsilon",
    Annotated[
        Annotated[float, Field(ge=0)]
        | Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(/[0-9]+(\.[0-9]+)?)?$")],
        Field(
            description="Radius of the ball, pixels in [0, 1]: a decimal or a fraction such as "
            "8/255"
        ),
    ],
)
Norm = Literal["linf", "l2"]
Half = TypeAliasType(
    "Half",
    Annotated[Literal[0, 1], Field(description="One of two disjoint halves of every class")],
)
Seed = Annotated[int, Field(ge=0, le=999_999_999)]
SeedBlocks = TypeAliasType(
    "SeedBlocks",
    Annotated[
        list[Annotated[list[Seed], Field(min_length=1, json_schema_extra=UNIQUE)]],
        Field(min_length=1, description="Blocks of seed indices"),
    ],
)
Mode = Literal["last_layer", "full_network"]
Modes = TypeAliasType(
    "Modes",
    Annotated[
        list[Mode],
        Field(
            min_length=1,
            json_schema_extra=UNIQUE,
            description="Modes of the protocol: last_layer (fixed-feature transfer), full_network; "
            "default: both",
        ),
    ],
)
Detail = Annotated[
    int,
    Field(
        ge=2,
        description="Pixels a side that images are reduced to before they get their size; default: "
        "not",
    ),
]
Superclasses = TypeAliasType(
    "Superclasses",
    Annotated[
        dict[Text, Annotated[Texts, Field(description="Classes of a superclass")]],
        Field(
            min_length=2,
            description="Labels that are unions of classes: the classes of every superclass, by "
            "its name",
        ),
    ],
)
