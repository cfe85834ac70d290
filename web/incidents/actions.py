"""What operators do about incidents: confirm, reject, respond, clear, reopen, and say that traffic flows again.

Each is a record of `incident_actions`, written with its row of the audit log, and takes effect where the incidents are
kept: within seconds.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from models.incidents.current import Incident
from models.incidents.kinds import POSSIBLE_IN, ActionWord, Level, Lifecycle
from models.incidents.messages import OperatorAction
from models.incidents.requests import ActionQueued
from models.plain_text import Name
from models.timestamps import epoch_us, rfc3339
from trafficapp.incidents.feeds import INCIDENT_STEPS, OPERATOR_ACTIONS
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.stores.incidents.queries import state_of
from trafficapp.stores.postgres.publications import KafkaPublication
from trafficapp.stores.redis.documents import readable
from web.auth.access import Access
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.from_redis import RedisAway, from_redis
from web.serving.operations import Operation, Tag, View
from web.serving.problems import ProblemError
from web.serving.writing import Write, write

_decode = msgspec.json.Decoder(Incident).decode


class IncidentId(Struct, frozen=True, kw_only=True):
    """Which incident."""

    id: Annotated[str, Meta(min_length=1, max_length=256)]


class Confirmed(Struct, frozen=True, kw_only=True):
    """How bad it is, 1 to 5; left out, it is as bad as reported."""

    severity: Level | None = None


class Responding(Struct, frozen=True, kw_only=True):
    """Who is sent, and how bad it is, if either is known."""

    unit_id: Name | None = None
    severity: Level | None = None


async def incident_of(context: WebContext, incident_id: str) -> Incident | None:
    """The newest that Redis knows of an incident; None when it knows none.

    Raises:
        RedisAway: it does not answer.
    """
    found = await from_redis(CurrentDocuments(context.redis, INCIDENT_STEPS).documents([incident_id]))
    return next(iter(readable(found, _decode, INCIDENT_STEPS.name)), None)


def unknown_incident(incident_id: str) -> ProblemError:
    """404."""
    return ProblemError(HTTPStatus.NOT_FOUND, f"there is no incident {incident_id!r}")


async def confirm(request: web.Request, path: IncidentId, body: Confirmed) -> web.Response:
    """Confirm what citizens reported.

    From then on it counts: for roads, for alerts, among emergencies. 409: it is verified already, or over.
    """
    return await _act(request, path.id, "confirm", severity=body.severity)


async def reject(request: web.Request, path: IncidentId) -> web.Response:
    """Reject what citizens reported and is not so. 409: it is verified, or over."""
    return await _act(request, path.id, "reject")


async def respond(request: web.Request, path: IncidentId, body: Responding) -> web.Response:
    """Say that somebody is sent.

    May be said again, for further units. It verifies the incident, too. 409: it is over.
    """
    return await _act(request, path.id, "respond", severity=body.severity, unit_id=body.unit_id)


async def clear(request: web.Request, path: IncidentId) -> web.Response:
    """Clear an incident.

    Roads are as they were. It can be opened again for 300 seconds; then traffic counts as normal. 409: it is over.
    """
    return await _act(request, path.id, "clear")


async def reopen(request: web.Request, path: IncidentId) -> web.Response:
    """Open an incident again that was cleared within the last 300 seconds. 409: it is not over, or for too long."""
    return await _act(request, path.id, "reopen")


async def normal(request: web.Request, path: IncidentId) -> web.Response:
    """Say that traffic flows as usual after an incident.

    It is so by itself 300 seconds after the incident was cleared. 409: it is not cleared, or was normal already.
    """
    return await _act(request, path.id, "normal")


async def _act(
    request: web.Request, incident_id: str, action: ActionWord, severity: int | None = None, unit_id: str | None = None
) -> web.Response:
    """Have an action told.

    Raises:
        ProblemError: 404, 409.
    """
    context = request.app[CONTEXT]
    if "\0" in incident_id:
        raise unknown_incident(incident_id)
    now_us = epoch_us(datetime.now(UTC))
    await _check(context, incident_id, action, now_us)
    action_id = str(uuid.uuid4())

    async def change(under_way: Write) -> ActionQueued:
        by = under_way.actor.name
        told = OperatorAction(
            action_id=action_id,
            incident_id=incident_id,
            action=action,
            by=by,
            timestamp=rfc3339(now_us),
            severity=severity,
            unit_id=unit_id,
        )
        await under_way.audit(f"incidents.{action}", incident_id, after=told)
        value = msgspec.json.encode(told).decode()
        await under_way.tell(KafkaPublication(topic=OPERATOR_ACTIONS, key=incident_id, value=value))
        return ActionQueued(action_id=action_id, incident_id=incident_id, action=action, by=by)

    written = await write(request, change)
    return json_answer(msgspec.json.encode(written.result), written.headers, HTTPStatus.ACCEPTED)


async def _check(context: WebContext, incident_id: str, action: ActionWord, now_us: int) -> None:
    """See whether an action means something where the incident stands.

    Raises:
        ProblemError: 404, there is none; 409, it does not.
    """
    try:
        incident = await incident_of(context, incident_id)
    except RedisAway:
        incident = None
    state: Lifecycle | None
    if incident is not None:
        state = incident.state
    else:
        state = await context.reserved.ask(lambda pool: state_of(pool, incident_id))
    if state is None:
        raise unknown_incident(incident_id)
    if state not in POSSIBLE_IN[action]:
        possible = [word for word, states in POSSIBLE_IN.items() if state in states]
        rest = f"possible is: {', '.join(possible)}" if possible else "nothing more can be done about it"
        raise ProblemError(HTTPStatus.CONFLICT, f"incident {incident_id!r} is {state}; {rest}")
    seconds = context.settings.incidents.reopen_seconds
    if action == "reopen" and incident is not None and incident.cleared_at is not None:
        ago = (now_us - epoch_us(incident.cleared_at)) / 1e6
        if ago > seconds:
            detail = f"incident {incident_id!r} was cleared {ago:.0f} s ago; it can be opened again for {seconds:g} s"
            raise ProblemError(HTTPStatus.CONFLICT, detail)


_TOLD_LATER = ("X-Publication", "`pending` when Kafka hears of it only later")


def operations() -> list[Operation]:
    """What this module answers."""
    views: dict[ActionWord, View] = {
        **{"confirm": confirm, "reject": reject, "respond": respond},
        **{"clear": clear, "reopen": reopen, "normal": normal},
    }
    return [
        Operation(
            f"POST /api/incidents/{{id}}/{word}",
            view,
            Tag.INCIDENTS,
            ActionQueued,
            access=Access.OPERATE,
            status=HTTPStatus.ACCEPTED,
            errors=(404, 409, 503),
            headers=(_TOLD_LATER,),
        )
        for word, view in views.items()
    ]
