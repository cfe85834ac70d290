"""How administration answers: JSON, and lists in pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated, TypeVar

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from web.auth.access import Access
from web.serving import parameters
from web.serving.operations import Tag, operation

_Row = TypeVar("_Row")

_encode = msgspec.json.Encoder().encode

#: The operation of a view that is for administrators.
administered = partial(operation, tag=Tag.ADMINISTRATION, access=Access.ADMINISTER)

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
    return web.Response(body=_encode(body), content_type="application/json", headers=headers, status=status)


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
    return shown, {hdrs.LINK: parameters.next_link(request, place(shown[-1]))}
