"""``/api/quality/outages``: silent cameras of one area as one."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from models.quality.outages import Outage
from models.timestamps import epoch_us
from trafficapp.quality.outages import SilentCamera, outages_of
from web.alerts.open_alerts import open_alerts
from web.serving.answers import MAY_BE_FROM_POSTGRES, json_answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag

_encode = msgspec.json.Encoder().encode


async def outages(request: web.Request) -> web.Response:
    """Regional outages, the largest first.

    Cameras that stand within `quality.outage_reach_m` of each other, and fell silent within `quality.outage_seconds`,
    are one outage when there are `quality.outage_cameras` of them or more. `alerts` names the open `camera_silent`
    alerts that it stands for. It is over when fewer of them are silent. Cameras without a place belong to none.
    """
    context = request.app[CONTEXT]
    await context.registry.need()
    found = await open_alerts(context)
    silent = [
        SilentCamera(alert.camera_id, alert.id, place.latitude, place.longitude, epoch_us(alert.triggered_at))
        for alert in found.rows
        if alert.alert_type == "camera_silent"
        and alert.camera_id is not None
        and (place := context.registry.place(alert.camera_id)) is not None
    ]
    told = await asyncio.to_thread(outages_of, silent, context.settings.quality)
    return json_answer(_encode(told), found.headers)


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            "GET /api/quality/outages",
            outages,
            Tag.CURRENT,
            list[Outage],
            errors=(503,),
            headers=(MAY_BE_FROM_POSTGRES,),
        )
    ]
