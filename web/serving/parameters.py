"""Places in long lists: the parameter ``cursor`` and the header ``Link``."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from aiohttp import web

from web.serving.problems import ProblemError

MAX_IDENTIFIER_CHARACTERS = 256

_Shape = TypeVar("_Shape")


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
        raise ProblemError(400, "cursor is none that an earlier answer gave") from None


def next_link(request: web.Request, place: object, pinned: Mapping[str, str] | None = None) -> str:
    """Value of the header ``Link`` to the page behind ``place``; ``pinned`` parameters replace the request's."""
    token = base64.urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode()
    url = request.rel_url.update_query({**(pinned or {}), "cursor": token})
    return f'<{url}>; rel="next"'
