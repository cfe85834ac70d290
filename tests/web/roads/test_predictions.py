from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from yarl import URL

from models.roads.predictions import RoadPrediction
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.roads.predictions import prediction, prediction_records
from tests.web.conftest import Client, Worker
from trafficapp.roads.feeds import PREDICTED
from trafficapp.settings import load_settings
from trafficapp.stores.feeds.documents_sink import DocumentsSink
from trafficapp.stores.redis.connection import connect

ROADS = ("a", "b/1", "c d", "z", "é")


@pytest.fixture
async def predicted(worker: Worker) -> AsyncIterator[Worker]:
    """A worker after some roads were predicted."""
    client = connect(worker.redis_server.url)
    sink = DocumentsSink(PREDICTED, load_settings(), client, an_hour_back)
    await sink.load([0])
    await sink.apply(0, prediction_records(*map(prediction, reversed(ROADS)), first=100), lambda: True)
    yield worker
    sink.release([0])
    await client.aclose()


async def answer(client: Client, path: str | URL) -> list[dict[str, Any]]:
    response = await client.get(path)
    assert response.status == 200, await response.text()
    found: list[dict[str, Any]] = await response.json()
    return found


async def test_nothing_was_predicted(worker: Worker) -> None:
    assert await answer(worker.client, "/api/predict/roads") == []
    assert (await worker.client.get("/api/predict/roads?road_id=a")).status == 404


async def test_all_roads_in_order_and_in_pages(predicted: Worker) -> None:
    everything = await answer(predicted.client, "/api/predict/roads")
    assert [msgspec.convert(one, RoadPrediction) for one in everything] == [prediction(road) for road in ROADS]
    collected, url = [], URL("/api/predict/roads?limit=2")
    for _ in range(3):
        response = await predicted.client.get(url)
        collected += await response.json()
        url = URL(str(response.links["next"]["url"])).relative() if "next" in response.links else URL()
    assert collected == everything
    assert url == URL()


async def test_one_road_of_any_name(predicted: Worker) -> None:
    for road in ROADS:
        (found,) = await answer(predicted.client, URL("/api/predict/roads").with_query(road_id=road))
        assert found["road_id"] == road
        assert found["low_kmh"] == [25.5, 22.0, 20.25]
    response = await predicted.client.get("/api/predict/roads?road_id=none")
    assert (response.status, response.content_type) == (404, "application/problem+json")
    predicted.redis_server.kill()
    for path in ("/api/predict/roads?limit=3", "/api/predict/roads?road_id=a"):
        assert (await predicted.client.get(path)).status == 503
