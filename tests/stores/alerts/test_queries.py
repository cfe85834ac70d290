from __future__ import annotations

import uuid
from datetime import datetime

import pytest

from tests.stores.alerts.alert_messages import after_noon, alert_event, store
from tests.stores.postgres.fixtures import Connection, Pool
from trafficapp.stores.alerts.queries import AlertFilter, Position, alerts, end_of_page, triggered_since


def at(seconds: float) -> datetime:
    return datetime.fromisoformat(after_noon(seconds))


@pytest.fixture
async def stored(database: Connection) -> list[Position]:
    """Ten alerts, two in each of five seconds; their positions, newest first."""
    await database.execute("TRUNCATE alerts, alert_acknowledgements")
    events = [alert_event(f"alert {number}", seconds=number // 2) for number in range(10)]
    await store(database, *events)
    return sorted(((datetime.fromisoformat(event.triggered_at), uuid.UUID(event.id)) for event in events), reverse=True)


async def positions(
    pool: Pool, wanted: AlertFilter, limit: int = 100, after: Position | None = None, last: Position | None = None
) -> list[Position]:
    page = await alerts(pool, wanted, limit, after, last)
    return [(datetime.fromisoformat(row.triggered_at), uuid.UUID(row.id)) for row in page.rows]


async def test_a_page_lies_between_two_alerts(pool: Pool, stored: list[Position]) -> None:
    everything = AlertFilter(since=at(0), until=at(5))
    assert await positions(pool, everything) == stored
    for first in range(10):
        for last in range(first + 1, 10):
            assert (
                await positions(pool, everything, after=stored[first], last=stored[last])
                == (stored[first + 1 : last + 1])
            )
        end = await end_of_page(pool, everything, 3, stored[first])
        assert end == (stored[first + 3] if first + 4 < 10 else None)


async def test_a_place_outside_of_the_span_does_not_widen_it(pool: Pool, stored: list[Position]) -> None:
    span = AlertFilter(since=at(1), until=at(4))
    inside = [place for place in stored if at(1) <= place[0] < at(4)]
    beyond, before = (at(60), uuid.UUID(int=0)), (at(-60), uuid.UUID(int=0))
    assert await positions(pool, span, after=beyond, last=before) == inside
    assert (
        await positions(pool, span, after=(at(4), uuid.UUID(int=2**128 - 1)), last=(at(1), uuid.UUID(int=0))) == inside
    )
    assert await positions(pool, span, after=before) == []


async def test_silent_cameras_are_no_incidents(pool: Pool, stored: list[Position], database: Connection) -> None:
    await store(database, alert_event("silent", alert_type="camera_silent", seconds=3))
    assert await triggered_since(pool, at(3)) == 4
