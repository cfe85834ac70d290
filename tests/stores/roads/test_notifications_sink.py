"""Notifications in Postgres: each once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest

from models.roads.notifications import encode_notification
from tests.stores.postgres.fixtures import Connection
from tests.stores.postgres.records import owned
from tests.stores.roads.notifications import notification, notification_records
from trafficapp.roads.feeds import NOTIFIED
from trafficapp.settings import Settings
from trafficapp.stores.feeds.rows_sink import RowsSink


@pytest.fixture
async def sink(database: Connection, settings: Settings) -> AsyncIterator[RowsSink]:
    await database.execute("TRUNCATE notifications")
    sink = RowsSink(NOTIFIED, settings)
    await sink.load([0])
    yield sink
    await sink.close()


async def test_each_is_kept_once_with_all_it_says(sink: RowsSink, database: Connection) -> None:
    a, b = notification(0), notification(1, affected_routes_count=2)
    await sink.apply(0, notification_records(0, a, b, a), owned)
    # the sender was killed and sends again, with a count of other routes
    await sink.apply(0, notification_records(3, notification(0, affected_routes_count=7), b), owned)
    rows = {str(row["event_id"]): row for row in await database.fetch("SELECT * FROM notifications")}
    assert set(rows) == {a.event_id, b.event_id}
    assert rows[a.event_id]["affected_routes_count"] == a.affected_routes_count == 1
    assert dict(rows[b.event_id]) == {
        "event_id": UUID(b.event_id),
        "notified_at": datetime(2026, 3, 2, 12, 1, tzinfo=UTC),
        "alert_type": b.alert_type,
        "road_id": b.road_id,
        "road_name": b.road_name,
        "severity": b.severity,
        "message": b.message,
        "affected_routes_count": 2,
        "congestion_event_id": None,
        "change": None,
        "folded": False,
    }
    assert (sink.counters.rows, sink.counters.repeated) == (2, 3)


async def test_a_killed_sink_is_followed_by_one_that_knows_where_to_go_on(
    sink: RowsSink, database: Connection, settings: Settings
) -> None:
    await sink.apply(0, notification_records(0, notification(0), notification(1)), owned)
    follower = RowsSink(NOTIFIED, settings)
    assert await follower.load([0]) == {0: 2}
    await follower.apply(0, notification_records(0, *map(notification, range(4))), owned)
    await follower.close()
    assert await database.fetchval("SELECT count(*) FROM notifications") == 4


async def test_what_is_none_or_cannot_be_stored_stops_no_neighbour(sink: RowsSink, database: Connection) -> None:
    odd = notification(2, road_id="nul\0", message="two\0parts")
    far = notification(3, timestamp="0000-13-01T00:00:00Z")
    bad = [b"", b"{", b'{"event_id":"x"}', b"\xff", encode_notification(notification(4, road_id="x" * 5000))]
    bad += [
        encode_notification(notification(5, timestamp=time))
        for time in ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59")
    ]
    await sink.apply(0, notification_records(0, *bad, far, odd, notification(1)), owned)
    rows = await database.fetch("SELECT road_id, message FROM notifications ORDER BY notified_at")
    assert [row["road_id"] for row in rows] == ["r1", "nul\ufffd"]
    assert rows[1]["message"] == "two\ufffdparts"
    assert sink.counters.unreadable == len(bad) + 1
