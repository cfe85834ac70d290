"""What cameras lead to: kept in the lake as in Postgres, and an empty Postgres filled from it is what it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest

from models.alerts import encode_alert_event
from models.cameras.detections import TICK_HEADER
from tests.stores.alerts.alert_messages import after_noon, alert_event
from tests.stores.lake.fixtures import Make, make, owned, settings, storage_of, write
from tests.stores.postgres.records import START_US, detection, event, record, window, window_records
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.cameras.events_sink import HistoryEventsSink
from trafficapp.stores.lake.kept import lake_tables, restoring_sink
from trafficapp.stores.lake.queries import ask
from trafficapp.stores.lake.restore import restore
from trafficapp.stores.migrations import migrate

__all__ = ["make", "settings"]

DAY_US = 86_400_000_000
NAMES = ["events", "metrics", "alerts"]
TABLES = {
    "events": ["traffic_events"],
    "metrics": ["traffic_metrics", "metrics_1h", "cameras"],
    "alerts": ["alerts", "alert_acknowledgements"],
}
#: Columns that say when a row was written.
WRITTEN_AT = ("stored_at", "updated_at", "created_at")
#: Rows that the lake has of a day.
DAYS = {
    "events": [("2026-01-13", 4), ("2026-01-14", 5)],
    "metrics": [("2026-01-14", 12), ("2026-01-15", 1)],
    "alerts": [("2026-03-02", 3), ("2026-03-03", 1)],
}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await _empty(connection)
    yield connection
    await connection.close()


async def _empty(database: asyncpg.Connection[asyncpg.Record]) -> None:
    tables = ", ".join([name for names in TABLES.values() for name in names])
    await database.execute(f"TRUNCATE {tables}, metrics_1m, sink_offsets CASCADE")


async def _kept(database: asyncpg.Connection[asyncpg.Record], name: str) -> list[list[tuple[Any, ...]]]:
    found = []
    for table in [*TABLES[name], "sink_offsets"]:
        rows = [dict(row) for row in await database.fetch(f"SELECT * FROM {table}")]  # noqa: S608
        told = [
            tuple(value for key, value in row.items() if key not in ("stored_at", "updated_at", "created_at"))
            for row in rows
        ]
        found.append(sorted(told, key=repr))
    return found


def frame(offset: int, *vehicles: str, **changes: Any) -> Any:
    """A picture in one message; of a vehicle that is called ``?`` nothing can be accepted."""
    seen = [{key: value for key, value in detection(vehicle_id=one).items() if key != "frame_id"} for one in vehicles]
    for one in seen:
        one.pop("camera_id"), one.pop("timestamp")
        if one["vehicle_id"] == "?":
            one["class"] = "ufo"
    message = {"camera_id": "cam_01", "timestamp": "2026-01-14T23:59:59.75Z", "frame_id": offset, "detections": seen}
    return record(offset, json.dumps(message | changes).encode(), timestamp_ms=(START_US + DAY_US) // 1000)


def records_of(name: str) -> list[Any]:
    """Good and bad records, with holes between offsets."""
    if name == "events":
        one, two = event(0, vehicle_id="a\0b", lane_id=3), event(1)
        late = [
            event(number, timestamp="2026-01-13T10:00:00Z", frame_id=8, speed_estimate=41.5) for number in range(2, 6)
        ]
        tick, bad = record(6, b"{}", headers=((TICK_HEADER, b""),)), record(8, b"no event")
        return [one, two, *late, tick, bad, frame(9, "v9", "?", "w9"), frame(11), frame(12, "?"), event(13)]
    if name == "metrics":
        rows = [window(number=number, lane_id=lane) for number in range(5) for lane in (None, 1)]
        midnight = window("cam_02", number=DAY_US // 5_000_000)
        too_many = msgspec.structs.replace(midnight, vehicle_count=1 << 40)
        return window_records(*rows, b"no window", midnight, too_many, *rows[-2:])
    steps = [alert_event(), alert_event(revision=2, action="updated", updated_at=after_noon(5), severity="EMERGENCY")]
    steps.append(
        alert_event(
            action="acknowledged", acknowledged_by="anna", acknowledged_at=after_noon(7), updated_at=after_noon(7)
        )
    )
    steps.append(alert_event(revision=3, action="resolved", updated_at=after_noon(86_400), resolved_at=after_noon(9)))
    told = [encode_alert_event(step) for step in steps]
    told[2:2] = [b"{}", b"no alert"]
    return [record(offset, value, topic="traffic.alerts") for offset, value in enumerate(told)]


@pytest.mark.parametrize("name", NAMES)
async def test_postgres_is_filled_from_the_lake_as_from_kafka(
    make: Make, settings: Settings, database: asyncpg.Connection[asyncpg.Record], database_url: str, name: str
) -> None:
    settings = load_settings(app_id=settings.app_id, lake=settings.lake, postgres={"url": database_url})
    records, table = records_of(name), lake_tables([], settings)[name]
    history = HistoryEventsSink(settings) if name == "events" else restoring_sink(name, [], settings)
    await history.load([0])
    await history.apply(0, records, owned)
    await history.close()
    before = await _kept(database, name)
    assert all(before)
    sink = make(table)
    await sink.load([0])
    await write(sink, 0, records[:4])
    await write(sink, 0, records[4:])
    await _empty(database)
    again = restoring_sink(name, [], settings)
    await restore(storage_of(settings), again)
    assert await _kept(database, name) == before
    assert await restore(storage_of(settings), again) == 0
    await again.close()
    question = f"SELECT date, count(*) FROM {table.table} GROUP BY date ORDER BY date"  # noqa: S608
    found = ask(storage_of(settings), [table], question).fetchall()
    assert [(str(day), count) for day, count in found] == DAYS[name]
