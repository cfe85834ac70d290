"""How administration answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from web.auth.access import Access
from web.serving.answers import json_answer
from web.serving.operations import Operation, Tag, View

_encode = msgspec.json.Encoder().encode

#: The operation of a view that is for administrators.
administered = partial(Operation, tag=Tag.ADMINISTRATION, access=Access.ADMINISTER)

#: Documents the header of lists.
PAGE_HEADERS = (("Link", 'The next page: `<...>; rel="next"`. Absent on the last one.'),)

#: Documents the header of writes.
WRITE_HEADERS = (
    ("X-Publication", "`pending` when the write is done, while other parts of the system are still to be told."),
)


def creating(call: str, view: View, answer: Any, what: str) -> Operation:
    """The operation of a view that makes something and says in the header ``Location`` where it is."""
    headers = (("Location", f"Where the {what} is."), *WRITE_HEADERS)
    return administered(call, view, answer=answer, status=HTTPStatus.CREATED, errors=(409, 422, 503), headers=headers)


def answer(body: object, headers: Mapping[str, str] | None = None, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """A JSON answer."""
    return json_answer(_encode(body), headers, status)
