from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from models.cameras.detections import TICK_HEADER
from tests.stores.postgres.fixtures import Connection, MakeSink
from tests.stores.postgres.records import START_US, detection, event, events, owned, record
from tests.windows.whole import WholeWindows
from trafficapp.settings import Settings
from trafficapp.stores.cameras.event_rows import COLUMNS, EventBatch
from trafficapp.windows.rules import partition_rules


async def _stored(database: Connection) -> list[dict[str, Any]]:
    found = await database.fetch(f"SELECT {', '.join(COLUMNS)} FROM traffic_events ORDER BY vehicle_id")  # noqa: S608
    return [dict(row) for row in found]


async def _apply(sink: Any, *values: Any) -> None:
    """Apply JSON values or whole records as one run."""
    await sink.load([0])
    run = [
        value if hasattr(value, "offset") else record(offset, json.dumps(value).encode())
        for offset, value in enumerate(values)
    ]
    await sink.apply(0, run, owned)


async def test_every_field_is_kept(events_sink: MakeSink, database: Connection) -> None:
    await _apply(
        events_sink(), detection(lane_id=2, speed_estimate=42.5, centroid={"x": 1.5, "y": 2.5}, extra="ignored")
    )
    assert await _stored(database) == [
        {
            "camera_id": "cam_01",
            "ts": datetime(2026, 1, 14, 7, 0, 1, 250_000, tzinfo=UTC),
            "vehicle_id": "v1",
            "class": "car",
            "frame_id": 7,
            "confidence": 0.9,
            "bbox_x": 10.0,
            "bbox_y": 20.0,
            "bbox_w": 30.0,
            "bbox_h": 40.0,
            "centroid_x": 1.5,
            "centroid_y": 2.5,
            "lane_id": 2,
            "speed_kmh": 42.5,
        }
    ]


async def test_what_is_absent_stays_null_and_the_centroid_comes_from_the_box(
    events_sink: MakeSink, database: Connection
) -> None:
    await _apply(events_sink(), detection())
    (row,) = await _stored(database)
    assert (row["lane_id"], row["speed_kmh"]) == (None, None)
    assert (row["centroid_x"], row["centroid_y"]) == (25.0, 40.0)


async def test_the_flat_form_and_frames(events_sink: MakeSink, database: Connection) -> None:
    flat = {
        "camera_id": "cam_01", "ts": START_US // 1000, "frame_id": 1, "vehicle_id": "flat", "class": "bus",
        "confidence": 1, "bbox_x": 1, "bbox_y": 2, "bbox_w": 3, "bbox_h": 4, "speed_kmh": 9,
    }  # fmt: skip
    parts = [{k: v for k, v in detection(vehicle_id=f"f{i}").items() if k[:2] not in ("ca", "ti", "fr")} for i in "123"]
    frame = {"camera_id": "cam_01", "timestamp": START_US / 1e6, "frame_id": 2, "detections": parts}
    faulty = {**frame, "detections": [parts[0], {**parts[1], "class": "ufo"}, 5]}
    sink = events_sink()
    await _apply(sink, flat, frame, frame, faulty, detection(vehicle_id="last"), flat)
    rows = await _stored(database)
    assert [row["vehicle_id"] for row in rows] == ["f1", "f1", "f1", "f2", "f2", "f3", "f3", "flat", "flat", "last"]
    assert rows[-2]["speed_kmh"] == 9.0
    assert rows[0]["frame_id"] == 2
    assert sink.counters.unreadable == 2


async def test_ticks_and_rejected_ones_are_left_out_and_neighbours_stay(
    events_sink: MakeSink, database: Connection
) -> None:
    good = detection(vehicle_id="good")
    far = datetime.fromtimestamp(START_US / 1e6 + 61, UTC).isoformat()
    near = datetime.fromtimestamp(START_US / 1e6 + 60, UTC).isoformat()
    sink = events_sink()
    await _apply(
        sink,
        good,
        record(1, b"{not json"),
        record(2, None),
        detection(**{"class": "ufo"}),
        detection(speed_estimate=401.0),
        record(5, json.dumps(good).encode(), key=b"cam_02"),
        record(6, json.dumps(good).encode(), key=None),
        detection(timestamp=far),
        detection(timestamp="soon"),
        detection(timestamp=1e15),
        record(10, b"\xff\xfe"),
        record(11, json.dumps(good).encode(), headers=((TICK_HEADER, b""),)),
        record(12, b"", key=b"", headers=((TICK_HEADER, b""),)),
        detection(vehicle_id="near", timestamp=near),
        good,
    )
    assert [row["vehicle_id"] for row in await _stored(database)] == ["good", "good", "near"]
    assert (sink.counters.rows, sink.counters.unreadable) == (3, 10)
    assert await sink.load([0]) == {0: 15}


