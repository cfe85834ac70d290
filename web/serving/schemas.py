"""JSON schemas of shapes, for the documents: what validates is what is described."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from models.alerts import LARGEST_ALERT_NUMBER
from models.described_schemas import Schema, describe
from web.serving.shapes import AlertKey, Moment

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
            describe(component)

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


def _special(kind: type) -> Schema:
    if kind is Moment:
        return dict(_MOMENT)
    if kind is AlertKey:
        return dict(_ALERT_KEY)
    raise NotImplementedError(f"no schema for {kind}")


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
