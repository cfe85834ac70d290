"""``GET /api/caller``: who asks, by the token that came along."""

from __future__ import annotations

from typing import Literal, cast

from aiohttp import web

from models.administration.callers import CallerNow, encode_caller
from models.timestamps import rfc3339
from web.auth.access import caller_of
from web.serving.answers import json_answer
from web.serving.operations import Operation, Tag


async def caller(request: web.Request) -> web.Response:
    """Who asks, and the role that the token gives: what a page need not offer."""
    found = caller_of(request)
    ends = None if found.expires_at is None else rfc3339(int(found.expires_at * 1e6))
    role = cast("Literal['nobody', 'viewer', 'operator', 'admin']", str(found.role))
    told = CallerNow(name=found.name, role=role, authenticated=found.authenticated, expires_at=ends)
    return json_answer(encode_caller(told))


def operations() -> list[Operation]:
    """What this module answers."""
    return [Operation("GET /api/caller", caller, Tag.OPERATION, CallerNow)]
