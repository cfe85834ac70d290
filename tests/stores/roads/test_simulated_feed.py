"""What a simulated city sends live is labelled as it is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from models.roads.current import SIMULATED_ID, RoadObservation
from tests.stores.postgres.fixtures import Connection
from tests.stores.postgres.records import owned
from tests.stores.roads.observations import observation, observation_records
from trafficapp.settings import Settings
from trafficapp.stores.roads.observations_sink import HistoryRoadsSink

T0 = datetime(2026, 1, 14, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def sink(database: Connection, settings: Settings) -> AsyncIterator[HistoryRoadsSink]:
    await database.execute("TRUNCATE roads, road_observations, simulated_spans")
    sink = HistoryRoadsSink(settings)
    await sink.load([0])
    yield sink
    await sink.close()
    await database.execute("TRUNCATE simulated_spans")


def simulated(minutes: float, road_id: str = "a") -> RoadObservation:
    return observation(road_id, minutes * 60, event_id=f"{SIMULATED_ID}{road_id}-{minutes}")


async def spans(database: Connection) -> list[tuple[float, float]]:
    rows = await database.fetch("SELECT from_time, to_time FROM simulated_spans ORDER BY id")
    return [((begin - T0) / MINUTE, (end - T0) / MINUTE) for begin, end in rows]


async def test_a_run_is_one_span_that_grows(sink: HistoryRoadsSink, database: Connection) -> None:
    await sink.apply(0, observation_records(simulated(2.5), simulated(0.5, "b")), owned)
    assert await spans(database) == [(0, 3)]
    version = await database.fetchval("SELECT xmin FROM simulated_spans")
    # within the minute, and again: not even written
    await sink.apply(0, observation_records(simulated(2.6), simulated(2.5), first=2), owned)
    assert await database.fetchval("SELECT xmin FROM simulated_spans") == version
    await sink.apply(0, observation_records(simulated(9), simulated(-4), first=4), owned)
    assert await spans(database) == [(-4, 10)]


async def test_another_run_is_another_span(sink: HistoryRoadsSink, database: Connection) -> None:
    await database.execute(
        "INSERT INTO simulated_spans (from_time, to_time, seed, contents) VALUES ($1, $2, 1, 'roads and cameras')",
        T0 - timedelta(days=1), T0 + MINUTE,
    )  # fmt: skip
    await sink.apply(0, observation_records(simulated(0)), owned)
    await sink.apply(0, observation_records(simulated(60), first=1), owned)
    assert await spans(database) == [(-1440, 1), (0, 1), (60, 61)]


async def test_what_was_measured_is_not_labelled(sink: HistoryRoadsSink, database: Connection) -> None:
    await sink.apply(0, observation_records(observation(), observation("b", 60)), owned)
    assert await spans(database) == []
