from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import orjson
import pytest

from models.roads.predictions import encode_prediction
from tests.stores.postgres.fixtures import Connection
from tests.stores.postgres.records import owned
from tests.stores.roads.predictions import prediction, prediction_records
from trafficapp.roads.feeds import PREDICTED
from trafficapp.settings import Settings
from trafficapp.stores.feeds.rows_sink import RowsSink

T0 = datetime(2026, 1, 14, 7, tzinfo=UTC)


@pytest.fixture
async def sink(database: Connection, settings: Settings) -> AsyncIterator[RowsSink]:
    await database.execute("TRUNCATE predictions")
    sink = RowsSink(PREDICTED, settings)
    await sink.load([0])
    yield sink
    await sink.close()


async def test_a_prediction_is_kept_whole(sink: RowsSink, database: Connection) -> None:
    unsure = prediction(
        "b",
        1,
        prediction_confidence=None,
        low_kmh=[None] * 3,
        high_kmh=[1.5, None, 2.0],
        current_speed=None,
        step_speed_kmh=None,
        model_versions=["ours-1", "ours-1", "baseline:last_value"],
    )
    await sink.apply(0, prediction_records(prediction(), unsure), owned)
    first, second = map(dict, await database.fetch("SELECT * FROM predictions ORDER BY road_id"))
    assert first == {
        "road_id": "a10",
        "step_start": T0,
        "made_at": T0,
        "event_id": first["event_id"],
        "current_speed": 31.5,
        "predicted_speed_10min": 30.25,
        "predicted_speed_20min": 29.0,
        "predicted_speed_30min": 28.5,
        "prediction_confidence": 0.71,
        "low_kmh": [25.5, 22.0, 20.25],
        "high_kmh": [35.0, 36.0, 36.75],
        "model_version": "ours-1",
        "source": "model",
        "step_speed_kmh": 32.25,
        "model_versions": None,
    }
    assert str(first["event_id"]) == prediction().event_id
    assert (second["low_kmh"], second["high_kmh"]) == ([None] * 3, [1.5, None, 2.0])
    assert {second[name] for name in ("prediction_confidence", "current_speed", "step_speed_kmh")} == {None}
    assert orjson.loads(second["model_versions"]) == ["ours-1", "ours-1", "baseline:last_value"]


async def test_the_newest_of_a_road_and_step_is_kept_whatever_comes_again(sink: RowsSink, database: Connection) -> None:
    newest, older, next_step = prediction(seconds=120), prediction(seconds=60), prediction(seconds=300)
    await sink.apply(0, prediction_records(older, newest, prediction(), next_step), owned)
    await sink.apply(0, prediction_records(older, newest, next_step, first=4), owned)
    found = await database.fetch("SELECT step_start, made_at FROM predictions ORDER BY step_start")
    assert [tuple(row) for row in found] == [
        (T0, T0 + timedelta(minutes=2)),
        (T0 + timedelta(minutes=5), T0 + timedelta(minutes=5)),
    ]
    assert sink.counters.rows == 2
    assert await sink.load([0]) == {0: 7}


async def test_what_cannot_be_kept_costs_no_neighbour(sink: RowsSink, database: Connection) -> None:
    bad = [b"", b"{}", encode_prediction(prediction(event_id="no uuid")), encode_prediction(prediction("x" * 5000))]
    wrong = ("x", "9999-12-31T23:59:59-23:59", "9999-12-31T00:00:00Z", "0001-01-01T00:00:00+23:59")
    bad += [encode_prediction(prediction(**{name: time})) for name in ("step_start", "timestamp") for time in wrong]
    far = msgspec.structs.replace(prediction("far"), step_start="2250-01-01T00:00:00Z")
    await sink.apply(0, prediction_records(*bad, prediction("a\0b"), far, prediction("c")), owned)
    found = [row[0] for row in await database.fetch("SELECT road_id FROM predictions ORDER BY road_id")]
    assert found == ["a\ufffdb", "c", "far"]
    assert sink.counters.unreadable == len(bad)
