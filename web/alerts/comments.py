"""``/api/alerts/{id}/comments``: what people write about an alert."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from models.alerts import AlertComment
from trafficapp.stores.alerts.comments import add_comment
from trafficapp.stores.alerts.comments import comments as stored_comments
from trafficapp.stores.alerts.queries import alert as stored_alert
from web.alerts.views import AlertId, encode, id_of, live_alert, unknown_alert
from web.auth.access import Access
from web.serving import parameters
from web.serving.answers import NEXT_PAGE, json_answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag
from web.serving.shapes import Message
from web.serving.writing import Write, write

PATH = "/api/alerts/{id}/comments"


class NewComment(Struct, frozen=True):
    """Some lines of text."""

    comment: Annotated[Message, Meta(min_length=1)]


class CommentQuery(Struct, frozen=True, kw_only=True):
    """A page of comments, the oldest first."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: str | None = None


async def comment(request: web.Request, path: AlertId, body: NewComment) -> web.Response:
    """Write about an alert.

    A comment changes nothing about the alert; the audit log has it, too.
    """
    context = request.app[CONTEXT]
    alert_id = await id_of(context, path.id)
    live = await live_alert(context, alert_id)

    async def change(under_way: Write) -> AlertComment:
        if live is None and await stored_alert(under_way.connection, alert_id) is None:
            raise unknown_alert(alert_id)
        written = await add_comment(under_way.connection, alert_id, under_way.actor.name, body.comment)
        await under_way.audit("alerts.comment", str(alert_id), after={"comment": body.comment})
        return written

    written = await write(request, change)
    return json_answer(encode(written.result), written.headers, HTTPStatus.CREATED)


async def comments(request: web.Request, path: AlertId, query: CommentQuery) -> web.Response:
    """What was written about an alert, the oldest first."""
    context = request.app[CONTEXT]
    alert_id = await id_of(context, path.id)
    cursor = parameters.cursor(request, parameters.IdCursor)
    after = 0 if cursor is None else cursor.id
    found = await context.database.ask(lambda pool: stored_comments(pool, alert_id, after, query.limit + 1))
    shown, headers = parameters.page(request, found, query.limit, lambda one: parameters.IdCursor(one.id))
    return json_answer(msgspec.json.encode(shown), headers)


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            f"POST {PATH}",
            comment,
            Tag.ALERTS,
            AlertComment,
            access=Access.OPERATE,
            status=HTTPStatus.CREATED,
            errors=(404, 503),
        ),
        Operation(f"GET {PATH}", comments, Tag.ALERTS, list[AlertComment], errors=(404, 503), headers=(NEXT_PAGE,)),
    ]
