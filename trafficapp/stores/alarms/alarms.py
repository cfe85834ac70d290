"""Alarms of every stream, as their management reads them."""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from models.timestamps import epoch_us, rfc3339
from trafficapp.alarms.alarm import Alarm
from trafficapp.stores.postgres.reading import made_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from trafficapp.stores.postgres.connection import Connection, Pool

#: What was raised so long before a span and stood in it is read, too.
STANDING_BEFORE = timedelta(days=31)

# Each: raised in the span, or before it and acknowledged or cleared in it or later, or not at all.
_ALERTS = """
    SELECT 'alert', a.id::text, a.alert_type, coalesce(a.camera_id, ''), a.severity,
           coalesce(a.alarm_at, a.triggered_at), a.resolved_at, true, k.acknowledged_at, k.acknowledged_by,
           CASE WHEN a.alarm_at IS NOT NULL THEN NULL WHEN a.resolved_at IS NULL THEN 'held' ELSE 'short' END {words}
    FROM alerts a LEFT JOIN alert_acknowledgements k ON k.alert_id = a.id
    WHERE a.triggered_at >= $3 AND a.triggered_at < $2
      AND (a.triggered_at >= $1 OR a.resolved_at IS NULL OR a.resolved_at >= $1 OR k.acknowledged_at >= $1)
"""
# An event of congestion stands; its later changes, and what is told of single roads, are told once.
_NOTIFICATIONS = """
    SELECT 'notification', n.event_id::text, n.alert_type, n.road_id, n.severity, n.notified_at, e.ended_at,
           n.change IS NOT DISTINCT FROM 'begun' AND e.event_id IS NOT NULL, NULL::timestamptz, NULL, NULL {words}
    FROM notifications n
    LEFT JOIN congestion_events e ON n.change = 'begun' AND e.event_id::text = n.congestion_event_id
    WHERE NOT n.folded AND n.change IS DISTINCT FROM 'ended' AND n.notified_at >= $3 AND n.notified_at < $2
      AND (n.notified_at >= $1 OR (n.change = 'begun' AND (e.ended_at IS NULL OR e.ended_at >= $1)))
"""
_CITY_ALERTS = """
    SELECT 'city_alert', o.alert_id::text, o.alert_type, o.subject, o.severity, o.opened_at, r.resolved_at, true,
           NULL::timestamptz, NULL, NULL {words}
    FROM city_alerts o
    LEFT JOIN city_alerts r ON r.alert_id = o.alert_id AND r.state = 'resolved'
    WHERE o.state = 'opened' AND o.told_at >= $3 AND o.opened_at < $2
      AND (o.opened_at >= $1 OR r.resolved_at IS NULL OR r.resolved_at >= $1)
"""
_CITY_ALERT_END = "SELECT count(*) AS steps, max(resolved_at) AS resolved_at FROM city_alerts WHERE alert_id = $1"
#: With the columns that have the words for people.
_QUERIES = (
    (_ALERTS, "a.title, a.message"),
    (_NOTIFICATIONS, "n.road_name, n.message"),
    (_CITY_ALERTS, "o.title, o.message"),
)


class WordedAlarm(NamedTuple):
    """An alarm with its words for people."""

    alarm: Alarm
    title: str
    message: str


class CityAlertEnd(NamedTuple):
    """When an alert of the city's other feeds was over, RFC 3339; None while it stands."""

    resolved_at: str | None


async def city_alert_end(source: Pool | Connection, alert_id: uuid.UUID) -> CityAlertEnd | None:
    """Whether an alert of the city's other feeds stands; None when there is none of this id."""
    row = await source.fetchrow(_CITY_ALERT_END, alert_id)
    if row is None or not row["steps"]:
        return None
    return CityAlertEnd(None if row["resolved_at"] is None else rfc3339(epoch_us(row["resolved_at"])))


async def alarms(source: Pool | Connection, since: datetime, until: datetime) -> list[Alarm]:
    """Alarms raised in ``[since, until)``, and those of the month before that stood in it or were acknowledged in it.

    Args:
        source: a pool or a connection.
        since: aware.
        until: aware.
    """
    found: list[Alarm] = []
    for query, _ in _QUERIES:
        rows = await source.fetch(query.format(words=""), since, until, since - STANDING_BEFORE)
        # a city in flood has many, and others wait for the event loop
        found += await asyncio.to_thread(_typed, rows)
    return found


async def worded_alarms(source: Pool | Connection, since: datetime, until: datetime) -> list[WordedAlarm]:
    """The same with their words; arguments as for `alarms`."""
    found: list[WordedAlarm] = []
    for query, words in _QUERIES:
        rows = await source.fetch(query.format(words=f", {words}"), since, until, since - STANDING_BEFORE)
        found += await made_of(rows, lambda row: WordedAlarm(_alarm(row), row[11], row[12]))
    return found


def _typed(rows: Sequence[asyncpg.Record]) -> list[Alarm]:
    return [_alarm(row) for row in rows]


def _alarm(row: asyncpg.Record) -> Alarm:
    told = tuple(row)
    return Alarm._make((*told[:5], epoch_us(told[5]), _us(told[6]), told[7], _us(told[8]), *told[9:11]))


def _us(moment: datetime | None) -> int | None:
    return None if moment is None else epoch_us(moment)
