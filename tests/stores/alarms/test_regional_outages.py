"""Regional outages on real tables: one alert that opens and ends, told once, whoever looks and whoever died."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from models.city_alerts import CityAlert
from models.timestamps import epoch_us
from tests.stores.postgres.fixtures import Connection, Pool
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.alarms.regional_outages import RegionalOutages, regional_outages
from trafficapp.stores.alarms.withheld import withholding_now
from trafficapp.stores.postgres.publications import KafkaPublication

_SILENT = """
    INSERT INTO alerts (id, revision, severity, alert_type, camera_id, title, message, rule, rule_values, since,
                        triggered_at, updated_at)
    VALUES ($1, 1, 'WARNING', 'camera_silent', $2, 'silent', 'silent', 'no events', '{}', $3, $3, $3)
"""


@pytest.fixture
async def tables(database: Connection) -> Connection:
    await database.execute(
        "TRUNCATE alerts, cameras, city_alerts, regional_outages, regional_outage_cameras, pending_publications, "
        "alarm_shelves, congestion_events, congestion_event_cameras"
    )
    return database


async def fall_silent(tables: Connection, first: int, last: int, at: datetime) -> None:
    """Cameras 100 m apart in a row, a second after each other."""
    for number in range(first, last):
        name = f"cam_{number:02}"
        await tables.execute(
            "INSERT INTO cameras (camera_id, name, latitude, longitude) VALUES ($1, '', $2, 11.3)",
            name,
            44.5 + number / 1000,
        )
        await tables.execute(_SILENT, uuid.uuid4(), name, at + timedelta(seconds=number))


async def told(tables: Connection) -> list[tuple[str, int, str]]:
    """Steps that are to be told: state, revision, id."""
    rows = await tables.fetch("SELECT payload FROM pending_publications ORDER BY id")
    sent = [msgspec.json.decode(row["payload"], type=KafkaPublication) for row in rows]
    steps = [msgspec.json.decode(one.value, type=CityAlert) for one in sent]
    assert {one.topic for one in sent} <= {"quality_alerts"}
    return [(one.state, one.revision, one.alert_id) for one in steps]


async def test_thirty_silent_cameras_are_one_alert_that_ends(
    tables: Connection, pool: Pool, settings: Settings
) -> None:
    now = datetime.now(UTC) - timedelta(minutes=1)
    await fall_silent(tables, 0, 4, now)
    assert await RegionalOutages(settings.quality).look(pool) == 0
    await fall_silent(tables, 4, 30, now)

    # several workers at once, and one that was started again
    looks = await asyncio.gather(*(RegionalOutages(settings.quality).look(pool) for _ in range(3)))
    worker = RegionalOutages(settings.quality)
    again = [await worker.look(pool) for _ in range(3)]

    assert (sum(looks) + sum(again), again[1:]) == (1, [0, 0])
    ((state, revision, outage_id),) = await told(tables)
    assert (state, revision) == ("opened", 0)
    (listed,) = await regional_outages(pool)
    assert (listed.outage_id, len(listed.cameras), len(listed.alerts)) == (outage_id, 30, 30)
    # all of them are folded, the four that were told before it was one by when they were raised
    known = await withholding_now(pool, settings.alarms)
    for number in (0, 29):
        at_us = epoch_us(now + timedelta(seconds=number))
        found = known.of("alert", "a", "camera_silent", f"cam_{number:02}", at_us)
        assert (found and (found.how, found.by)) == ("folded", outage_id)
        assert known.of("alert", "a", "congestion", f"cam_{number:02}", at_us) is None
    off = load_settings(alarms={"fold_silent": False}).alarms
    at_us = epoch_us(now + timedelta(seconds=29))
    assert (await withholding_now(pool, off)).of("alert", "a", "camera_silent", "cam_29", at_us) is None

    # most come back: it is over with the newest of them, once
    back = now + timedelta(seconds=50)
    await tables.execute("UPDATE alerts SET resolved_at = $1 WHERE camera_id < 'cam_26'", back)
    assert [await one.look(pool) for one in (worker, RegionalOutages(settings.quality), worker)] == [1, 0, 0]
    assert (await told(tables))[1:] == [("resolved", 1, outage_id)]
    assert await tables.fetchval("SELECT ended_at FROM regional_outages") == back
    assert await regional_outages(pool) == []


async def test_what_was_not_written_is_not_told(tables: Connection, pool: Pool, settings: Settings) -> None:
    await fall_silent(tables, 0, 5, datetime.now(UTC))
    await tables.execute("ALTER TABLE pending_publications RENAME TO away")
    worker = RegionalOutages(settings.quality)
    try:
        with pytest.raises(Exception, match="pending_publications"):
            await worker.look(pool)
    finally:
        await tables.execute("ALTER TABLE away RENAME TO pending_publications")
    assert await regional_outages(pool) == []
    assert await worker.look(pool) == 1
