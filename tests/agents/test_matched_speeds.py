"""From fixes of cars to how fast a road is, is predicted to be, and how long a way over it takes: on real servers."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from agents.rules import RulesSink
from models.fleet.travels import Travel
from models.roads.current import decode_road_observation
from models.roads.predictions import decode_prediction
from tests.agents.roads.test_closed_roads import asked, until
from tests.agents.test_alerts import worker
from tests.conftest import embedded_stack
from tests.feeds.committed import existing_partitions
from tests.feeds.rules_place import RulesPlace, rules_place
from tests.matching.drives import drive, way_from
from trafficapp.fleet.feeds import CARS, FLEET, MATCHED_ROADS, POSITIONS, TRACKERS
from trafficapp.matching.roads import MatchingRoads
from trafficapp.movement.feeds import QUALITY
from trafficapp.roads.feeds import NOTIFIED, PREDICTED, ROAD_SPEEDS, ROADS
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings
from trafficapp.stack.servers.endpoints import Endpoints
from trafficapp.topics import PREDICTIONS, ROADS_RAW

SECOND = 1_000_000
GRAPH = city_graph(RoadSettings())


def fixes() -> list[tuple[str, datetime, float, float, float, float]]:
    """Five cars one behind the other on the same way, ending now."""
    roads = MatchingRoads.build(GRAPH, 40.0)
    way = way_from(roads, GRAPH.position_of_edge["a165"], 700, np.random.default_rng(4))
    ends = datetime.now(UTC)
    found = []
    for number in range(5):
        driven = drive(roads, way, f"car-{number}", np.random.default_rng(number), noise_m=2.0).fixes
        columns = (getattr(driven, name).tolist() for name in ("time_us", "lat", "lon", "speed_kmh", "heading"))
        last_us = int(driven.time_us[-1])
        found += [
            (f"car-{number}", ends - timedelta(microseconds=last_us - at_us), *rest)
            for at_us, *rest in zip(*columns, strict=True)
        ]
    return sorted(found, key=lambda one: one[1])


async def send(place: RulesPlace) -> None:
    for number, (device, at, lat, lon, speed, heading) in enumerate(fixes()):
        message: dict[str, Any] = {"id": str(number), "device_id": device, "timestamp": at.isoformat(), "speed": speed}
        message |= {"location": [lat, lon], "direction": heading}
        await place.send(CARS.name, json.dumps(message).encode(), key=device.encode())


@pytest.fixture
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker of its own: what other tests say of the same roads would be taken for what the feed says of them."""
    with embedded_stack(tmp_path_factory.mktemp("own-kafka")) as endpoints:
        yield str(endpoints.kafka_bootstrap_servers)


async def test_cars_make_a_road_as_fast_as_they_drive(
    own_kafka: str, database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = [POSITIONS, QUALITY, ROAD_SPEEDS, ROADS, PREDICTED, NOTIFIED]
    async with rules_place([CARS, TRACKERS], FLEET, outputs, own_kafka, fleet={"matching": True}) as place:
        settings = place.settings
        await send(place)
        speeds = RulesSink(MATCHED_ROADS, [FLEET.name], settings, place.telemetry)
        place._next[speeds.topic] = await speeds.load(await existing_partitions(settings, speeds.topic))
        now_us = time.time_ns() // 1000
        await place.settle(now_us)

        # a process that ends in the middle of a transaction, behind what it sent
        async def end(*_: Any) -> None:
            raise SystemExit

        await place._pump(speeds)
        for seconds in range(10, 100, 10):
            await place.settle(now_us + seconds * SECOND)
        monkeypatch.setattr(speeds._owned[0].producer, "commit_transaction", end)
        with pytest.raises(SystemExit):
            await place._pump(speeds)
        follower = RulesSink(MATCHED_ROADS, [FLEET.name], settings, place.telemetry)
        place._next[follower.topic] = await follower.load(await existing_partitions(settings, follower.topic))
        await place._pump(follower)

        # all that was driven is in one speed
        told = await place.told(speeds.topic)
        travels = [msgspec.json.decode(one.value or b"", type=Travel) for one in told if not one.headers]
        assert {one.vehicle for one in travels} == {f"car-{number}" for number in range(5)}
        sent = [json.loads(one.value or b"") for one in await place.told(ROADS_RAW)]
        by_road = {one["road_id"]: one for one in sent}
        assert len(by_road) >= 3
        name = max(by_road, key=lambda road: (by_road[road]["vehicles"], GRAPH.length_m[GRAPH.position_of_edge[road]]))
        its = [one for one in travels if one.edge == name]
        expected = 3.6 * sum(one.metres for one in its) / sum(one.seconds for one in its)
        assert by_road[name]["vehicles"] >= 4
        assert [one["current_speed"] for one in sent if one["road_id"] == name] == [pytest.approx(expected, abs=0.01)]

        folder = tmp_path / "roads"
        folder.mkdir()
        environment = {**os.environ, **Endpoints(own_kafka, database_url, redis_url).environment()}
        environment |= {"TRAFFICAPP_AUTH__PUBLIC_READS": "true", "TRAFFICAPP_FORECAST__ROUND_SECONDS": "1"}
        environment |= {"TRAFFICAPP_WORKER__ROLE": "roads", "TRAFFICAPP_DATA_DIR": str(folder)}
        edge = GRAPH.position_of_edge[name]
        ends = tuple(str(GRAPH.node_ids[node[edge]]) for node in (GRAPH.edge_from, GRAPH.edge_to))
        with worker(settings, environment, folder) as (_, port):

            def as_fast_as_they() -> bool:
                lines = [line.split(",") for line in asked(port, "/export/osrm/current.csv").splitlines()]
                kmh = {(one, other): float(told) for one, other, told in lines}
                return abs(kmh.get(ends, 0.0) - expected) < 1.0

            assert until(as_fast_as_they, tmp_path)
        observed = [decode_road_observation(one.value or b"") for one in await place.told(ROADS.topic_in(settings))]
        (road,) = [one for one in observed if one.road_id == name and one.vehicles]
        # it is measured, however few they are
        assert road.is_measured
        assert road.current_speed == by_road[name]["current_speed"]
        assert road.credibility == by_road[name]["credibility"]
        predictions = [decode_prediction(one.value or b"") for one in await place.told(PREDICTIONS)]
        of_it = [one for one in predictions if one.road_id == name and one.current_speed == road.current_speed]
        assert {one.source for one in of_it} <= {"model", "last_value"}
        assert of_it
        await speeds.close()
        await follower.close()
