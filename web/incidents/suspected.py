"""``/api/incidents/suspected``: what a rule suspects on roads of congestion events that go on."""

from __future__ import annotations

import msgspec
from aiohttp import web

from models.roads.congestion import CongestionEvent, SuspectedIncident
from trafficapp.roads.feeds import CONGESTION
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.stores.redis.documents import readable
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.from_redis import RedisAway, from_redis
from web.serving.operations import Operation, Tag
from web.serving.problems import unavailable

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CongestionEvent).decode
_KEYS_AT_ONCE = 500


class SuspectedOnEvent(SuspectedIncident, frozen=True, kw_only=True):
    """A suspected incident, and the congestion event that it is on.

    Attributes:
        congestion_event_id: of the event.
    """

    congestion_event_id: str


async def suspected(request: web.Request) -> web.Response:
    """Suspected incidents on congestion events that go on, the newest first.

    No desk reported them: a rule saw a road stand of a sudden while traffic flows beyond it. `confidence` is the share
    of such suspicions that were incidents on simulated days. `state` is `confirmed` once a report came that is near in
    distance and time; `incident_id` names it then. Empty where no roads worker runs.
    """
    try:
        events = await from_redis(_going_on(request.app[CONTEXT]))
    except RedisAway:
        raise unavailable("Redis, which holds congestion events,") from None
    found = [
        SuspectedOnEvent(**msgspec.structs.asdict(event.suspected_incident), congestion_event_id=event.event_id)
        for event in events
        if event.suspected_incident is not None
    ]
    found.sort(key=lambda one: (one.suspected_at, one.road_id), reverse=True)
    return json_answer(_encode(found))


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation("GET /api/incidents/suspected", suspected, Tag.INCIDENTS, list[SuspectedOnEvent], errors=(503,)),
    ]


async def _going_on(context: WebContext) -> list[CongestionEvent]:
    current = CurrentDocuments(context.redis, CONGESTION)
    keys = await current.keys()
    found: list[CongestionEvent] = []
    for first in range(0, len(keys), _KEYS_AT_ONCE):
        documents = await current.documents(keys[first : first + _KEYS_AT_ONCE])
        found += [one for one in readable(documents, _decode, CONGESTION.name) if one.state != "ended"]
    return found
