from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from models.cameras.window_rows import WindowRow
from tests.stores.postgres.fixtures import Connection, MakeSink, Pool
from tests.stores.postgres.records import START_US, owned, window, window_records
from trafficapp.stores.cameras.history_queries import CameraSeen, Position, cameras, metrics_history
from trafficapp.stores.postgres.connection import ping

START = datetime.fromtimestamp(START_US / 1e6, UTC)


@pytest.fixture
async def rows(metrics_sink: MakeSink, database: Connection) -> list[WindowRow]:
    """Ten windows of a camera with two lanes, as they must come out; another camera beside it."""
    rows = [window(number=number, lane_id=lane) for number in range(10) for lane in (None, 0, 1)]
    sink = metrics_sink()
    await sink.load([0])
    await sink.apply(0, window_records(*reversed(rows), window("cam_02")), owned)
    # what they were made of stays where it is
    return [WindowRow(**{name: getattr(row, name) for name in WindowRow.__struct_fields__}) for row in rows]


async def test_rows_come_as_they_were_sent_in_order(pool: Pool, rows: list[WindowRow]) -> None:
    page = await metrics_history(pool, "cam_01", START, START + timedelta(hours=1), 100)
    assert page.rows == rows
    assert page.next_position is None


async def test_the_range_is_half_open(pool: Pool, rows: list[WindowRow]) -> None:
    page = await metrics_history(pool, "cam_01", START + timedelta(seconds=5), START + timedelta(seconds=15), 100)
    assert page.rows == rows[3:9]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 29, 30])
async def test_pages_together_are_the_whole(pool: Pool, rows: list[WindowRow], limit: int) -> None:
    collected: list[WindowRow] = []
    position: Position | None = None
    for _ in range(31):
        page = await metrics_history(pool, "cam_01", START, START + timedelta(hours=1), limit, position)
        assert len(page.rows) <= limit
        collected += page.rows
        position = page.next_position
        if position is None:
            break
    assert collected == rows


async def test_a_position_does_not_widen_the_range(pool: Pool, rows: list[WindowRow]) -> None:
    before = (START - timedelta(days=1), None)
    page = await metrics_history(pool, "cam_01", START + timedelta(seconds=45), START + timedelta(hours=1), 9, before)
    assert page.rows == rows[27:]


@pytest.mark.parametrize("camera_id", ["cam_99", "", "\0", "'; DROP TABLE cameras; --"])
async def test_an_unknown_camera_has_no_rows(pool: Pool, rows: list[WindowRow], camera_id: str) -> None:
    page = await metrics_history(pool, camera_id, START, START + timedelta(hours=1), 10)
    assert (page.rows, page.next_position) == ([], None)


async def test_cameras(pool: Pool, rows: list[WindowRow], database: Connection) -> None:
    await database.execute("INSERT INTO cameras (camera_id) VALUES ('cam_03')")
    assert await cameras(pool) == [
        CameraSeen("cam_01", START + timedelta(seconds=50)),
        CameraSeen("cam_02", START + timedelta(seconds=5)),
        CameraSeen("cam_03", None),
    ]


async def test_ping(pool: Pool) -> None:
    assert await ping(pool) is True
