"""``GET /api/admin/audit``: who changed what."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from models.administration.changes import AuditEntry
from trafficapp.stores.administration.audit_queries import audit_page
from web.administration.answers import PAGE_HEADERS, administered, answer
from web.serving import parameters
from web.serving.context import CONTEXT
from web.serving.operations import Operation
from web.serving.shapes import Moment


class AuditQuery(Struct, frozen=True, kw_only=True):
    """Which rows: ``from <= at < to``, newest first."""

    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None
    actor: str | None = None
    action: str | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: str | None = None


async def audit(request: web.Request, query: AuditQuery) -> web.Response:
    """Who changed what, newest first."""
    cursor = parameters.cursor(request, parameters.IdCursor)
    found = await request.app[CONTEXT].reserved.ask(
        lambda pool: audit_page(
            pool,
            None if query.from_ is None else query.from_.time,
            None if query.to is None else query.to.time,
            query.actor,
            query.action,
            query.limit + 1,
            None if cursor is None else cursor.id,
        )
    )
    shown, headers = parameters.page(request, found, query.limit, lambda entry: parameters.IdCursor(entry.id))
    return answer(shown, headers)


def operations() -> list[Operation]:
    """What this module answers."""
    return [administered("GET /api/admin/audit", audit, answer=list[AuditEntry], errors=(503,), headers=PAGE_HEADERS)]