async def test_nul_is_replaced_and_neighbours_stay(events_sink: MakeSink, database: Connection) -> None:
    strange = record(1, json.dumps(detection(camera_id="c\0m", vehicle_id="a\0")).encode(), key=b"c\0m")
    sink = events_sink()
    await _apply(sink, detection(), strange, detection(vehicle_id="b\0b"))
    rows = await _stored(database)
    assert [(row["camera_id"], row["vehicle_id"]) for row in rows] == [
        ("c�m", "a�"), ("cam_01", "b�b"), ("cam_01", "v1"),
    ]  # fmt: skip
    assert sink.counters.unstorable == 0


async def test_a_value_that_postgres_refuses_costs_no_neighbour(
    events_sink: MakeSink, database: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    sink = events_sink()
    await sink.load([0])
    run = events(range(100))
    batch, counters = sink.decode(run)
    rows = batch.tuples()
    too_large = [*rows[57][:4], 2**70, *rows[57][5:]]  # a frame_id that no bigint holds
    rows[57] = tuple(too_large)
    sink.decode = lambda records: (EventBatch(100, None, lambda: rows), counters)
    await sink.apply(0, run, owned)
    assert await database.fetchval("SELECT count(DISTINCT vehicle_id) FROM traffic_events") == 99
    assert (sink.counters.rows, sink.counters.unstorable) == (99, 1)
    assert "left out a row that Postgres refuses" in caplog.text
    assert await sink.load([0]) == {0: 100}


async def test_the_sink_accepts_exactly_what_the_windows_accept(
    events_sink: MakeSink, database: Connection, settings: Settings
) -> None:
    """Counters add up: what the windows count, know already or find late is kept; what they reject is not."""
    chance = random.Random(5)
    faults: list[dict[str, Any]] = [
        {"class": "ufo"}, {"speed_estimate": -1}, {"speed_estimate": 900}, {"timestamp": "x"}, {"vehicle_id": ""},
        {"timestamp": "2026-01-14T09:00:00Z"}, {"bbox": None}, {"camera_id": "cam_2"}, {"lane_id": 40_000},
        {"timestamp": "0001-01-01T00:00:00+14:00"}, {"confidence": 2}, {"frame_id": "one"},
    ]  # fmt: skip
    run = []
    for offset in range(600):
        seconds = START_US / 1e6 + offset / 20 - chance.choice([0, 0, 0, 1, 30])
        changes: dict[str, Any] = {"vehicle_id": f"v{chance.randrange(20)}", "timestamp": seconds}
        if chance.random() < 0.2:
            changes |= chance.choice(faults)
        part = detection(**changes)
        if chance.random() < 0.3:
            part = {**part, "detections": [detection(**{**changes, "vehicle_id": f"f{i}"}) for i in range(3)]}
        run.append(record(offset, json.dumps(part).encode(), timestamp_ms=START_US // 1000 + offset * 50))
    outcome = WholeWindows(0, partition_rules(settings), {}).apply(run)
    late = outcome.rejected.pop("late")
    sink = events_sink()
    await sink.load([0])
    await sink.apply(0, run, owned)
    assert late > 0
    assert outcome.repeated > 0
    assert sum(outcome.rejected.values()) == sink.counters.unreadable
    assert outcome.counted + outcome.repeated + late == sink.counters.rows
    assert await database.fetchval("SELECT count(*) FROM traffic_events") == sink.counters.rows


async def test_any_time_is_stored_and_needs_no_partition_of_its_own(
    events_sink: MakeSink, database: Connection
) -> None:
    before = await database.fetchval("SELECT count(*) FROM time_partitions WHERE parent = 'traffic_events'")
    times = ["1970-01-01T00:00:00Z", "1999-12-31T23:59:59Z", "2001-05-05T05:05:05Z", "2026-01-14T06:00:00Z"]
    run = [event(offset, timestamp=time) for offset, time in enumerate(times)]
    sink = events_sink()
    await _apply(sink, *run)
    assert sink.counters.rows == 4
    after = await database.fetchval("SELECT count(*) FROM time_partitions WHERE parent = 'traffic_events'")
    assert after <= max(before, 4) + 1
