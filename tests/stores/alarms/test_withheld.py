"""What people are not told of, from real tables: shelves, outages, and cameras on congestion events."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from models.alarms import NewShelf
from models.timestamps import epoch_us
from tests.stores.postgres.fixtures import Connection, Pool
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.alarms.event_cameras import EventCameras
from trafficapp.stores.alarms.shelves import kept_alarm_tables, shelve
from trafficapp.stores.alarms.withheld import WithheldNow, withholding_now
from trafficapp.stores.postgres.retention import sweep

_LONGEST = timedelta(hours=24)


@pytest.fixture
async def tables(database: Connection) -> Connection:
    await database.execute("TRUNCATE alarm_shelves, city_alerts, congestion_events, congestion_event_cameras")
    return database


async def put_event(tables: Connection, road_id: str, ended_at: datetime | None = None) -> uuid.UUID:
    event_id, began = uuid.uuid4(), datetime.now(UTC) - timedelta(minutes=5)
    await tables.execute(
        """
        INSERT INTO congestion_events (event_id, state, severity, began_at, updated_at, ended_at, head, tail, length_m,
                                       extent_m, delay_vehicle_hours, delay_method, roads)
        VALUES ($1, 'growing', 'WARNING', $2, $2, $3, $4, $4, 1, 1, 1, 'greenshields', $5)
        """,
        event_id,
        began,
        ended_at,
        '{"road_id": "r", "road_name": "Via Roma"}',
        f'[{{"road_id": "{road_id}"}}]',
    )
    return event_id


async def test_cameras_on_an_event_are_folded_while_it_goes_on(
    tables: Connection, pool: Pool, settings: Settings
) -> None:
    graph = city_graph(settings.roads)
    edge = next(at for at in range(graph.edge_count) if graph.length_m[at] > 100)
    middle = (graph.shape_offsets[edge] + graph.shape_offsets[edge + 1]) // 2
    await tables.execute(
        "INSERT INTO cameras (camera_id, name, latitude, longitude) VALUES ('on it', '', $1, $2), ('far', '', 1, 1)",
        float(graph.shape_lat[middle]),
        float(graph.shape_lon[middle]),
    )
    event_id = await put_event(tables, str(graph.edge_ids[edge]))
    await put_event(tables, str(graph.edge_ids[edge]), ended_at=datetime.now(UTC))
    cameras = EventCameras(settings)

    assert await cameras.put(pool) == 1
    # another worker beside it, or the same again, changes nothing
    assert await EventCameras(settings).put(pool) == 1

    known = await withholding_now(pool, settings.alarms)
    now_us = epoch_us(datetime.now(UTC))
    found = known.of("alert", "a", "congestion", "on it", now_us)
    assert found is not None
    assert (found.how, found.by, found.reason) == ("folded", str(event_id), "Via Roma")
    assert known.of("alert", "a", "congestion", "far", now_us) is None
    assert known.of("alert", "a", "congestion", "on it", now_us - 10 * 60 * 1_000_000) is None
    off = load_settings(alarms={"fold_cameras": False}).alarms
    assert (await withholding_now(pool, off)).of("alert", "a", "congestion", "on it", now_us) is None


async def test_what_was_known_stays_while_it_cannot_be_read(tables: Connection, pool: Pool, settings: Settings) -> None:
    new = NewShelf(rule="congestion", source_kind="zone", source="centre", minutes=5, reason="a fair")
    shelf = await shelve(tables, new, ["camera-1", "camera-2"], ("ada", "token ada"), _LONGEST)
    now, at_us = WithheldNow(settings), epoch_us(shelf.shelved_at) + 1
    assert now.known.of("alert", "a", "congestion", "camera-2", at_us) is None
    assert await now.look(pool)
    assert now.known.of("alert", "a", "congestion", "camera-2", at_us) is not None

    await tables.execute("ALTER TABLE alarm_shelves RENAME TO alarm_shelves_away")
    try:
        assert not await now.look(pool)
    finally:
        await tables.execute("ALTER TABLE alarm_shelves_away RENAME TO alarm_shelves")

    assert now.known.of("alert", "a", "congestion", "camera-2", at_us) is not None
    # a shelf ends by its own time, whether anybody can be asked or not
    assert now.known.of("alert", "a", "congestion", "camera-2", epoch_us(shelf.expires_at)) is None


async def test_old_shelves_and_cameras_of_old_events_are_forgotten(
    tables: Connection, pool: Pool, settings: Settings
) -> None:
    new = NewShelf(rule="congestion", source_kind="camera", source="camera-1", minutes=5, reason="long ago")
    moved = "shelved_at = shelved_at - $1::interval, expires_at = expires_at - $1"
    for age in (timedelta(days=settings.retention.audit_days + 1), timedelta(days=1)):
        shelf = await shelve(tables, new, None, ("ada", "token ada"), _LONGEST)
        await tables.execute(f"UPDATE alarm_shelves SET {moved} WHERE id = $2", age, shelf.id)  # noqa: S608 - ours
    old = datetime.now(UTC) - timedelta(days=settings.retention.notifications_days + 1)
    await tables.execute("INSERT INTO congestion_event_cameras VALUES (gen_random_uuid(), 'camera-1', $1)", old)

    await sweep(pool, settings.retention, kept_alarm_tables(settings.retention))

    assert await tables.fetchval("SELECT count(*) FROM alarm_shelves") == 1
    assert await tables.fetchval("SELECT count(*) FROM congestion_event_cameras") == 0
