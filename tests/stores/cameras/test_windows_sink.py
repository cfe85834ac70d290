from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.stores.postgres.fixtures import Connection, MakeSink
from tests.stores.postgres.records import owned, window, window_records


async def _stored(database: Connection) -> list[dict[str, Any]]:
    found = await database.fetch("SELECT * FROM traffic_metrics ORDER BY camera_id, window_start, lane_id NULLS FIRST")
    return [dict(row) for row in found]


async def test_every_field_is_kept(metrics_sink: MakeSink, database: Connection) -> None:
    sink = metrics_sink()
    await sink.load([0])
    unknown = window(
        lane_id=0, avg_speed_kmh=None, stopped_ratio=None, congestion_score=None, congestion_level="UNKNOWN"
    )
    await sink.apply(0, window_records(window(), unknown), owned)
    camera_wide, lane = await _stored(database)
    assert json.loads(camera_wide.pop("counts_by_class")) == {"car": 2, "bus": 1}
    assert camera_wide == {
        "camera_id": "cam_01",
        "window_start": datetime(2026, 1, 14, 7, 0, 0, tzinfo=UTC),
        "window_end": datetime(2026, 1, 14, 7, 0, 5, tzinfo=UTC),
        "lane_id": None,
        "vehicle_count": 3,
        "avg_speed_kmh": 31.25,
        "stopped_ratio": 0.0,
        "queue_length": 0,
        "congestion_level": "LOW",
        "congestion_score": 0.2157,
        "detections": 15,
        "pictures": 0,
        "speed_buckets": None,
        "speed_counts": None,
        "speed_sketch": None,
    }
    assert lane["lane_id"] == 0
    assert (lane["avg_speed_kmh"], lane["stopped_ratio"], lane["congestion_score"]) == (None, None, None)


async def test_a_row_sent_again_changes_nothing(
    metrics_sink: MakeSink, database: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    sink = metrics_sink()
    await sink.load([0])
    rows = [window(number=number, lane_id=lane) for number in range(20) for lane in (None, 0, 1)]
    await sink.apply(0, window_records(*rows), owned)
    before = await _stored(database)
    again = window_records(*rows, *rows[:10], window(number=20), window(number=20), first=60)
    await sink.apply(0, again, owned)
    assert (await _stored(database))[:60] == before
    assert len(await _stored(database)) == 61
    assert (sink.counters.rows, sink.counters.repeated, sink.counters.differing) == (61, 71, 0)
    # tests that ended may still tell of servers that went with them
    assert not [record for record in caplog.records if record.name != "trafficapp.stores.outage"]


async def test_a_final_row_with_other_values_is_an_alarm(
    metrics_sink: MakeSink, database: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    sink = metrics_sink()
    await sink.load([0])
    await sink.apply(0, window_records(window(), window(lane_id=1), window(number=1)), owned)
    changed = [window(vehicle_count=4), window(lane_id=1, counts_by_class={"bus": 1, "car": 2}), window(number=1)]
    await sink.apply(0, window_records(*changed, first=3), owned)
    counts = [row["vehicle_count"] for row in await _stored(database)]
    assert counts == [4, 3, 3]
    assert (sink.counters.rows, sink.counters.repeated, sink.counters.differing) == (3, 2, 1)
    (message,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert message.getMessage() == (
        "the final window of cam_01, all lanes, at 2026-01-14T07:00:00Z was sent with other values"
    )


async def test_a_value_that_becomes_null_differs(metrics_sink: MakeSink, database: Connection) -> None:
    sink = metrics_sink()
    await sink.load([0])
    await sink.apply(0, window_records(window(), window(avg_speed_kmh=None)), owned)
    assert sink.counters.differing == 1
    assert (await _stored(database))[0]["avg_speed_kmh"] is None


async def test_what_cannot_be_kept_costs_no_neighbour(
    metrics_sink: MakeSink, database: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    sink = metrics_sink()
    await sink.load([0])
    bad = [b"", b"nonsense", b"{}", b'{"camera_id": "x"}']
    too_many = window(number=5, vehicle_count=2**40)
    no_time = window(number=6, window_start="yesterday")
    good = [window(number=number) for number in range(4)]
    nul = window(camera_id="c\0m")
    await sink.apply(0, window_records(good[0], *bad, good[1], too_many, no_time, good[2], nul, good[3]), owned)
    assert [row["camera_id"] for row in await _stored(database)] == ["cam_01"] * 4 + ["c�m"]
    assert (sink.counters.rows, sink.counters.unreadable, sink.counters.unstorable) == (5, 5, 1)
    assert "traffic.metrics at offset 1 is no finished window" in caplog.text
    assert await sink.load([0]) == {0: 11}


async def test_a_camera_was_last_seen_at_its_newest_window(metrics_sink: MakeSink, database: Connection) -> None:
    sink = metrics_sink()
    await sink.load([0])
    await database.execute("INSERT INTO cameras (camera_id, name) VALUES ('cam_02', 'Via Andrea Costa')")
    await sink.apply(0, window_records(window(number=7), window(number=3), window("cam_02", 1)), owned)
    await sink.apply(0, window_records(window(number=5), window("cam_02", 2), first=3), owned)
    found = [tuple(row) for row in await database.fetch("SELECT camera_id, name, last_seen FROM cameras ORDER BY 1")]
    assert found == [
        ("cam_01", None, datetime(2026, 1, 14, 7, 0, 40, tzinfo=UTC)),
        ("cam_02", "Via Andrea Costa", datetime(2026, 1, 14, 7, 0, 15, tzinfo=UTC)),
    ]


async def test_windows_of_any_year_are_kept(metrics_sink: MakeSink, database: Connection) -> None:
    sink = metrics_sink()
    await sink.load([0])
    starts = [
        "0001-01-01T00:00:00Z", "1969-12-31T23:59:55Z", "1970-01-01T00:00:00Z", "2019-12-31T23:59:55Z",
        "2020-01-01T00:00:00Z", "2099-12-31T23:59:55Z", "2100-01-01T00:00:00Z", "9999-12-31T23:59:50Z",
    ]  # fmt: skip
    await sink.apply(0, window_records(*(window(window_start=start) for start in starts)), owned)
    partitions = await database.fetch("SELECT tableoid::regclass::text FROM traffic_metrics ORDER BY window_start")
    assert [row[0].removeprefix("traffic_metrics_") for row in partitions] == [
        "before_1970", "before_1970", "1970", "2019", "20200101", "20991231", "from_2100", "from_2100",
    ]  # fmt: skip
