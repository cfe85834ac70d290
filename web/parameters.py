"""Query parameters, read strictly: a wrong one is told, never guessed."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

import msgspec
from aiohttp import web

from models.timestamps import epoch_us, from_epoch_us
from web.problems import ProblemError

MAX_IDENTIFIER_CHARACTERS = 256

_Shape = TypeVar("_Shape")
# "+" in a query string means a space, and people forget to write %2B
_OFFSET_AFTER_SPACE = re.compile(r"(\d) (\d\d:?\d\d)$")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


def one(request: web.Request, name: str) -> str | None:
    """The value of a parameter, or None when it is absent.

    Raises:
        ProblemError: it is given more than once.
    """
    values = request.query.getall(name, [])
    if len(values) > 1:
        raise ProblemError(400, f"{name} may be given once")
    return values[0] if values else None


def camera_id(request: web.Request) -> str | None:
    """The parameter ``camera_id``, or None when it is absent.

    Raises:
        ProblemError: it cannot be a camera's name.
    """
    value = one(request, "camera_id")
    if value is not None and not 0 < len(value) <= MAX_IDENTIFIER_CHARACTERS:
        raise ProblemError(400, f"camera_id must have 1 to {MAX_IDENTIFIER_CHARACTERS} characters")
    return value


def moment(request: web.Request, name: str) -> datetime | None:
    """A point in time: ISO 8601 with any offset (a naive one is UTC), or epoch seconds or milliseconds.

    Raises:
        ProblemError: it is neither.
    """
    value = one(request, name)
    if value is None:
        return None
    try:
        if _NUMBER.fullmatch(value):
            return from_epoch_us(epoch_us(float(value)))
        return from_epoch_us(epoch_us(_OFFSET_AFTER_SPACE.sub(r"\1+\2", value)))
    except (ValueError, OverflowError):
        raise ProblemError(
            400, f"{name} {value[:64]!r} is neither ISO 8601 nor epoch seconds or milliseconds"
        ) from None


def limit(request: web.Request, default: int, largest: int) -> int:
    """The parameter ``limit``, 1 to ``largest``.

    Raises:
        ProblemError: it is no such number.
    """
    value = one(request, "limit")
    if value is None:
        return default
    if not value.isascii() or not value.isdigit() or len(value) > 9 or not 1 <= int(value) <= largest:
        raise ProblemError(400, f"limit must be a number from 1 to {largest}")
    return int(value)


def cursor(request: web.Request, shape: type[_Shape]) -> _Shape | None:
    """The parameter ``cursor``: a place that an earlier answer gave.

    Raises:
        ProblemError: it is none of ours.
    """
    value = one(request, "cursor")
    if value is None:
        return None
    try:
        padded = value.encode("ascii") + b"=" * (-len(value) % 4)
        return msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=shape)
    except (msgspec.MsgspecError, binascii.Error, UnicodeError):
        raise ProblemError(400, "cursor is none that an earlier answer gave") from None


def next_link(request: web.Request, place: object, pinned: Mapping[str, str] | None = None) -> str:
    """Value of the header ``Link`` to the page behind ``place``; ``pinned`` parameters replace the request's."""
    token = base64.urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode()
    url = request.rel_url.update_query({**(pinned or {}), "cursor": token})
    return f'<{url}>; rel="next"'
