"""From what vehicles send to what riders, offices and other systems read, on real servers."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from confluent_kafka import Producer
from google.transit import gtfs_realtime_pb2 as gtfs_rt

from models.timestamps import rfc3339
from models.timetables.runs import Fix
from models.timetables.timetable import Timetable
from tests.feeds.rules_place import RulesPlace, rules_place
from tests.stores.redis.redis_server import RedisServer
from tests.timetables import synthetic
from tests.timetables.rig import timetable_of
from tests.timetables.test_realtime import validated
from tests.verification.timetables_plan import shape_place
from tests.web.conftest import ADMIN, ADMIN_KEY
from trafficapp.feeds.rules import When
from trafficapp.settings.transit import TransitSettings
from trafficapp.stores.migrations import migrate
from trafficapp.timetables.live.feeds import (
    LIVE_RUNS,
    OPERATIONS,
    OUTCOMES,
    RUN_OUTCOMES,
    SERVED,
    STOP_TIMES,
    TIMETABLES,
)
from trafficapp.timetables.live.partition import TimetablesPartition, Topics
from trafficapp.timetables.live.source import TimetableSource
from trafficapp.timetables.service_days import day_begin_s
from trafficapp.timetables.stop_places import Shape
from trafficapp.timetables.storage import save
from trafficapp.transit.feeds import LIVE_VEHICLES, VEHICLE_LOCATIONS

#: When runs leave, seconds from now: two are on their way, one is to come.
LEAVES_S = {"first": -700, "second": -480, "later": 600}


class Line:
    """A line of ten stops whose runs are on their way now, in names that no other test has."""

    def __init__(self, folder: Path) -> None:
        self.run, self.now_s = secrets.token_hex(4), int(time.time())
        # times may go beyond 24:00, so that no run of this test begins before the day does
        self.day = datetime.fromtimestamp(self.now_s - 6 * 3600, UTC).date()
        tables = synthetic.tables("UTC")
        tables["calendar"] = [dict(tables["calendar"][0]) | {"saturday": 1, "sunday": 1} | self._span()]
        tables["calendar_dates"] = []
        tables["frequencies"] = []
        del tables["calendar_dates"], tables["frequencies"]
        begin_s = day_begin_s("UTC", self.day)
        tables["trips"] = [
            {"route_id": f"{self.run}-R", "service_id": "week", "trip_id": self.trip(name), "shape_id": "line"}
            | {"direction_id": 0, "trip_headsign": "End", "block_id": ""}
            for name in LEAVES_S
        ]
        tables["stop_times"] = [
            {"trip_id": self.trip(name), "arrival_time": at, "departure_time": at, "stop_id": f"L{index}"}
            | {"stop_sequence": 10 * index + 10, "timepoint": int(index % 3 == 0)}
            for name, leaves_s in LEAVES_S.items()
            for index in range(len(synthetic.LINE))
            for at in (synthetic.clock(self.now_s - begin_s + leaves_s + 90 * index),)
        ]
        tables["routes"] = [dict(tables["routes"][0]) | {"route_id": f"{self.run}-R"}]
        tables["stops"] = [stop for stop in tables["stops"] if str(stop["stop_id"]).startswith("L")]
        self.feed = synthetic.write(folder / "feed.zip", tables)
        self.timetable: Timetable = timetable_of(self.feed)
        self.folder = save(self.timetable, folder / "timetable").parent

    def _span(self) -> dict[str, object]:
        days = [date.fromordinal(self.day.toordinal() + offset) for offset in (-2, 2)]
        return {"start_date": f"{days[0]:%Y%m%d}", "end_date": f"{days[1]:%Y%m%d}"}

    def trip(self, name: str) -> str:
        return f"{self.run}-{name}"

    def told(self, name: str, late_s: float, every_s: int = 10) -> Iterator[dict[str, Any]]:
        """What the vehicle of a run has sent up to now."""
        shape = Shape(self.timetable.paths[0])
        pattern, leaves_s = self.timetable.patterns[0], self.now_s + LEAVES_S[name] + late_s
        for at_s in range(round(leaves_s) - 60, self.now_s + 1, every_s):
            after_s = at_s - leaves_s
            index = min(max(int(after_s // 90), 0), 8)
            share = min(max((after_s - 90 * index) / 90, 0.0), 1.0)
            at_m = pattern.at_m[index] + share * (pattern.at_m[index + 1] - pattern.at_m[index])
            latitude, longitude = shape_place(shape, at_m)
            yield {
                "vehicle_id": f"{self.run}-v-{name}",
                "type": "bus",
                "latitude": float(latitude),
                "longitude": float(longitude),
                "passenger_count": index,
                "status": "in_service",
                "timestamp": rfc3339(at_s * 1_000_000),
                "trip_id": self.trip(name),
                "start_date": f"{self.day:%Y%m%d}",
                "start_time": None,
            }

    def by_hand(self, messages: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
        """What follows from messages in one process that nobody disturbs."""
        topics = Topics("runs", STOP_TIMES, RUN_OUTCOMES, "alerts")
        rules, found = (
            TimetablesPartition(TransitSettings(), TimetableSource(self.folder), topics, {}),
            dict[str, list[Any]](),
        )
        for one in messages:
            time_us = round(datetime.fromisoformat(one["timestamp"]).timestamp() * 1e6)
            fix = Fix(
                *(one["vehicle_id"], one["trip_id"], one["latitude"], one["longitude"], time_us),
                *(one["start_date"], None, one["passenger_count"]),
            )
            for told in rules.apply(fix, When(time_us, time_us)):
                found.setdefault(told.topic, []).append(msgspec.json.decode(told.value or b""))
        return found


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def place(
    line: Line, kafka_bootstrap: str, database_url: str, redis_server: RedisServer
) -> AsyncIterator[RulesPlace]:
    await asyncio.to_thread(migrate, database_url)
    async with rules_place(
        [VEHICLE_LOCATIONS],
        TIMETABLES,
        [LIVE_RUNS, SERVED, OUTCOMES, OPERATIONS, LIVE_VEHICLES],
        kafka_bootstrap,
        transit={"timetable_dir": line.folder},
        postgres={"url": database_url},
        redis={"url": redis_server.url},
        admin={"api_key": ADMIN_KEY},
    ) as place:
        yield place


def produce(place: RulesPlace, messages: list[dict[str, Any]]) -> None:
    """As a plain client of librdkafka does."""
    producer = Producer({"bootstrap.servers": place.settings.kafka.bootstrap_servers})
    for message in messages:
        topic = place.feeds["vehicle-locations"].topic_in(place.settings)
        # in one partition, so that all vehicles are heard of in the order of their times
        producer.produce(topic, key="depot", value=json.dumps(message))
    assert producer.flush(20) == 0


def in_topic(records: list[Any], run: str) -> list[dict[str, Any]]:
    found = [msgspec.json.decode(record.value) for record in records if run.encode() in (record.value or b"")]
    return sorted(found, key=lambda one: (one["trip_id"], one["stop_sequence"]))


async def test_vehicles_on_their_trips_are_seen_by_riders_offices_and_other_systems(
    line: Line, place: RulesPlace, database_url: str, tmp_path: Path
) -> None:
    first, second = list(line.told("first", 0)), list(line.told("second", -130))
    messages = sorted([*first, *second], key=lambda one: (one["timestamp"], one["vehicle_id"]))
    odd: dict[str, Any] = {"trip_id": {"a": 1}, "start_date": 7, "start_time": "soon"}
    unknown = [
        first[-1] | {"vehicle_id": f"{line.run}-v-{n}"} | other for n, other in enumerate([odd, {"trip_id": 17}])
    ]
    half = len(messages) // 2
    produce(place, messages[:half])
    await place.settle()
    # another process takes everything over, and goes on from what was remembered
    await place.begin()
    produce(place, [*messages[half:], *unknown])
    await place.settle(clock_us=line.now_s * 1_000_000)
    assert not [letter for letter in await place.letters() if line.run in str(letter)]

    served, meant = in_topic(await place.told(STOP_TIMES), line.run), line.by_hand(messages)
    assert served == sorted(meant[STOP_TIMES], key=lambda one: (one["trip_id"], one["stop_sequence"]))
    assert [one["trip_id"] for one in served] == [line.trip("first")] * 8 + [line.trip("second")] * 7
    await place.keep([LIVE_RUNS, SERVED, OUTCOMES, OPERATIONS])
    database = await asyncpg.connect(database_url)
    rows = await database.fetch("SELECT * FROM transit_stop_times WHERE route_id = $1", f"{line.run}-R")
    await database.close()
    assert len(rows) == len(served)
    at_l4 = next(row for row in rows if (row["trip_id"], row["stop_id"]) == (line.trip("second"), "L4"))
    assert (at_l4["spacing"], at_l4["previous_trip_id"]) == ("bunched", line.trip("first"))
    assert at_l4["headway_seconds"] == pytest.approx(90, abs=8)
    assert (at_l4["scheduled_headway_seconds"], at_l4["late_seconds"]) == (220, pytest.approx(-130, abs=8))

    async with place.api(ADMIN) as api:

        async def ask(path: str, status: int = 200) -> Any:
            async with api.get(path) as answer:
                assert answer.status == status, await answer.text()
                return await answer.json()

        expected = await ask("/api/transit/stops/L9/arrivals")
        assert [(one["trip_id"], one["source"]) for one in expected] == [
            (line.trip("first"), "prediction"),
            (line.trip("second"), "prediction"),
            (line.trip("later"), "timetable"),
        ]
        wait_s = [datetime.fromisoformat(one["likeliest_at"]).timestamp() - line.now_s for one in expected[:2]]
        assert wait_s == [pytest.approx(110, abs=30), pytest.approx(200, abs=40)]
        assert expected[0]["earliest_at"] < expected[0]["likeliest_at"] < expected[0]["latest_at"]
        assert expected[0]["arrives_at"] < expected[0]["likeliest_at"] < expected[0]["departs_at"]
        assert [one["stop_id"] for one in await ask("/api/transit/stops?limit=2")] == ["L0", "L1"]
        assert "no stop 'X'" in (await ask("/api/transit/stops/X/arrivals", 404))["detail"]
        assert "no route 'X'" in (await ask("/api/transit/routes/X/line", 404))["detail"]

        shown = await ask(f"/api/transit/routes/{line.run}-R/line")
        (direction,) = shown["directions"]
        assert [stop["stop_id"] for stop in direction["stops"]] == [f"L{index}" for index in range(10)]
        behind, ahead = direction["vehicles"]
        assert (behind["vehicle_id"], behind["behind_vehicle_id"]) == (f"{line.run}-v-second", ahead["vehicle_id"])
        assert behind["at_m"] == pytest.approx(610 / 90 * synthetic.EVERY_M, abs=120)
        assert (behind["headway_seconds"], behind["scheduled_headway_seconds"]) == (pytest.approx(90, abs=25), 220)

        (kept,) = await ask(f"/api/transit/performance?route_id={line.run}-R")
        assert (kept["stops_served"], kept["headways"]) == (15, 7)
        assert (kept["bunched_share"], kept["gap_share"]) == (1.0, 0.0)
        assert kept["on_time_share"] == pytest.approx(8 / 15, abs=0.01)
        runs = await ask("/api/transit/runs")
        assert sorted(run["passenger_count"] for run in runs) == [6, 7]

        bodies = dict[str, bytes]()
        for name in ("vehicle-positions", "trip-updates", "alerts"):
            async with api.get(f"/gtfs-rt/{name}") as answer:
                assert (answer.status, answer.content_type) == (200, "application/x-protobuf")
                bodies[name] = await answer.read()
            async with api.get(f"/gtfs-rt/{name}?debug") as answer:
                assert 'gtfs_realtime_version: "2.0"' in await answer.text()
    updates = gtfs_rt.FeedMessage.FromString(bodies["trip-updates"])
    assert {one.trip_update.trip.trip_id for one in updates.entity} == {line.trip("first"), line.trip("second")}
    assert updates.entity[0].trip_update.stop_time_update[-1].stop_id == "L9"
    for name, body in zip(("vehicles", "trips", "alerts"), bodies.values(), strict=True):
        (tmp_path / name).write_bytes(body)
    found = validated(tmp_path, line.feed, updates.header.timestamp)
    assert not found, json.dumps(found, indent=1)
