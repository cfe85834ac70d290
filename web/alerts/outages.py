"""``/api/quality/outages``: silent cameras of one area as one."""

from __future__ import annotations

import msgspec
from aiohttp import web

from models.quality.outages import Outage
from trafficapp.stores.alarms.regional_outages import regional_outages
from web.serving.answers import json_answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag

_encode = msgspec.json.Encoder().encode


async def outages(request: web.Request) -> web.Response:
    """Regional outages, the largest first.

    Cameras that stand within `quality.outage_reach_m` of each other, and fell silent within `quality.outage_seconds`,
    are one outage when there are `quality.outage_cameras` of them or more: one alert in `/api/quality/alerts`, with
    the same id. `alerts` names the open `camera_silent` alerts that are folded into it. It is over when fewer of its
    cameras are silent. Cameras without a place belong to none.
    """
    return json_answer(_encode(await request.app[CONTEXT].database.ask(regional_outages)))


def operations() -> list[Operation]:
    """What this module answers."""
    return [Operation("GET /api/quality/outages", outages, Tag.CURRENT, list[Outage], errors=(503,))]
