from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from models.roads.predictions import decode_prediction
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.redis.redis_server import RedisServer
from tests.stores.roads.predictions import T0_US, prediction, prediction_records
from trafficapp.roads.feeds import PREDICTED, PREDICTED_SECONDS, PREDICTION_DOCUMENTS
from trafficapp.settings import load_settings
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.stores.feeds.documents_sink import DocumentsSink


@pytest.fixture
async def predictions(client: Redis) -> AsyncIterator[DocumentsSink]:
    sink = DocumentsSink(PREDICTED, load_settings(), client, an_hour_back)
    await sink.load([0])
    yield sink
    sink.release([0])


def owned() -> bool:
    return True


async def test_the_newest_is_kept_for_half_an_hour_and_not_replaced_by_an_older_one(
    predictions: DocumentsSink, client: Redis
) -> None:
    newest = prediction(seconds=60)
    await predictions.apply(0, prediction_records(prediction(), newest, prediction("b"), first=100), owned)
    await predictions.apply(0, prediction_records(prediction(seconds=30), first=103), owned)
    current = CurrentDocuments(client, PREDICTED)
    assert await current.keys() == ["a10", "b"]
    assert [decode_prediction(one) for one in await current.documents(["b", "none", "a10"])] == [
        prediction("b"),
        newest,
    ]
    assert PREDICTED_SECONDS - 20 < await client.ttl(PREDICTION_DOCUMENTS.key_of("a10")) <= PREDICTED_SECONDS
    assert await predictions.load([0]) == {0: 104}


async def test_of_a_backlog_only_what_still_reaches_ahead_is_put(predictions: DocumentsSink, client: Redis) -> None:
    await predictions.apply(0, prediction_records(prediction("old"), first=100, age_seconds=1801), owned)
    await predictions.apply(0, prediction_records(prediction("new"), first=101, age_seconds=1700), owned)
    assert await CurrentDocuments(client, PREDICTED).keys() == ["new"]
    assert 0 < await client.ttl(PREDICTION_DOCUMENTS.key_of("new")) <= 100


async def test_a_prediction_of_a_clock_that_is_ahead_does_not_stay_for_ever(
    predictions: DocumentsSink, client: Redis
) -> None:
    ahead = prediction(seconds=10**9)
    await predictions.apply(0, prediction_records(ahead, prediction("b"), first=100), owned)
    assert await CurrentDocuments(client, PREDICTED).keys() == ["b"]
    assert ahead.timestamp > prediction(seconds=10**8).timestamp
    # one that was put is replaced as soon as its document is gone
    await client.zadd(PREDICTION_DOCUMENTS.listed, {"b": T0_US / 1e6 + 86_400})
    await client.delete(PREDICTION_DOCUMENTS.key_of("b"))
    await predictions.apply(0, prediction_records(prediction("b", 60), first=102), owned)
    assert await CurrentDocuments(client, PREDICTED).documents(["b"]) != []


async def test_a_killed_server_is_filled_again(server: RedisServer, client: Redis, predictions: DocumentsSink) -> None:
    await predictions.apply(0, prediction_records(prediction(), first=100), owned)
    server.kill()
    server.start()
    async with asyncio.timeout(180):
        while not await CurrentDocuments(client, PREDICTED).documents(["a10"]):  # noqa: ASYNC110 - the change comes from the server
            await asyncio.sleep(0.05)
