"""``POST /api/admin/notifications/broadcast``: a word to everybody who watches."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from http import HTTPStatus

import msgspec
from aiohttp import web

from models.administration.changes import Broadcast, NewBroadcast, QueuedBroadcast
from models.timestamps import epoch_us, rfc3339
from trafficapp.stores.postgres.publications import EventPublication
from web.administration.answers import WRITE_HEADERS, administered, answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation
from web.serving.problems import ProblemError
from web.serving.writing import Write, write


async def broadcast(request: web.Request, body: NewBroadcast) -> web.Response:
    """Send a message to everybody who watches."""
    await _check_zone(request, body.zone)

    async def change(under_way: Write) -> Broadcast:
        sent = Broadcast(
            id=str(uuid.uuid4()),
            title=body.title or "",
            message=body.message,
            severity=body.severity.upper(),
            camera_id=body.camera_id,
            zone=body.zone,
            sent_by=under_way.actor.name,
            sent_at=rfc3339(epoch_us(datetime.now(UTC))),
        )
        await under_way.audit("notifications.broadcast", f"broadcast {sent.id}", after=sent)
        await under_way.tell(EventPublication(event="admin_broadcast", data=msgspec.json.encode(sent).decode()))
        return sent

    written = await write(request, change)
    queued = QueuedBroadcast(**msgspec.structs.asdict(written.result))
    return answer(queued, written.headers, HTTPStatus.ACCEPTED)


async def _check_zone(request: web.Request, zone: str | None) -> None:
    try:
        await request.app[CONTEXT].registry.choose(zone)
    except ProblemError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, error.detail) from None


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        administered(
            "POST /api/admin/notifications/broadcast",
            broadcast,
            answer=QueuedBroadcast,
            status=HTTPStatus.ACCEPTED,
            errors=(422, 503),
            headers=WRITE_HEADERS,
        )
    ]
