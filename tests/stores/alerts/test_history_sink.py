from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from models.alerts import AlertEvent, encode_alert_event
from tests.stores.alerts.alert_messages import after_noon, alert_event
from tests.stores.postgres.fixtures import Connection, Pool
from tests.stores.postgres.records import owned, record
from trafficapp.settings import Settings
from trafficapp.stores.alerts.history_sink import HistoryAlertsSink
from trafficapp.stores.alerts.queries import AlertFilter, alert, alerts
from trafficapp.topics import ALERTS

OPENED = alert_event(values={"avg_speed_kmh": 4.2, "note": "x", "none": None})
UPDATED = msgspec.structs.replace(OPENED, action="updated", revision=2, severity="EMERGENCY", updated_at=after_noon(5))
ACKNOWLEDGED = msgspec.structs.replace(
    OPENED, action="acknowledged", acknowledged_by="ana", acknowledged_at=after_noon(7)
)
RESOLVED = msgspec.structs.replace(
    UPDATED, action="resolved", revision=3, updated_at=after_noon(60), resolved_at=after_noon(60)
)


@pytest.fixture
async def sink(database: Connection, settings: Settings) -> AsyncIterator[HistoryAlertsSink]:
    await database.execute("TRUNCATE alerts, alert_acknowledgements")
    sink = HistoryAlertsSink(settings)
    await sink.load([0])
    yield sink
    await sink.close()


def steps(first: int, *events: AlertEvent | bytes) -> list[Any]:
    values = [event if isinstance(event, bytes) else encode_alert_event(event) for event in events]
    return [record(offset, value, topic=ALERTS) for offset, value in enumerate(values, first)]


async def test_an_alert_is_kept_as_of_its_newest_revision(
    sink: HistoryAlertsSink, database: Connection, pool: Pool
) -> None:
    await sink.apply(0, steps(0, OPENED), owned)
    assert await alert(pool, uuid.UUID(OPENED.id)) == msgspec.structs.replace(OPENED, action="opened")
    await sink.apply(0, steps(1, UPDATED, ACKNOWLEDGED), owned)
    await sink.apply(0, steps(3, OPENED), owned)
    found = dict(await database.fetchrow("SELECT * FROM alerts"))  # type: ignore[arg-type]
    assert (found["revision"], found["severity"], found["resolved_at"]) == (2, "EMERGENCY", None)
    assert found["updated_at"] == datetime(2026, 3, 2, 12, 0, 5, tzinfo=UTC)
    await sink.apply(0, steps(4, RESOLVED), owned)
    (row,) = (await alerts(pool, AlertFilter(), 10)).rows
    assert (row.resolved_at, row.acknowledged_by, row.acknowledged_at) == (after_noon(60), "ana", after_noon(7))


async def test_repeats_change_nothing_at_whatever_offset(sink: HistoryAlertsSink, database: Connection) -> None:
    life = (OPENED, UPDATED, ACKNOWLEDGED, RESOLVED)
    await sink.apply(0, steps(0, *life), owned)
    before = await database.fetch("SELECT * FROM alerts, alert_acknowledgements")
    second = msgspec.structs.replace(ACKNOWLEDGED, acknowledged_by="ben", acknowledged_at=after_noon(9))
    await sink.apply(0, steps(2, *life, *life, second), owned)
    assert await database.fetch("SELECT * FROM alerts, alert_acknowledgements") == before
    assert sink.counters.rows == 1
    assert await sink.load([0]) == {0: 11}


async def test_an_acknowledgement_may_come_alone(sink: HistoryAlertsSink, database: Connection) -> None:
    await sink.apply(0, steps(0, ACKNOWLEDGED), owned)
    assert await database.fetchval("SELECT count(*) FROM alerts") == 0
    assert await database.fetchval("SELECT acknowledged_by FROM alert_acknowledgements") == "ana"


async def test_what_cannot_be_kept_costs_no_neighbour(
    sink: HistoryAlertsSink, database: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [b"", b"nonsense", b"{}", encode_alert_event(msgspec.structs.replace(OPENED, id="no uuid"))]
    bad.append(encode_alert_event(alert_event("late", since="yesterday")))
    nul = alert_event("nul", "c\0m", title="a\0b", values={"a\0b": "c\0d"})
    too_many = alert_event("many", revision=2**40)
    await sink.apply(0, steps(0, OPENED, *bad, too_many, nul, alert_event("none", None)), owned)
    found = [row[0] for row in await database.fetch("SELECT camera_id FROM alerts ORDER BY camera_id")]
    assert found == ["cam_1", "c�m", None]
    assert (sink.counters.rows, sink.counters.unreadable, sink.counters.unstorable) == (3, 5, 1)
    assert await sink.load([0]) == {0: 9}
