"""The open alerts, from Redis or, while it is away, from Postgres."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from msgspec import UNSET

from models.alerts import AlertEvent, AlertRow, is_about_traffic
from models.timestamps import epoch_us
from trafficapp.alarms.withholding import Withholding, on_delay
from trafficapp.stores.alarms.withheld import withholding_now
from trafficapp.stores.alerts.current import CurrentAlerts
from trafficapp.stores.alerts.queries import AlertFilter, acknowledgements
from trafficapp.stores.alerts.queries import alerts as stored_alerts
from web.serving.answers import FROM_POSTGRES
from web.serving.context import WebContext
from web.serving.from_redis import RedisAway, from_redis
from web.serving.problems import ProblemError

#: How long Postgres may take to tell who took alerts on a moment ago, of which Redis has not heard yet, and what is
#: shelved.
_NEWS_WITHIN_SECONDS = 1.0

#: More alerts than this are not open at a time; it bounds what Postgres is asked for.
MAX_OPEN = 20_000


@dataclass(frozen=True, slots=True)
class OpenAlerts:
    """Open alerts, newest first.

    Attributes:
        headers: of the answer: where the alerts come from, when it is not Redis.
    """

    rows: list[AlertRow]
    headers: Mapping[str, str] = field(default_factory=dict)

    def matching(self, wanted: AlertFilter) -> list[AlertRow]:
        """Those that a filter lets through; its span of time is not looked at."""
        return [row for row in self.rows if _matches(row, wanted)]


async def open_alerts(context: WebContext) -> OpenAlerts:
    """Every open alert with its acknowledgement and the road segment of its camera.

    Raises:
        ProblemError: 503, neither Redis nor Postgres answers.
    """
    try:
        events = await from_redis(CurrentAlerts(context.redis).all_open())
    except RedisAway:
        wanted = AlertFilter(open_only=True)
        page = await context.database.ask(lambda pool: stored_alerts(pool, wanted, MAX_OPEN))
        return OpenAlerts(await _with_withheld(context, page.rows), FROM_POSTGRES)
    segment = context.registry.segment
    events = await _with_news(context, events)
    return OpenAlerts(await _with_withheld(context, [alert_row(event, segment(event.camera_id)) for event in events]))


async def _with_withheld(context: WebContext, rows: Sequence[AlertRow]) -> list[AlertRow]:
    """The alerts, each with why people are not told of it now; while Postgres is away as they were told."""
    known = await withheld_now(context) if rows else None
    if known is None:
        return [row if row.withheld else msgspec.structs.replace(row, withheld=on_delay(row) or UNSET) for row in rows]
    at_us = epoch_us(datetime.now(UTC))
    return [msgspec.structs.replace(row, withheld=known.of_alert(row, at_us) or UNSET) for row in rows]


async def withheld_now(context: WebContext) -> Withholding | None:
    """What people are not told of now; None while Postgres is away."""
    alarms = context.settings.alarms
    try:
        return await context.database.ask(lambda pool: withholding_now(pool, alarms), _NEWS_WITHIN_SECONDS)
    except ProblemError:
        return None


async def _with_news(context: WebContext, events: Sequence[AlertEvent]) -> list[AlertEvent]:
    """The alerts with acknowledgements that are committed but have not come to Redis; while Postgres is away as is."""
    waiting = [event.id for event in events if event.acknowledged_at is None]
    if not waiting:
        return list(events)
    try:
        found = await context.database.ask(lambda pool: acknowledgements(pool, waiting), _NEWS_WITHIN_SECONDS)
    except ProblemError:
        return list(events)
    return [
        msgspec.structs.replace(event, acknowledged_by=found[event.id][0], acknowledged_at=found[event.id][1])
        if event.id in found
        else event
        for event in events
    ]


def alert_row(event: AlertEvent, road_segment: str | None = None) -> AlertRow:
    """The columns of the contract; the road segment is that of the camera, unless the alert has one itself."""
    row = AlertRow(**{name: getattr(event, name) for name in AlertRow.__struct_fields__})
    return row if row.road_segment else msgspec.structs.replace(row, road_segment=road_segment)


def _matches(row: AlertRow, wanted: AlertFilter) -> bool:
    cameras: Collection[str] | None = wanted.camera_ids
    return (
        not wanted.nothing
        and (wanted.quality or is_about_traffic(row))
        and not (wanted.unacknowledged_only and row.acknowledged)
        and wanted.severity in (None, row.severity)
        and wanted.level in (None, row.congestion_level)
        and wanted.alert_type in (None, row.alert_type)
        and wanted.camera_id in (None, row.camera_id)
        and wanted.road_segment in (None, row.road_segment)
        and (cameras is None or row.camera_id in cameras)
    )
