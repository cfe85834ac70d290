from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tests.stores.postgres.fixtures import Connection
from tests.stores.postgres.records import owned
from tests.stores.roads.observations import observation, observation_records
from trafficapp.settings import Settings
from trafficapp.stores.roads.observations_sink import HistoryRoadsSink

T0 = datetime(2026, 1, 14, 7, tzinfo=UTC)


@pytest.fixture
async def sink(database: Connection, settings: Settings) -> AsyncIterator[HistoryRoadsSink]:
    await database.execute("TRUNCATE roads, road_observations")
    sink = HistoryRoadsSink(settings)
    await sink.load([0])
    yield sink
    await sink.close()


async def test_an_observation_is_kept_whole(sink: HistoryRoadsSink, database: Connection) -> None:
    await sink.apply(0, observation_records(observation()), owned)
    observed = await database.fetchrow("SELECT * FROM road_observations")
    known = await database.fetchrow("SELECT * FROM roads")
    assert observed is not None
    assert known is not None
    assert dict(observed) == {
        "road_id": "a10",
        "observed_at": T0,
        "event_id": "a10-0",
        "current_speed": 20.0,
        "free_flow_speed": 50.0,
        "jam_factor": 4.5,
        "congestion_level": "medium",
        "speed_ratio": 0.4,
        "rush_hour": True,
        "closed": False,
        "confidence": None,
        "vehicles": None,
        "credibility": None,
    }
    assert {**dict(known), "coordinates": json.loads(known["coordinates"]), "edges": json.loads(known["edges"])} == {
        "road_id": "a10",
        "road_name": "Via Roma",
        "free_flow_speed": 50.0,
        "coordinates": [[11.32, 44.5], [11.33, 44.5]],
        "edges": [["a10", 1.0]],
        "graph_version": "0123456789ab",
        "last_seen": T0,
    }


async def test_closures_and_confidences_are_kept_and_free_flow_follows_measured_speeds_only(
    sink: HistoryRoadsSink, database: Connection
) -> None:
    closed = {"closed": True, "free_flow_speed": 9.0}
    run = [
        observation(),
        observation(seconds=60, **closed),
        observation(seconds=120, confidence=0.7, free_flow_speed=8.0),
        observation("new", **closed),
    ]
    await sink.apply(0, observation_records(*run), owned)
    await sink.apply(0, observation_records(observation(seconds=180, **closed), first=4), owned)
    rows = await database.fetch("SELECT closed, confidence FROM road_observations ORDER BY road_id, observed_at")
    assert [tuple(row) for row in rows] == [(False, None), (True, None), (False, 0.7), (True, None), (True, None)]

    async def known() -> list[tuple[str, float, datetime]]:
        rows = await database.fetch("SELECT road_id, free_flow_speed, last_seen FROM roads ORDER BY road_id")
        return [(row[0], row[1], row[2]) for row in rows]

    # the one that was never measured has what is told
    assert await known() == [("a10", 50.0, T0 + timedelta(seconds=180)), ("new", 9.0, T0)]
    both = observation(seconds=240, free_flow_speed=55.0), observation(seconds=300, **closed)
    await sink.apply(0, observation_records(*both, first=5), owned)
    assert (await known())[0] == ("a10", 55.0, T0 + timedelta(seconds=300))


async def test_the_newest_observation_says_what_is_known_of_a_road(
    sink: HistoryRoadsSink, database: Connection
) -> None:
    newest = observation(seconds=600, road_name="newest")
    run = [observation(road_name="first"), newest, observation(seconds=300, road_name="late")]
    await sink.apply(0, observation_records(*run), owned)
    await sink.apply(0, observation_records(observation(seconds=-5, road_name="later"), first=3), owned)
    assert await database.fetchval("SELECT road_name FROM roads") == "newest"
    assert await database.fetchval("SELECT last_seen FROM roads") == T0 + timedelta(minutes=10)
    assert await database.fetchval("SELECT count(*) FROM road_observations") == 4


async def test_repeats_change_nothing_at_whatever_offset(sink: HistoryRoadsSink, database: Connection) -> None:
    run = [observation("a"), observation("b"), observation("a", 60)]
    await sink.apply(0, observation_records(*run), owned)
    before = await database.fetch("SELECT * FROM road_observations ORDER BY event_id")
    await sink.apply(0, observation_records(*run, *run, first=2), owned)
    assert await database.fetch("SELECT * FROM road_observations ORDER BY event_id") == before
    assert (sink.counters.rows, sink.counters.repeated) == (3, 5)
    assert await sink.load([0]) == {0: 8}


async def test_days_have_partitions_of_their_own(sink: HistoryRoadsSink, database: Connection) -> None:
    run = [observation(seconds=day * 86_400) for day in range(3)]
    await sink.apply(0, observation_records(*run, observation(seconds=-40 * 365 * 86_400)), owned)
    found = await database.fetch("SELECT tableoid::regclass::text AS part FROM road_observations ORDER BY observed_at")
    assert [row["part"] for row in found] == [
        "road_observations_1986",
        *(f"road_observations_202601{day}" for day in (14, 15, 16)),
    ]


async def test_what_cannot_be_kept_costs_no_neighbour(sink: HistoryRoadsSink, database: Connection) -> None:
    nul = observation("a\0b", road_name="c\0d", edges=[("e\0", 1.0)])
    times = ("yesterday", "9999-12-31T23:59:59-23:59", "9999-12-31T00:00:00Z", "0001-01-01T00:00:00+23:59")
    wrong = [observation("w", timestamp=time) for time in times]
    wrong += [observation("x" * 5000), observation(speed_ratio=1, edges=[("e", 2.0)]), observation(current_speed=-1.0)]
    nul = msgspec.structs.replace(nul, graph_version="g\0")
    await sink.apply(0, observation_records(b"", b"{}", observation(), *wrong, nul), owned)
    found = await database.fetch("SELECT road_id, road_name FROM roads ORDER BY road_id")
    assert [tuple(row) for row in found] == [("a10", "Via Roma"), ("a�b", "c�d")]
    assert (sink.counters.rows, sink.counters.unreadable, sink.counters.unstorable) == (2, 2 + len(wrong), 0)
