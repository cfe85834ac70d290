"""JSON schemas of shapes, for the documents: what validates is what is described."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from models.alerts import LARGEST_ALERT_NUMBER
from web.serving.shapes import AlertKey, Moment

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/{name}"

_MOMENT: Schema = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "number", "minimum": 0, "maximum": 253402300799000},
    ],
    "description": "ISO 8601 with any offset, a naive one is UTC; or seconds or milliseconds since 1970.",
    "examples": ["2026-01-14T07:00:00Z", 1768374000],
}

_ALERT_KEY: Schema = {
    "anyOf": [
        {"type": "string", "format": "uuid"},
        {"type": "integer", "minimum": 0, "maximum": LARGEST_ALERT_NUMBER},
    ],
    "description": "The `id` of the alert or its `alert_number`.",
}

_ATTRIBUTES = re.compile(r"\n\s*Attributes:\n(?P<attributes>.*)\Z", re.DOTALL)
_ATTRIBUTE = re.compile(r"^(?P<names>\w+(?:, \w+)*): (?P<text>.*)$")


class Schemas:
    """Schemas of some types and of everything that they are made of.

    Args:
        types: any that msgspec can encode or decode.
    """

    def __init__(self, types: Iterable[Any]) -> None:
        listed = list(types)
        schemas, self._components = msgspec.json.schema_components(listed, schema_hook=_special, ref_template=REFERENCE)
        self._schemas = dict(zip(map(repr, listed), schemas, strict=True))
        for component in self._components.values():
            _describe(component)

    def of(self, kind: Any) -> Schema:
        """The schema of one of the types, mostly a reference."""
        return self._schemas[repr(kind)]

    def resolved(self, kind: Any) -> Schema:
        """The schema of one of the types itself, not a reference to it."""
        schema = self.of(kind)
        return self._components[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema

    def components(self, document: Any) -> dict[str, Schema]:
        """The components that a document refers to, and those that these refer to, in order of their names."""
        found: dict[str, Schema] = {}
        waiting = list(_references(document))
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = self._components[name]
                waiting.extend(_references(found[name]))
        return dict(sorted(found.items()))


def prose(text: str) -> str:
    """A docstring as Markdown: without the list of attributes, code in single backticks, lines joined."""
    body = _ATTRIBUTES.sub("", inspect.cleandoc(text))
    body = re.sub(r"\n\s*Attributes:.*\Z", "", body, flags=re.DOTALL)
    paragraphs = [" ".join(paragraph.split()) for paragraph in body.split("\n\n")]
    return "\n\n".join(paragraphs).replace("``", "`")


def _special(kind: type) -> Schema:
    if kind is Moment:
        return dict(_MOMENT)
    if kind is AlertKey:
        return dict(_ALERT_KEY)
    raise NotImplementedError(f"no schema for {kind}")


def _describe(component: Schema) -> None:
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


def _references(node: Any) -> Iterable[str]:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith(REFERENCE.format(name="")):
            yield reference.rpartition("/")[2]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
