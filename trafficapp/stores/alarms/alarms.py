"""Alarms of every stream, as their management reads them."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from models.timestamps import epoch_us
from trafficapp.alarms.alarm import Alarm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trafficapp.stores.postgres.connection import Connection, Pool

#: What was raised so long before a span and still stood at its end is read, too.
STANDING_BEFORE = timedelta(days=31)

# Each: raised in the span, or before it and not cleared at its end.
_ALERTS = """
    SELECT 'alert', a.id::text, a.alert_type, coalesce(a.camera_id, ''), a.severity, a.triggered_at, a.resolved_at,
           true, k.acknowledged_at, k.acknowledged_by
    FROM alerts a LEFT JOIN alert_acknowledgements k ON k.alert_id = a.id
    WHERE a.triggered_at >= $3 AND a.triggered_at < $2
      AND (a.triggered_at >= $1 OR a.resolved_at IS NULL OR a.resolved_at >= $2)
"""
# An event of congestion stands; its later changes, and what is told of single roads, are told once.
_NOTIFICATIONS = """
    SELECT 'notification', n.event_id::text, n.alert_type, n.road_id, n.severity, n.notified_at, e.ended_at,
           n.change IS NOT DISTINCT FROM 'begun' AND e.event_id IS NOT NULL, NULL::timestamptz, NULL
    FROM notifications n
    LEFT JOIN congestion_events e ON n.change = 'begun' AND e.event_id::text = n.congestion_event_id
    WHERE NOT n.folded AND n.change IS DISTINCT FROM 'ended' AND n.notified_at >= $3 AND n.notified_at < $2
      AND (n.notified_at >= $1 OR (n.change = 'begun' AND (e.ended_at IS NULL OR e.ended_at >= $2)))
"""
_CITY_ALERTS = """
    SELECT 'city_alert', o.alert_id::text, o.alert_type, o.subject, o.severity, o.opened_at, r.resolved_at, true,
           NULL::timestamptz, NULL
    FROM city_alerts o
    LEFT JOIN city_alerts r ON r.alert_id = o.alert_id AND r.state = 'resolved'
    WHERE o.state = 'opened' AND o.told_at >= $3 AND o.opened_at < $2
      AND (o.opened_at >= $1 OR r.resolved_at IS NULL OR r.resolved_at >= $2)
"""
_QUERIES = (_ALERTS, _NOTIFICATIONS, _CITY_ALERTS)


async def alarms(source: Pool | Connection, since: datetime, until: datetime) -> list[Alarm]:
    """Alarms raised in ``[since, until)``, and those raised in the month before that still stood at its end.

    Args:
        source: a pool or a connection.
        since: aware.
        until: aware.
    """
    found: list[Alarm] = []
    for query in _QUERIES:
        rows = await source.fetch(query, since, until, since - STANDING_BEFORE)
        # a city in flood has many, and others wait for the event loop
        found += await asyncio.to_thread(_typed, rows)
    return found


def _typed(rows: Iterable[Any]) -> list[Alarm]:
    return [
        Alarm._make((*row[:5], epoch_us(row[5]), _us(row[6]), row[7], _us(row[8]), row[9], None))
        for row in map(tuple, rows)
    ]


def _us(moment: datetime | None) -> int | None:
    return None if moment is None else epoch_us(moment)
