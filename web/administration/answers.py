"""How administration answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from web.auth.access import Access
from web.serving.answers import json_answer
from web.serving.operations import Operation, Tag

_encode = msgspec.json.Encoder().encode

#: The operation of a view that is for administrators.
administered = partial(Operation, tag=Tag.ADMINISTRATION, access=Access.ADMINISTER)

#: Documents the header of lists.
PAGE_HEADERS = (("Link", 'The next page: `<...>; rel="next"`. Absent on the last one.'),)

#: Documents the header of writes.
WRITE_HEADERS = (
    ("X-Publication", "`pending` when the write is done, while other parts of the system are still to be told."),
)


#: The largest number of a row in the database.
LARGEST_ID = (1 << 63) - 1


class IdCursor(Struct, array_like=True):
    """Where a page of numbered rows ended."""

    id: Annotated[int, Meta(ge=0, le=LARGEST_ID)]


def answer(body: object, headers: Mapping[str, str] | None = None, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """A JSON answer."""
    return json_answer(_encode(body), headers, status)
