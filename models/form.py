"""Reading a message of JSON by its shape, with a stable word for what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from models.cameras.detections import MAX_MESSAGE_BYTES, UNDECODABLE, Rejected

Shape = TypeVar("Shape", bound=Struct)


def read_form(
    value: bytes | None,
    shape: type[Shape],
    decode: Callable[[bytes], Shape],
    texts: Collection[str] = (),
    forgive: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Shape:
    """Read a message.

    Args:
        value: the message.
        shape: what it should be.
        decode: the fast decoder of that shape.
        texts: names of fields that are texts, and may be sent as whole numbers.
        forgive: mends what else may be sent otherwise; called only for messages that have not the form.

    Raises:
        Rejected: it has not the form.
    """
    if not value:
        raise Rejected("empty", "the message has no value")
    if len(value) > MAX_MESSAGE_BYTES:
        raise Rejected("too_large", f"the message has {len(value):,} bytes, and {MAX_MESSAGE_BYTES:,} are read")
    try:
        return decode(value)
    except UNDECODABLE:
        pass  # a closer look names the fault, or forgives it
    try:
        message: Any = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("not_json", str(error)) from None
    if not isinstance(message, dict):
        raise Rejected("invalid_field", f"expected an object, got {type(message).__name__}")
    for name in texts:
        if isinstance(message.get(name), int) and not isinstance(message[name], bool):
            message[name] = str(message[name])
    forgive(message)
    try:
        return msgspec.convert(message, shape)
    except msgspec.ValidationError as error:
        reason = "missing_field" if "missing required field" in str(error) else "invalid_field"
        raise Rejected(reason, str(error)) from None
