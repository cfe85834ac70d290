"""Answers in JSON, and the headers that say more of them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import hdrs, web

#: The header of what is answered while Redis is away.
FROM_POSTGRES = {"X-Data-Source": "postgres"}

#: Documents the header of lists that come in pages.
NEXT_PAGE = (hdrs.LINK, 'the next page: `<...>; rel="next"`')

#: Documents `FROM_POSTGRES`.
MAY_BE_FROM_POSTGRES = ("X-Data-Source", "`postgres` while Redis is away")


def json_answer(body: bytes, headers: Mapping[str, str] | None = None, status: int = HTTPStatus.OK) -> web.Response:
    """An answer whose body is JSON already."""
    return web.Response(body=body, content_type="application/json", headers=headers, status=status)
