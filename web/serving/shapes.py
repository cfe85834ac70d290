"""Parts of a request into the shapes that operations declare."""

from __future__ import annotations

import math
import re
import uuid
from datetime import datetime
from decimal import Decimal
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from models.alerts import LARGEST_ALERT_NUMBER
from models.plain_text import HIDDEN, LINE_PATTERN, TEXT_PATTERN
from models.timestamps import epoch_us, from_epoch_us
from web.auth.callers import MAX_NAME_CHARACTERS
from web.serving.context import CONTEXT
from web.serving.limits import read_body
from web.serving.problems import ProblemError

Shape = TypeVar("Shape", bound=Struct)

#: Name of a camera, a zone, a road segment that is asked for: producers may have called one as they like. Postgres
#: keeps no NUL.
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[^\x00]+$")]

_UNPRINTABLE = rf"{HIDDEN}\xa0\u200b-\u200f\u2060-\u206f\u3000"

#: Somebody's name; `web.auth.callers.is_name` says the rest.
Person = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARACTERS, pattern=LINE_PATTERN.replace(HIDDEN, _UNPRINTABLE)),
]
#: Text of some lines.
Message = Annotated[str, msgspec.Meta(max_length=2000, pattern=TEXT_PATTERN)]

# "+" in a query string means a space, and people forget to write %2B
_OFFSET_AFTER_SPACE = re.compile(r"(\d) (\d\d:?\d\d)$")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_ALERT_NUMBER = re.compile(r"[0-9]{1,16}")
_INTEGER = re.compile(r"-?[0-9]+")


class Moment:
    """A point in time in a query: ISO 8601 with any offset (a naive one is UTC), or epoch seconds or milliseconds.

    Attributes:
        time: aware, in UTC.
    """

    __slots__ = ("time",)

    def __init__(self, text: str) -> None:
        try:
            told = Decimal(text) if _NUMBER.fullmatch(text) else _OFFSET_AFTER_SPACE.sub(r"\1+\2", text)
            self.time: datetime = from_epoch_us(epoch_us(told))
        except (ValueError, ArithmeticError):
            raise ValueError(f"{text[:64]!r} is neither ISO 8601 nor epoch seconds or milliseconds") from None


class AlertKey:
    """Which alert, in a path: its id, or its number for clients that take whole numbers only.

    Attributes:
        id: None when the number was given.
        number: None when the id was given.
    """

    __slots__ = ("id", "number")

    def __init__(self, text: str) -> None:
        self.id: uuid.UUID | None = None
        self.number: int | None = None
        if _ALERT_NUMBER.fullmatch(text):
            self.number = int(text)
            if self.number > LARGEST_ALERT_NUMBER:
                raise ValueError(f"{text} is larger than the number of any alert")
            return
        try:
            self.id = uuid.UUID(text)
        except ValueError:
            raise ValueError(f"{text[:64]!r} is neither the id of an alert nor its number") from None


def _decode_special(kind: type, value: Any) -> Any:
    if kind in (Moment, AlertKey) and isinstance(value, str):
        return kind(value)
    raise NotImplementedError(f"no way to read {kind}")


def from_path(request: web.Request, shape: type[Shape]) -> Shape:
    """The variable parts of the path.

    Raises:
        ProblemError: 400, they do not fit.
    """
    return _convert(dict(request.match_info), shape)


def from_query(request: web.Request, shape: type[Shape]) -> Shape:
    """The query string; unknown parameters are ignored.

    Raises:
        ProblemError: 400, a known parameter does not fit or is given twice.
    """
    known = _names(shape)
    values: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known:
            continue
        if name in values:
            raise ProblemError(HTTPStatus.BAD_REQUEST, f"{name} may be given once")
        values[name] = value
    return _convert(values, shape)


async def from_body(request: web.Request, shape: type[Shape]) -> Shape:
    """The JSON body; unknown fields are ignored, and no body is as good as an empty object.

    Raises:
        ProblemError: 400, it is no JSON; 413, it is too large; 422, it has another shape.
    """
    raw = await read_body(request, request.config_dict[CONTEXT].settings.limits.body_bytes) or b"{}"
    try:
        return msgspec.json.decode(raw, type=shape, dec_hook=_decode_special)
    except msgspec.ValidationError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"the body does not fit: {error}") from None
    except RecursionError:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"the body is no JSON: {error}") from None


@cache
def _names(shape: type[Struct]) -> dict[str, str]:
    """Names of the fields by those that they are told under: finding them takes as long as answering."""
    return {field.encode_name: field.name for field in msgspec.structs.fields(shape)}


@cache
def _integers(shape: type[Struct]) -> frozenset[str]:
    """Names of the fields that hold whole numbers."""
    found = set()
    for field in msgspec.inspect.type_info(shape).fields:  # type: ignore[attr-defined]
        kinds = field.type.types if isinstance(field.type, msgspec.inspect.UnionType) else (field.type,)
        if any(isinstance(kind, msgspec.inspect.IntType) for kind in kinds):
            found.add(field.encode_name)
    return frozenset(found)


def _convert(values: dict[str, str], shape: type[Shape]) -> Shape:
    for name in _integers(shape) & values.keys():
        # msgspec would read 1e3 and 1.0 as well
        if not _INTEGER.fullmatch(values[name]):
            raise ProblemError(HTTPStatus.BAD_REQUEST, f"{name} must be a whole number")
    try:
        converted = msgspec.convert(values, shape, strict=False, dec_hook=_decode_special)
    except (msgspec.ValidationError, ValueError) as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, str(error)) from None
    names = _names(shape)
    for told, given in values.items():
        value = getattr(converted, names[told]) if told in names else given
        # msgspec reads null, nan and inf as well
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            raise ProblemError(HTTPStatus.BAD_REQUEST, f"{told} may not be {given}")
    return converted
