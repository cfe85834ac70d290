"""Places in long lists: the parameter ``cursor`` and the header ``Link``."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, TypeVar

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from models.timestamps import epoch_us, from_epoch_us
from web.serving.problems import ProblemError

MAX_IDENTIFIER_CHARACTERS = 256

_Shape = TypeVar("_Shape")
_Row = TypeVar("_Row")


class _TimeCursor(Struct, array_like=True):
    """Where a page of what has times and ids ended."""

    time_us: int
    id: uuid.UUID


#: The largest number of a row in the database.
LARGEST_ID = (1 << 63) - 1


class IdCursor(Struct, array_like=True):
    """Where a page of numbered rows ended."""

    id: Annotated[int, Meta(ge=0, le=LARGEST_ID)]


def cursor(request: web.Request, shape: type[_Shape]) -> _Shape | None:
    """The parameter ``cursor``: a place that an earlier answer gave.

    Raises:
        ProblemError: it is none of ours.
    """
    value = request.query.get("cursor")
    if value is None:
        return None
    try:
        padded = value.encode("ascii") + b"=" * (-len(value) % 4)
        return msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=shape)
    except (msgspec.MsgspecError, binascii.Error, UnicodeError):
        raise _none_of_ours() from None


def stored_id_cursor(request: web.Request) -> str | None:
    """The same where a place is an id that Postgres keeps.

    Raises:
        ProblemError: it is none of ours.
    """
    after = cursor(request, str)
    if after is not None and "\0" in after:
        raise _none_of_ours()
    return after


def time_cursor(request: web.Request) -> tuple[datetime, uuid.UUID] | None:
    """The same where a place is a time and an id.

    Raises:
        ProblemError: it is none of ours.
    """
    place = cursor(request, _TimeCursor)
    return None if place is None else (cursor_time(place.time_us), place.id)


def cursor_time(time_us: int) -> datetime:
    """A time that stands in a cursor.

    Raises:
        ProblemError: it is none of ours.
    """
    try:
        return from_epoch_us(time_us)
    except OverflowError:
        raise _none_of_ours() from None


def next_link(request: web.Request, place: object, pinned: Mapping[str, str] | None = None) -> str:
    """Value of the header ``Link`` to the page behind ``place``; ``pinned`` parameters replace the request's."""
    token = base64.urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode()
    url = request.rel_url.update_query({**(pinned or {}), "cursor": token})
    return f'<{url}>; rel="next"'


def link_behind(
    request: web.Request, end: tuple[datetime, uuid.UUID] | None, pinned: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The header that leads to the page behind a time and an id, see `next_link`; none when there is no such page."""
    if end is None:
        return {}
    return {hdrs.LINK: next_link(request, _TimeCursor(epoch_us(end[0]), end[1]), pinned)}


def page(
    request: web.Request, found: Sequence[_Row], limit: int, place: Callable[[_Row], object]
) -> tuple[Sequence[_Row], dict[str, str]]:
    """The rows of a page, and the headers that lead on.

    Args:
        request: whose address the next page has, but for the cursor.
        found: one row more than the page holds when there are more.
        limit: rows of a page.
        place: what the cursor says of the last row.
    """
    shown = found[:limit]
    if len(found) <= limit:
        return shown, {}
    return shown, {hdrs.LINK: next_link(request, place(shown[-1]))}


def _none_of_ours() -> ProblemError:
    return ProblemError(400, "cursor is none that an earlier answer gave")
