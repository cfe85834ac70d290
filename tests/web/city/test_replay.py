"""The past as a map plays it back."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.stores.redis.redis_server import RedisServer
from tests.web.conftest import ADMIN_KEY, Worker, serving, settings_of
from trafficapp.stores.city import replay
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.time_partitions import (
    day_partition,
    ensure_partitions,
    metrics_partition,
    observations_partition,
)

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
PATH = "/api/replay?from=2026-03-10T12:00:00Z&to=2026-03-10T12:02:00Z"


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.fixture(scope="module")
async def stored(database_url: str) -> AsyncIterator[None]:
    """Two roads, a camera with a lane, a bus, a car, alerts and incidents around noon."""
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    of_vehicles = [day_partition(table, NOON) for table in ("transit_positions", "vehicle_positions")]
    await ensure_partitions(connection, [observations_partition(NOON), metrics_partition(NOON), *of_vehicles])
    for road, at, kmh, closed, confidence in (
        ("a", -700, 10.0, False, None),  # no longer current at noon
        ("a", -100, 20.0, False, None),
        ("b", -50, 0.0, True, None),
        ("a", 0, 30.0, False, 0.6),
        ("a", 119.5, 40.0, False, 0.9),
        ("a", 120, 50.0, False, None),
    ):
        await connection.execute(
            "INSERT INTO road_observations (road_id, observed_at, event_id, current_speed, free_flow_speed, jam_factor,"
            " congestion_level, speed_ratio, rush_hour, closed, confidence)"
            " VALUES ($1, $2, 'e', $3, 50, 2, 'low', 0.5, false, $4, $5)",
            *(road, after(at), kmh, closed, confidence),
        )
    for end, lane, vehicles in ((-65, None, 1), (-5, None, 2), (0, None, 3), (0, 1, 9), (115, None, 4), (120, None, 5)):
        await connection.execute(
            "INSERT INTO traffic_metrics VALUES ('cam', $1, $2, $3, $4, '{}', NULL, NULL, 0, 'LOW', NULL, 1)",
            *(after(end - 5), after(end), lane, vehicles),
        )
    await connection.execute(
        "INSERT INTO transit_positions VALUES ('bus-1', $1, 'bus', 44.5, 11.3, NULL, 'in_service')", after(30)
    )
    for at, plausible in ((20, True), (40, False)):
        await connection.execute(
            "INSERT INTO vehicle_positions (vehicle_id, observed_at, feed, latitude, longitude, plausible, received_at)"
            " VALUES ('AB 123', $1, 'vehicle_data', 44.5, 11.3, $2, $1)",
            *(after(at), plausible),
        )
    for title, begin, end in (
        ("over", -60, -1), ("going on", -60, 10), ("short", 10, 20), ("open", 100, None), ("later", 120, None)
    ):  # fmt: skip
        await connection.execute(
            "INSERT INTO alerts (id, revision, severity, alert_type, title, message, rule, since, triggered_at,"
            " updated_at, resolved_at) VALUES ($1, 1, 'WARNING', 'manual', $2, '', 'r', $3, $3, $3, $4)",
            *(uuid.uuid4(), title, after(begin), None if end is None else after(end)),
        )
    for name, state, begin, end in (
        ("i", "cleared", -60, 60),
        ("r", "rejected", 0, None),
        ("o", "reported", 110, None),
    ):
        await connection.execute(
            "INSERT INTO incidents (incident_id, reported_at, updated_at, revision, incident_type, kind, severity,"
            " severity_level, closed, is_emergency, latitude, longitude, description, state, happened_at, reports,"
            " cleared_at, reopened)"
            " VALUES ($1, $2, $2, 0, 'x', 'accident', 'low', 1, false, false, 44, 11, '', $3, $2, 1, $4, 0)",
            *(name, after(begin), state, None if end is None else after(end)),
        )
    yield
    await connection.close()


async def asked(worker: Worker, path: str, status: int = 200) -> Any:
    async with worker.client.get(path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


@pytest.mark.usefixtures("stored")
async def test_a_stretch_begins_with_the_state_and_holds_what_happened(history_worker: Worker) -> None:
    found = await asked(history_worker, PATH)
    assert (found["from"], found["to"], found["simulated"], found["cut"]) == (
        *("2026-03-10T12:00:00Z", "2026-03-10T12:02:00Z"), False, []
    )  # fmt: skip
    assert [[row[0], row[1], row[2], row[5], row[6]] for row in found["roads"]] == [
        [-100.0, "a", 20.0, False, "measured"],
        [-50.0, "b", 0.0, True, None],
        [0.0, "a", 30.0, False, "historical"],
        [119.5, "a", 40.0, False, "measured"],
    ]
    assert [row[:3] for row in found["cameras"]] == [[-5.0, "cam", 2], [0.0, "cam", 3], [115.0, "cam", 4]]
    assert found["vehicles"] == [[20.0, "AB 123", "car", 44.5, 11.3], [30.0, "bus-1", "bus", 44.5, 11.3]]
    assert [(one["title"], one["from_at"], one["to_at"]) for one in found["alerts"]] == [
        ("going on", -60.0, 10.0), ("short", 10.0, 20.0), ("open", 100.0, None)
    ]  # fmt: skip
    assert [(one["incident_id"], one["to_at"]) for one in found["incidents"]] == [("i", 60.0), ("o", None)]


@pytest.mark.usefixtures("stored")
async def test_stretches_side_by_side_have_everything_once(history_worker: Worker) -> None:
    whole = await asked(history_worker, PATH + "&state=false")
    halves = [
        await asked(history_worker, f"/api/replay?from=2026-03-10T12:{a}Z&to=2026-03-10T12:{b}Z&state=false")
        for a, b in (("00:00", "01:00"), ("01:00", "02:00"))
    ]
    for part in ("roads", "cameras", "vehicles"):
        shifted = [[row[0] + 60 * number, *row[1:]] for number, half in enumerate(halves) for row in half[part]]
        assert shifted == whole[part]
    assert [row[0] for row in whole["roads"]] == [0.0, 119.5]


@pytest.mark.usefixtures("stored")
async def test_what_is_not_wanted_or_too_much_is_told(history_worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    found = await asked(history_worker, PATH + "&parts=vehicles")
    assert (found["roads"], found["cameras"], len(found["vehicles"])) == ([], [], 2)
    monkeypatch.setattr(replay, "MOST_ROWS", 1)
    found = await asked(history_worker, PATH + "&parts=vehicles,cameras&state=false")
    assert (found["cut"], len(found["vehicles"]), len(found["cameras"])) == (["cameras", "vehicles"], 1, 1)


@pytest.mark.usefixtures("stored")
async def test_cars_are_for_operators_only(redis_server: RedisServer, database_url: str, kafka_bootstrap: str) -> None:
    async with serving(settings_of(redis_server, kafka_bootstrap, database_url), redis_server) as worker:
        url = worker.client.make_url(PATH)
        async with worker.client.session.get(url, headers={"X-Admin-Token": ADMIN_KEY}) as answer:
            assert len((await answer.json())["vehicles"]) == 2
        worker.client.session.headers.popall("X-Admin-Token", None)  # type: ignore[attr-defined]
        async with worker.client.session.get(url) as answer:
            assert [row[1] for row in (await answer.json())["vehicles"]] == ["bus-1"]


async def test_a_stretch_that_is_too_long_or_of_nothing_known_is_refused(worker: Worker) -> None:
    refused = await asked(worker, "/api/replay?from=2026-03-10T12:00:00Z&to=2026-03-10T12:10:01Z", 400)
    assert "more than 10 min" in refused["detail"]
    refused = await asked(worker, PATH + "&parts=roads,trees", 400)
    assert "not 'trees'" in refused["detail"]
