from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from agents.roads.live_predictions import KEYS
from models.roads.predictions import decode_prediction
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.redis.redis_server import RedisServer
from tests.stores.roads.predictions import T0_US, prediction, prediction_records
from trafficapp.stores.roads.current_predictions import PREDICTED_SECONDS, CurrentPredictions, prediction_key
from trafficapp.stores.roads.live_sinks import LiveRoadsSink
from trafficapp.topics import PREDICTIONS


@pytest.fixture
async def predictions(client: Redis) -> AsyncIterator[LiveRoadsSink]:
    sink = LiveRoadsSink(client, PREDICTIONS, an_hour_back, keys=KEYS)
    await sink.load([0])
    yield sink
    sink.release([0])


def owned() -> bool:
    return True


async def test_the_newest_is_kept_for_half_an_hour_and_not_replaced_by_an_older_one(
    predictions: LiveRoadsSink, client: Redis
) -> None:
    newest = prediction(seconds=60)
    await predictions.apply(0, prediction_records(prediction(), newest, prediction("b"), first=100), owned)
    await predictions.apply(0, prediction_records(prediction(seconds=30), first=103), owned)
    current = CurrentPredictions(client)
    assert await current.road_ids() == ["a10", "b"]
    assert [decode_prediction(one) for one in await current.documents(["b", "none", "a10"])] == [
        prediction("b"),
        newest,
    ]
    assert PREDICTED_SECONDS - 20 < await client.ttl(prediction_key("a10")) <= PREDICTED_SECONDS
    assert await predictions.load([0]) == {0: 104}


async def test_of_a_backlog_only_what_still_reaches_ahead_is_put(predictions: LiveRoadsSink, client: Redis) -> None:
    await predictions.apply(0, prediction_records(prediction("old"), first=100, age_seconds=1801), owned)
    await predictions.apply(0, prediction_records(prediction("new"), first=101, age_seconds=1700), owned)
    assert await CurrentPredictions(client).road_ids() == ["new"]
    assert 0 < await client.ttl(prediction_key("new")) <= 100


async def test_a_prediction_of_a_clock_that_is_ahead_does_not_stay_for_ever(
    predictions: LiveRoadsSink, client: Redis
) -> None:
    ahead = prediction(seconds=10**9)
    await predictions.apply(0, prediction_records(ahead, prediction("b"), first=100), owned)
    assert await CurrentPredictions(client).road_ids() == ["b"]
    assert ahead.timestamp > prediction(seconds=10**8).timestamp
    # one that was put is replaced as soon as its document is gone
    await client.zadd(KEYS.listed, {"b": T0_US / 1e6 + 86_400})
    await client.delete(prediction_key("b"))
    await predictions.apply(0, prediction_records(prediction("b", 60), first=102), owned)
    assert await CurrentPredictions(client).documents(["b"]) != []


async def test_a_killed_server_is_filled_again(server: RedisServer, client: Redis, predictions: LiveRoadsSink) -> None:
    await predictions.apply(0, prediction_records(prediction(), first=100), owned)
    server.kill()
    server.start()
    async with asyncio.timeout(10):
        while not await CurrentPredictions(client).documents(["a10"]):  # noqa: ASYNC110 - the change comes from the server
            await asyncio.sleep(0.05)
