"""JSON schemas of shapes, with what their docstrings say of each attribute beside it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

import msgspec

Schema = dict[str, Any]

_ATTRIBUTES = re.compile(r"\n\s*Attributes:\n(?P<attributes>.*)\Z", re.DOTALL)
_ATTRIBUTE = re.compile(r"^(?P<names>\w+(?:, \w+)*): (?P<text>.*)$")


def schema_of(shapes: Sequence[type]) -> Schema:
    """The JSON Schema of messages that have any of some shapes."""
    schemas, components = msgspec.json.schema_components(shapes, ref_template="#/$defs/{name}")
    for component in components.values():
        describe(component)
    one_of_them: Schema = schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **one_of_them, "$defs": components}


def prose(text: str) -> str:
    """A docstring as Markdown: without the list of attributes, code in single backticks, lines joined."""
    body = _ATTRIBUTES.sub("", inspect.cleandoc(text))
    body = re.sub(r"\n\s*Attributes:.*\Z", "", body, flags=re.DOTALL)
    paragraphs = [" ".join(paragraph.split()) for paragraph in body.split("\n\n")]
    return "\n\n".join(paragraphs).replace("``", "`")


def describe(component: Schema) -> None:
    """Move the docstring's words about attributes to the properties."""
    text = inspect.cleandoc(component.get("description", ""))
    found = _ATTRIBUTES.search("\n" + text)
    if "description" in component:
        component["description"] = prose(text)
    if found is None:
        return
    told: dict[str, str] = {}
    names: list[str] = []
    for line in inspect.cleandoc(found["attributes"]).splitlines():
        begun = None if line.startswith(" ") else _ATTRIBUTE.match(line)
        if begun is not None:
            names = begun["names"].split(", ")
            told |= dict.fromkeys(names, begun["text"])
        else:
            told |= {name: f"{told[name]} {line.strip()}" for name in names}
    for name, schema in component.get("properties", {}).items():
        if name in told and "$ref" not in schema:
            schema.setdefault("description", told[name].replace("``", "`"))
