"""No value of a topic stops a live sink, nor keeps its neighbours out of Redis."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from redis.asyncio import Redis

from models.alerts import encode_alert_event
from models.notifications import encode_notification
from models.predictions import encode_prediction
from models.roads import encode_road_observation
from models.timestamps import rfc3339
from models.window_rows import encode_window_row
from tests.stores.alerts import alert_event
from tests.stores.bad_values import bad_values, records
from tests.stores.live.conftest import an_hour_back
from tests.stores.live.rows import window_row
from tests.stores.road_notifications import notification
from tests.stores.road_observations import observation
from tests.stores.road_predictions import prediction
from trafficapp.stores.current_alerts import OPEN_KEY
from trafficapp.stores.current_predictions import PREDICTED_KEY, PREDICTED_SECONDS, prediction_key
from trafficapp.stores.current_roads import road_key
from trafficapp.stores.live import LiveSink
from trafficapp.stores.live_alerts import LiveAlertsSink
from trafficapp.stores.live_notifications import NEWEST_NOTIFICATIONS_KEY, LiveNotificationsSink
from trafficapp.stores.live_roads import LiveRoadsSink, RoadKeys
from trafficapp.stores.redis import current_key
from trafficapp.topics import PREDICTIONS

NOW_US = time.time_ns() // 1000
PREDICTED = RoadKeys("prediction of a road", PREDICTED_KEY, prediction_key, PREDICTED_SECONDS)


def _now(seconds: float = 0) -> str:
    return rfc3339(NOW_US + round(seconds * 1e6))


async def _text_of(client: Redis, kind: str, key: str) -> str:
    """All that stands under a key."""
    if kind == "string":
        return str(await client.get(key))
    if kind == "hash":
        return str(await client.hvals(key))  # type: ignore[misc]
    return str(await client.lrange(key, 0, -1))  # type: ignore[misc]


@dataclass(frozen=True)
class Kind:
    """A sink, its documents by name, and where a name stands in Redis afterwards."""

    sink: Callable[[Redis], Any]
    document: Callable[[str], bytes]
    place: Callable[[str], tuple[str, str]]


KINDS = {
    "windows": Kind(
        lambda client: LiveSink(client, an_hour_back),
        lambda name: encode_window_row(window_row(name, 1)),
        lambda name: ("string", current_key(name)),
    ),
    "alerts": Kind(
        lambda client: LiveAlertsSink(client, an_hour_back),
        lambda name: encode_alert_event(alert_event(name, name)),
        lambda name: ("hash", OPEN_KEY),
    ),
    "acknowledgements": Kind(
        lambda client: LiveAlertsSink(client, an_hour_back),
        lambda name: encode_alert_event(
            alert_event(name, name, action="opened", acknowledged_by=name, acknowledged_at="2026-03-02T12:00:00Z")
        ),
        lambda name: ("hash", OPEN_KEY),
    ),
    "roads": Kind(
        lambda client: LiveRoadsSink(client, "observations", an_hour_back),
        lambda name: encode_road_observation(observation(name, timestamp=_now(), record_timestamp=_now())),
        lambda name: ("string", road_key(name)),
    ),
    "predictions": Kind(
        lambda client: LiveRoadsSink(client, PREDICTIONS, an_hour_back, keys=PREDICTED),
        lambda name: encode_prediction(prediction(name, timestamp=_now())),
        lambda name: ("string", prediction_key(name)),
    ),
    "notifications": Kind(
        lambda client: LiveNotificationsSink(client, an_hour_back),
        lambda name: encode_notification(notification(0, name)),
        lambda name: ("list", NEWEST_NOTIFICATIONS_KEY),
    ),
}


@pytest.fixture(params=KINDS.values(), ids=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
async def sink(kind: Kind, client: Redis) -> AsyncIterator[Any]:
    sink = kind.sink(client)
    yield sink
    sink.release([0])


async def test_no_value_stops_a_sink_or_costs_its_neighbours(client: Redis, kind: Kind, sink: Any) -> None:
    run = [value for _, value in bad_values(kind.document("strange"))]
    at = (await sink.load([0]))[0]
    for begin in range(0, len(run), 100):
        piece = run[begin : begin + 100]
        good = f"good-{begin}"
        made = records(sink.topic, *piece, kind.document(good), *piece, first=at, timestamp_ms=NOW_US // 1000)
        made[len(piece)].__dict__.update(timestamp=NOW_US // 1000)
        await sink.apply(0, made, lambda: True)
        at += len(made)
        assert good in await _text_of(client, *kind.place(good)), begin
    sink.release([0])
    # what was stored of it stops nobody who begins there either
    assert await kind.sink(client).load([0]) == {0: at}
