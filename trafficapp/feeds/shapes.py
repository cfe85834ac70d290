"""What a shape must allow for the fields that a feed names, and what these are called in messages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct, inspect, structs

from models.records import MALFORMED

#: As `models.timestamps.rfc3339` writes times.
_WRITTEN = ("2026-01-14T12:00:00Z", "2026-01-14T12:00:00.000001Z")

#: Types of values that are decoded, as far as they matter.
_TYPES: Mapping[type[inspect.Type], type] = {inspect.FloatType: float, inspect.BoolType: bool}


def written_name(shape: type[Struct], field: str) -> str:
    """What a field is called in messages."""
    return dict(zip(shape.__struct_fields__, shape.__struct_encode_fields__, strict=True))[field]


def written_names(shape: type[Struct]) -> list[str]:
    """What producers call all fields of a shape."""
    return [written_name(shape, field) for field in shape.__struct_fields__]


def check_shape(shape: type[Struct], texts: Iterable[str], never_null: Iterable[str]) -> None:
    """Look at the types of fields.

    Args:
        shape: of messages.
        texts: fields that must be texts.
        never_null: fields that must not be null.

    Raises:
        ValueError: a field is declared otherwise.
    """
    types = {field.name: field.type for field in _struct(shape).fields}
    if wrong := sorted({field for field in texts if not _is_text(types[field])}):
        raise ValueError(f"{', '.join(wrong)} of {shape.__name__} must be a text")
    if wrong := sorted({field for field in never_null if _may_be_null(types[field])}):
        raise ValueError(f"{', '.join(wrong)} of {shape.__name__} must not be null")


def number_fields(shape: type[Struct]) -> dict[str, bool]:
    """What fields that are numbers, and no texts, are called in messages; and whether they are whole numbers."""
    found = {}
    for field in _struct(shape).fields:
        kinds = _plain_kinds(field.type)
        numbers = [kind for kind in kinds if isinstance(kind, inspect.IntType | inspect.FloatType)]
        if numbers and len(numbers) == len(kinds):
            found[field.encode_name] = all(isinstance(kind, inspect.IntType) for kind in numbers)
    return found


def only_types(shape: type[Struct]) -> dict[str, type]:
    """Fields whose values are of one type, or null, in every message that was decoded; by their names in the shape."""
    found: dict[str, type] = {}
    for field in _struct(shape).fields:
        kinds = {_TYPES.get(type(kind)) for kind in _plain_kinds(field.type)}
        if len(kinds) == 1 and (only := kinds.pop()) is not None:
            found[field.name] = only
    return found


def narrowed(shape: type[Struct], fields: Collection[str]) -> type[Struct]:
    """A shape that reads some fields of messages of another one, each as that does, and steps over the others.

    Args:
        shape: of messages.
        fields: names in the shape. One that is told from others by a tag, or by the places of its fields, or that looks
            at itself as a whole, stays as it is.
    """
    config = shape.__struct_config__
    if config.tag is not None or config.array_like or hasattr(shape, "__post_init__"):
        return shape
    read: list[tuple[str, Any, Any]] = []
    # both kinds of defaults are given, one of them as unset, which its types do not say
    make: Any = msgspec.field
    for field in structs.fields(shape):
        if field.name in fields:
            default = make(name=field.encode_name, default=field.default, default_factory=field.default_factory)
            read.append((field.name, field.type, default))
    return msgspec.defstruct(f"Some{shape.__name__}", read, kw_only=True, gc=config.gc)


def check_time(sample: Struct, field: str) -> None:
    """Try whether a field takes times as documents have them: a document is read again.

    Raises:
        ValueError: it does not.
    """
    decode = msgspec.json.Decoder(type(sample)).decode
    for told in _WRITTEN:
        try:
            decode(msgspec.json.encode(structs.replace(sample, **{field: told})))
        except MALFORMED as error:
            raise ValueError(f"{field} must take a text such as {told}: {error}") from None


def field_kinds(shape: type[Struct]) -> dict[str, list[inspect.Type]]:
    """What the values of each field may be, but for null; by their names in the shape."""
    return {field.name: _plain_kinds(field.type) for field in _struct(shape).fields}


def _struct(shape: type[Struct]) -> inspect.StructType:
    found = inspect.type_info(shape)
    if not isinstance(found, inspect.StructType):
        raise TypeError(f"{shape.__name__} is no shape")
    return found


def _plain_kinds(kind: inspect.Type) -> list[inspect.Type]:
    """What a value may be, but for null."""
    if isinstance(kind, inspect.Metadata):
        return _plain_kinds(kind.type)
    if isinstance(kind, inspect.UnionType):
        return [plain for one in kind.types for plain in _plain_kinds(one)]
    return [] if isinstance(kind, inspect.NoneType) else [kind]


def _is_text(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.Metadata):
        return _is_text(kind.type)
    if isinstance(kind, inspect.LiteralType):
        return all(isinstance(value, str) for value in kind.values)
    return isinstance(kind, inspect.StrType)


def _may_be_null(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.Metadata):
        return _may_be_null(kind.type)
    if isinstance(kind, inspect.UnionType):
        return any(_may_be_null(one) for one in kind.types)
    return isinstance(kind, inspect.NoneType | inspect.AnyType | inspect.RawType)
