"""No value of a topic stops a sink of history, nor costs the rows of its neighbours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from models.alerts import encode_alert_event
from models.cameras.window_rows import encode_window_row
from models.roads.current import encode_road_observation
from models.roads.notifications import encode_notification
from models.roads.predictions import encode_prediction
from tests.stores.alerts.alert_messages import alert_event
from tests.stores.bad_values import bad_values, records
from tests.stores.postgres.fixtures import Connection
from tests.stores.postgres.records import detection, owned, window
from tests.stores.roads.notifications import notification
from tests.stores.roads.observations import observation
from tests.stores.roads.predictions import prediction
from trafficapp.roads.feeds import NOTIFIED, PREDICTED
from trafficapp.settings import Settings
from trafficapp.stores.alerts.history_sink import HistoryAlertsSink
from trafficapp.stores.cameras.events_sink import HistoryEventsSink
from trafficapp.stores.cameras.windows_sink import HistoryMetricsSink
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.roads.observations_sink import HistoryRoadsSink


@dataclass(frozen=True)
class Kind:
    """A sink, its documents by name, and how many rows a name has in Postgres."""

    sink: Callable[[Settings], Any]
    document: Callable[[str], bytes]
    count: str


def _event(name: str) -> bytes:
    return json.dumps(detection(camera_id="cam_1", vehicle_id=name, lane_id=1, speed_estimate=5.0)).encode()


KINDS = {
    "events": Kind(HistoryEventsSink, _event, "SELECT count(*) FROM traffic_events WHERE vehicle_id = $1"),
    "windows": Kind(
        HistoryMetricsSink,
        lambda name: encode_window_row(window(name)),
        "SELECT count(*) FROM traffic_metrics WHERE camera_id = $1",
    ),
    "alerts": Kind(
        lambda settings: HistoryAlertsSink(settings),
        lambda name: encode_alert_event(alert_event(name, name)),
        "SELECT count(*) FROM alerts WHERE camera_id = $1",
    ),
    "acknowledgements": Kind(
        lambda settings: HistoryAlertsSink(settings),
        lambda name: encode_alert_event(
            alert_event(name, name, action="acknowledged", acknowledged_by=name, acknowledged_at="2026-03-02T12:00:00Z")
        ),
        "SELECT count(*) FROM alert_acknowledgements WHERE acknowledged_by = $1",
    ),
    "roads": Kind(
        HistoryRoadsSink,
        lambda name: encode_road_observation(observation(name)),
        "SELECT count(*) FROM road_observations WHERE road_id = $1",
    ),
    "predictions": Kind(
        lambda settings: RowsSink(PREDICTED, settings),
        lambda name: encode_prediction(prediction(name)),
        "SELECT count(*) FROM predictions WHERE road_id = $1",
    ),
    "notifications": Kind(
        lambda settings: RowsSink(NOTIFIED, settings),
        lambda name: encode_notification(notification(0, name)),
        "SELECT count(*) FROM notifications WHERE road_id = $1",
    ),
}


@pytest.fixture(params=KINDS.values(), ids=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
async def sink(kind: Kind, settings: Settings) -> AsyncIterator[Any]:
    sink = kind.sink(settings)
    yield sink
    await sink.close()


async def test_no_value_stops_a_sink_or_costs_its_neighbours(database: Connection, kind: Kind, sink: Any) -> None:
    values = [value for _, value in bad_values(kind.document("strange"))]
    at = (await sink.load([0]))[0]
    goods = []
    run = []
    for number, value in enumerate(values):
        run.append(value)
        if number % 40 == 0:
            goods.append(f"good-{number}")
            run.append(kind.document(goods[-1]))
    made = records(sink.topic, *run, first=at)
    for one in made:
        if any(kind.document(name) == one.value for name in goods):
            one.__dict__.update(key=b"cam_1", headers=(), timestamp=1_768_374_000_000)
    for begin in range(0, len(made), 100):
        await sink.apply(0, made[begin : begin + 100], owned)
    for name in goods:
        assert await database.fetchval(kind.count, name) == 1, name
    assert await sink.load([0]) == {0: at + len(made)}
