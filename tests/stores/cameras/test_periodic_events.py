from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime

import asyncpg
import msgspec
import pytest
from redis.asyncio import Redis

from models.cameras.overview import CityOverview
from models.cameras.window_rows import WindowRow
from models.timestamps import rfc3339
from tests.stores.alerts.alert_messages import alert_event, keep_open
from tests.stores.cameras.test_live_sink import flat
from tests.stores.redis.redis_server import RedisServer
from tests.stores.redis.rows import records, window_row
from tests.tasks import end
from tests.web.stored import keep_windows, recent_window
from trafficapp.analytics.heatmap import full_counts, heat_points, heat_span
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.cameras.dashboard_queries import camera_heat
from trafficapp.stores.cameras.live_sink import LiveSink
from trafficapp.stores.cameras.periodic_events import PeriodicEvents, Surroundings
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.connection import create_pool
from trafficapp.stores.redis.connection import WINDOW_OFFSETS_KEY, connect
from trafficapp.stores.redis.event_log import EventLog


@pytest.fixture
def settings(database_url: str, server: RedisServer) -> Settings:
    return load_settings(
        redis={"url": server.url},
        postgres={"url": database_url},
        events={"metrics_seconds": 0.25, "heatmap_seconds": 0.5},
    )


@pytest.fixture
async def periodic(settings: Settings, client: Redis) -> PeriodicEvents:
    await asyncio.to_thread(migrate, settings.postgres.url.get_secret_value())
    connection = await asyncpg.connect(settings.postgres.url.get_secret_value())
    await connection.execute("TRUNCATE cameras, admin_thresholds, traffic_metrics, metrics_1m, metrics_1h")
    await connection.execute(
        "INSERT INTO cameras (camera_id, name, latitude, longitude) VALUES ('a', 'A', 44.5, 11.5), ('old', 'O', 1, 2)"
    )
    await connection.execute(
        "INSERT INTO admin_thresholds (congestion_threshold_low, congestion_threshold_moderate, "
        "congestion_threshold_high, effective_from, set_by) VALUES (0.1, 0.2, 0.3, now(), 'ana')"
    )
    await connection.close()
    surroundings = Surroundings(settings)
    await surroundings.refresh()
    return PeriodicEvents(client, settings, surroundings)


def window(camera_id: str, ago_seconds: float, vehicle_count: int, score: float | None, speed: float) -> WindowRow:
    end_us = int((time.time() - ago_seconds) * 1e6)
    return msgspec.structs.replace(
        window_row(camera_id, 0, vehicle_count=vehicle_count),
        window_start=rfc3339(end_us - 5_000_000),
        window_end=rfc3339(end_us),
        congestion_score=score,
        avg_speed_kmh=speed,
    )


async def metrics_update(periodic: PeriodicEvents) -> tuple[list[dict[str, object]], CityOverview]:
    """The data of the event, and what stands beside it in its envelope."""
    envelope = json.loads(b'{"data":' + await periodic.metrics_update() + b"}")
    assert set(envelope) == {"data", "overview"}
    return envelope["data"], msgspec.convert(envelope["overview"], CityOverview)


async def test_the_heatmap_is_that_of_rest(periodic: PeriodicEvents, settings: Settings) -> None:
    """Means over five minutes, and not what the newest windows say."""
    await keep_windows(
        settings,
        recent_window("a", 2, vehicle_count=10, congestion_score=0.2),
        recent_window("a", 3, vehicle_count=20, congestion_score=0.6),
        recent_window("a", 100, vehicle_count=90, congestion_score=1.0),
        recent_window("unplaced", 2),
    )
    (point,) = json.loads(await periodic.heatmap_update())
    since, until = heat_span(datetime.now(UTC), 5)
    async with create_pool(settings.postgres) as pool:
        heat = await camera_heat(pool, since, until)
    assert (point["camera_id"], point["latitude"], point["longitude"]) == ("a", 44.5, 11.5)
    assert point["vehicle_count"] == 15
    (right,) = heat_points(heat, periodic._surroundings.cameras, full_counts(settings))
    assert point == msgspec.to_builtins(right)


async def test_what_the_events_say(periodic: PeriodicEvents, client: Redis, sink: LiveSink) -> None:
    rows = [
        window("b", 5, 30, 0.2, 40.0),
        window("a", 6, 10, 0.6, 20.0),
        window("silent", 7, 5, None, 0.0),
        window("old", 600, 50, 0.9, 5.0),
    ]
    await sink.load([0])
    await sink.apply(0, records([*rows], 100), lambda: True)
    await keep_open(client, alert_event("x"), alert_event("y"), alert_event("z", alert_type="camera_silent"))
    told, city = await metrics_update(periodic)
    assert told == flat([rows[1], rows[0], rows[2]])
    assert [row.camera_id for row in city.cameras] == ["a", "b", "silent"]
    assert (city.overall_congestion_score, city.overall_congestion_level) == (0.3, "SEVERE")
    assert (city.avg_speed_kmh, city.vehicle_count, city.active_alerts) == (31.11, 45, 2)
    assert city.last_updated == rows[0].window_end


async def test_a_city_of_which_nothing_was_heard_for_minutes(
    periodic: PeriodicEvents, client: Redis, sink: LiveSink
) -> None:
    last = window("a", 150, 30, 0.9, 4.0)
    await sink.load([0])
    await sink.apply(0, records([last], 100), lambda: True)
    # however old the windows themselves are
    _, city = await metrics_update(periodic)
    assert city.overall_congestion_score == 0.9
    await client.hincrby(WINDOW_OFFSETS_KEY, "put_at", -121)
    _, city = await metrics_update(periodic)
    assert (city.overall_congestion_level, city.overall_congestion_score, city.avg_speed_kmh) == ("UNKNOWN", None, None)
    assert (city.last_updated, len(city.cameras)) == (last.window_end, 1)


async def test_an_empty_city(periodic: PeriodicEvents) -> None:
    told, city = await metrics_update(periodic)
    assert told == []
    assert (city.cameras, city.last_updated, city.overall_congestion_level) == ([], None, "UNKNOWN")
    assert await periodic.heatmap_update() == b"[]"


async def test_of_several_workers_one_tells_each_time(
    periodic: PeriodicEvents, settings: Settings, client: Redis, server: RedisServer
) -> None:
    others = [connect(server.url) for _ in range(2)]
    since = (await EventLog(client).state()).seq
    workers = [periodic, *(PeriodicEvents(other, settings, Surroundings(settings)) for other in others)]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    async with asyncio.timeout(180):
        while len(told := await EventLog(client).after(since, 100)) < 12:  # noqa: ASYNC110 - told by the server
            await asyncio.sleep(0.05)
    await end(*running)
    # each turn that came is marked, whoever took it
    for name in ("traffic_metrics_update", "heatmap_update"):
        turns = await client.keys(f"events:tick:{name}:*")
        assert 3 <= sum(one.event == name for one in told) <= len(turns)
    for other in others:
        await other.aclose()
