"""Alerts for tests, and putting them where the sinks put them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, TypeAlias

import asyncpg
import msgspec
from redis.asyncio import Redis

from models.alerts import AlertEvent, encode_alert_event
from models.timestamps import epoch_us, rfc3339
from trafficapp.stores.redis.event_log import OPEN_KEY

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

NOON = "2026-03-02T12:00:00Z"


def after_noon(seconds: float) -> str:
    """RFC 3339 so many seconds after noon."""
    return rfc3339(epoch_us(NOON) + round(seconds * 1e6))


def alert_event(name: str = "a", camera_id: str | None = "cam_1", seconds: float = 0.0, **changes: Any) -> AlertEvent:
    """An alert that was triggered so many seconds after noon; its id follows from its name."""
    event = AlertEvent(
        id=str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
        action="opened",
        revision=1,
        severity="CRITICAL",
        alert_type="congestion",
        camera_id=camera_id,
        title=f"Severe congestion at {camera_id}",
        message="Score 0.91 in the window until 12:00:00.",
        congestion_level="SEVERE",
        congestion_score=0.91,
        since=after_noon(seconds - 5),
        triggered_at=after_noon(seconds),
        updated_at=after_noon(seconds),
        rule="congestion_level >= SEVERE for 1 window",
        values={"avg_speed_kmh": 4.2},
    )
    # an alarm from the beginning, unless it is said otherwise
    return msgspec.structs.replace(event, **{"alarm_at": "", **changes})


#: Later than any test runs: what happens then is news whenever the tests run.
FAR = "2100-01-01T00:00:00Z"


def news_event(name: str = "a", camera_id: str | None = "cam_1", **changes: Any) -> AlertEvent:
    """The same, whose steps are news."""
    return alert_event(name, camera_id, **{"updated_at": FAR, **changes})


async def store(connection: Connection, *events: AlertEvent) -> None:
    """Into the table, as the history sink would."""
    rows = []
    for event in events:
        known = msgspec.structs.asdict(event)
        times = [
            None if known[name] is None else datetime.fromisoformat(known[name])
            for name in ("since", "triggered_at", "updated_at", "resolved_at", "alarm_at")
        ]
        kept = ("revision", "severity", "alert_type", "camera_id", "title", "message", "congestion_level")
        rows.append(
            (
                uuid.UUID(event.id),
                *(known[name] for name in kept),
                event.congestion_score,
                event.rule,
                msgspec.json.encode(event.values).decode(),
                *times,
            )
        )
    await connection.copy_records_to_table("alerts", records=rows)


async def keep_open(client: Redis, *events: AlertEvent) -> None:
    """Into Redis, as the live sink would."""
    for event in events:
        await client.hset(OPEN_KEY, event.id, encode_alert_event(event).decode())  # type: ignore[misc]
