"""What people do with alerts: acknowledge them, raise them, end those that people raised."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Literal

import msgspec
from aiohttp import hdrs, web
from msgspec import Struct

from models.alerts import AcknowledgedAlert, AlertEvent, AlertRow, Severity, encode_alert_event
from models.plain_text import Name, Title
from models.timestamps import epoch_us, rfc3339
from trafficapp.stores.alerts import writes as alert_writes
from trafficapp.stores.alerts.queries import alert as stored_alert
from trafficapp.stores.postgres.publications import KafkaPublication
from trafficapp.topics import ALERTS
from web.alerts.open_alerts import alert_row
from web.alerts.views import AlertId, encode, id_of, live_alert, unknown_alert
from web.auth.access import ADMIN_USER_HEADER, Access, authorise_acknowledging
from web.auth.callers import MAX_NAME_CHARACTERS, is_name
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.shapes import Message, Person
from web.serving.writing import NOBODY, Write, Written, write

#: What people may end: what they raised, and the silence of a camera, which may have been taken down.
_ENDED_BY_PEOPLE = ("manual", "incident", "camera_silent")


class Acknowledge(Struct, frozen=True):
    """Who takes the alert on; without a name it is the caller."""

    admin_id: Person | None = None


class RaisedAlert(Struct, frozen=True, kw_only=True):
    """An alert that a person raises; it is open until a person ends it."""

    alert_type: Literal["manual", "incident"] = "manual"
    title: Title
    message: Message = ""
    camera_id: Name | None = None
    severity: Severity = "EMERGENCY"


async def acknowledge(request: web.Request, path: AlertId, body: Acknowledge) -> web.Response:
    """Take an alert on.

    By `admin_id` of the body, else the header `X-Admin-User`, else the caller's name; who was authenticated is kept
    beside it, as `acknowledged_caller` of the alert. The first one stays: whoever
    comes later is told `already_acknowledged` and who it was. With the setting `auth.public_acknowledge` no token is
    needed.
    """
    context = request.app[CONTEXT]
    named = told_name(request, body.admin_id)
    alert_id = await id_of(context, path.id)
    live = await live_alert(context, alert_id)

    async def change(under_way: Write) -> tuple[AlertEvent, bool]:
        alert = await _known(under_way, alert_id, live)
        by = named or under_way.actor.name
        step = await alert_writes.acknowledge(under_way.connection, alert, by, under_way.actor.caller or NOBODY)
        if step is None:
            return await alert_writes.as_acknowledged(under_way.connection, alert), False
        after = {
            "acknowledged_by": step.acknowledged_by,
            "acknowledged_at": step.acknowledged_at,
            "acknowledged_caller": step.acknowledged_caller,
        }
        await under_way.audit("alerts.acknowledge", str(alert_id), after=after)
        await under_way.tell(_publication(step))
        return step, True

    written = await write(request, change)
    event, is_new = written.result
    row = alert_row(event, context.registry.segment(event.camera_id))
    answer = AcknowledgedAlert(
        **msgspec.structs.asdict(row),
        alert_id=event.id,
        admin_id=event.acknowledged_by or "",
        status="acknowledged" if is_new else "already_acknowledged",
    )
    return json_answer(encode(answer), written.headers)


def told_name(request: web.Request, admin_id: str | None) -> str | None:
    """Who does something, as the body or else the header says; None, it is the caller.

    Raises:
        ProblemError: 400, that is no name.
    """
    for where, name in (("admin_id", admin_id), (ADMIN_USER_HEADER, request.headers.get(ADMIN_USER_HEADER))):
        if name is None:
            continue
        if not is_name(name):
            # a pattern of the body cannot name every character that is not printable
            detail = f"{where} must have 1 to {MAX_NAME_CHARACTERS} printable characters"
            raise ProblemError(HTTPStatus.BAD_REQUEST, detail)
        return name
    return None


async def raise_alert(request: web.Request, body: RaisedAlert) -> web.Response:
    """Raise an alert by hand.

    It goes to `traffic.alerts` and the live clients as any other, and is open until it is ended.
    """
    context = request.app[CONTEXT]
    now = rfc3339(epoch_us(datetime.now(UTC)))

    async def change(under_way: Write) -> AlertEvent:
        if body.camera_id is not None and not await alert_writes.is_known(under_way.connection, body.camera_id):
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"there is no camera {body.camera_id!r}")
        alert = AlertEvent(
            id=str(uuid.uuid4()),
            action="opened",
            revision=1,
            severity=body.severity,
            alert_type=body.alert_type,
            camera_id=body.camera_id,
            title=body.title,
            message=body.message,
            congestion_level=None,
            congestion_score=None,
            since=now,
            triggered_at=now,
            updated_at=now,
            rule="raised by a person",
            values={"raised_by": under_way.actor.name},
        )
        await alert_writes.insert(under_way.connection, alert)
        await under_way.audit("alerts.raise", alert.id, after=alert)
        await under_way.tell(_publication(alert))
        return alert

    written = await write(request, change)
    response = _answer(context, written, HTTPStatus.CREATED)
    response.headers[hdrs.LOCATION] = f"/api/alerts/{written.result.id}"
    return response


async def resolve(request: web.Request, path: AlertId) -> web.Response:
    """End an alert that a person raised, or that a camera is silent.

    A `camera_silent` alert ends with the next event of the camera; of one that was taken down there is none. An alert
    that another rule raised ends by itself: 409.
    """
    alert_id = await id_of(request.app[CONTEXT], path.id)
    live = await live_alert(request.app[CONTEXT], alert_id)

    async def change(under_way: Write) -> AlertEvent:
        alert = await _known(under_way, alert_id, live)
        if alert.alert_type not in _ENDED_BY_PEOPLE:
            detail = (
                f"alert {alert_id} was raised by the rule {alert.rule!r} and ends by itself: after some calm "
                "windows in a row, or when no vehicle was seen there for some minutes"
            )
            raise ProblemError(HTTPStatus.CONFLICT, detail)
        if alert.resolved_at is not None:
            raise ProblemError(HTTPStatus.CONFLICT, f"alert {alert_id} ended at {alert.resolved_at}")
        step = await alert_writes.resolve(under_way.connection, alert, datetime.now(UTC))
        await under_way.audit("alerts.resolve", str(alert_id), after={"resolved_at": step.resolved_at})
        await under_way.tell(_publication(step))
        return step

    return _answer(request.app[CONTEXT], await write(request, change))


async def _known(under_way: Write, alert_id: uuid.UUID, live: AlertEvent | None) -> AlertEvent:
    """The newest that is known of an alert; its row is there then, and locked.

    Args:
        under_way: the transaction.
        alert_id: which.
        live: what Redis knows of it, which may be ahead of the history.
    """
    alert = await stored_alert(under_way.connection, alert_id, lock=True)
    if alert is None:
        if live is None:
            raise unknown_alert(alert_id)
        await alert_writes.insert(under_way.connection, live)
        # somebody else may have written it at the same time, and more of it
        alert = await stored_alert(under_way.connection, alert_id, lock=True) or live
    return live if live is not None and live.revision > alert.revision else alert


def _publication(step: AlertEvent) -> KafkaPublication:
    return KafkaPublication(topic=ALERTS, key=step.camera_id, value=encode_alert_event(step).decode())


def _answer(context: WebContext, written: Written[AlertEvent], status: int = HTTPStatus.OK) -> web.Response:
    row = alert_row(written.result, context.registry.segment(written.result.camera_id))
    return json_answer(encode(row), written.headers, status)


_TOLD_LATER = ("X-Publication", "`pending` when the topic and the live clients hear of it only later")


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            "POST /api/alerts",
            raise_alert,
            Tag.ALERTS,
            AlertRow,
            access=Access.OPERATE,
            status=HTTPStatus.CREATED,
            errors=(422, 503),
            headers=((hdrs.LOCATION, "the alert"), _TOLD_LATER),
        ),
        Operation(
            "POST /api/alerts/{id}/acknowledge",
            acknowledge,
            Tag.ALERTS,
            AcknowledgedAlert,
            access=Access.OPERATE,
            authorise=authorise_acknowledging,
            errors=(400, 404, 503),
            headers=(_TOLD_LATER,),
        ),
        Operation(
            "POST /api/alerts/{id}/resolve",
            resolve,
            Tag.ALERTS,
            AlertRow,
            access=Access.OPERATE,
            errors=(404, 409, 503),
            headers=(_TOLD_LATER,),
        ),
    ]
