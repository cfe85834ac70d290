"""Finished windows to the health of their sources in Redis and behind the API, on real servers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest

from models.cameras.window_rows import WindowRow, encode_window_row
from models.city_alerts import CityAlert
from models.timestamps import rfc3339
from tests.feeds.rules_place import rules_place
from tests.stores.redis.redis_server import RedisServer
from tests.web.conftest import ADMIN, ADMIN_KEY
from trafficapp.movement.feeds import QUALITY
from trafficapp.movement.plausibility import QUALITY_ALERTS
from trafficapp.quality.feeds import CAMERA_WINDOWS, QUALITY_OF_CAMERAS, SOURCES
from trafficapp.stores.cameras.health import unhealthy_cameras
from trafficapp.stores.migrations import migrate
from trafficapp.stores.redis.connection import connect

SECOND = 1_000_000
T0 = 1_768_392_000 * SECOND


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


def rows(camera_id: str, number: int, vehicles: int) -> list[bytes]:
    """A window of ten seconds and that of its only lane."""
    start_us = T0 + 10 * number * SECOND
    row = WindowRow(
        camera_id=camera_id,
        window_start=rfc3339(start_us),
        window_end=rfc3339(start_us + 10 * SECOND),
        lane_id=None,
        vehicle_count=vehicles,
        counts_by_class={"car": vehicles},
        avg_speed_kmh=40.0 + number / 8,
        stopped_ratio=0.0,
        queue_length=0,
        congestion_level="LOW",
        congestion_score=0.1,
        detections=20 * vehicles,
    )
    return [encode_window_row(row), encode_window_row(msgspec.structs.replace(row, lane_id=1))]


async def test_a_chattering_lane_is_told_and_a_new_process_goes_on(
    kafka_bootstrap: str, database_url: str, redis_server: RedisServer
) -> None:
    await asyncio.to_thread(migrate, database_url)
    camera_id = f"quality-{secrets.token_hex(4)}"
    async with rules_place(
        [replace(CAMERA_WINDOWS)],
        QUALITY_OF_CAMERAS,
        [SOURCES, QUALITY],
        kafka_bootstrap,
        postgres={"url": database_url},
        redis={"url": redis_server.url},
        admin={"api_key": ADMIN_KEY},
    ) as place:
        for begin, end in ((0, 5), (5, 12)):
            for number in range(begin, end):
                # a repeat of what was sent before, as after a crash of the windows
                again = rows(camera_id, 0, 14) if number == 5 else []
                await place.send(CAMERA_WINDOWS.name, *again, *rows(camera_id, number, 14), key=camera_id.encode())
            await place.settle(T0 + 10 * end * SECOND)
            await place.begin()
        await place.keep([SOURCES])
        redis = connect(redis_server.url)
        assert await unhealthy_cameras(redis) == {camera_id}
        await redis.aclose()
        async with place.api(ADMIN) as client, client.get("/api/quality") as answer:
            assert answer.status == 200
            listed = {one["source_id"]: one for one in await answer.json() if one["camera_id"] == camera_id}
        told = [msgspec.json.decode(record.value, type=CityAlert) for record in await place.told(QUALITY_ALERTS)]
        assert not await place.letters()
    assert listed[camera_id]["state"] == "healthy"
    lane = listed[f"{camera_id}/1"]
    assert (lane["state"], lane["reason"]) == ("unhealthy", "chatter")
    assert lane["evidence"] == "42 vehicles in 30 s, 2 times running"
    assert lane["since"] == rfc3339(T0 + 70 * SECOND)
    mine = [one for one in told if one.subject == camera_id]
    assert [(one.state, one.message) for one in mine] == [
        ("opened", f"camera {camera_id}: lane 1 chatter: 42 vehicles in 30 s, 2 times running")
    ]
