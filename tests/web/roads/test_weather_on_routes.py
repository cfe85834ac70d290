"""Routes in bad weather: roads that were not measured are slower, the others are not, and all of it is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from msgspec import structs
from redis.asyncio import Redis

from models.timestamps import epoch_us, rfc3339
from models.weather.current import Phenomenon, encode_current_weather
from tests.web.conftest import Client, Worker
from tests.web.roads.test_routes import GRAPH, QUESTION, ask, loaded, put, soon, under
from trafficapp.roads.routing.usual_speeds import UsualSpeeds, encode_usual
from trafficapp.stores.roads.published_graph import graph_channel, profile_key
from trafficapp.weather.feeds import CURRENT_WEATHER

LAT, LON = float(GRAPH.node_lat.mean()), float(GRAPH.node_lon.mean())


@pytest.fixture
async def client(worker: Worker) -> Client:
    await loaded(worker.client)
    return worker.client


async def tell_weather(
    redis: Redis,
    station: str,
    factor: float,
    phenomena: list[Phenomenon],
    *,
    minutes_ago: float = 1,
    latitude: float = LAT,
) -> None:
    """Put a station's document, as the sink does, and wake the workers."""
    received_at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    current = structs.replace(
        CURRENT_WEATHER.sample,
        station=station,
        received_at=rfc3339(epoch_us(received_at)),
        latitude=latitude,
        longitude=LON,
        phenomena=phenomena,
        speed_factor=factor,
    )
    await redis.set(f"weather:{station}", encode_current_weather(current))
    await redis.zadd("weather:stations", {station: received_at.timestamp()})
    await redis.publish(graph_channel("bologna"), "weather")


async def in_weather(client: Client, stations: list[str], question: Any = QUESTION) -> dict[str, Any]:
    """The first answer in the weather of these stations."""
    answer: dict[str, Any] = {}

    async def is_used() -> bool:
        answer.clear()
        answer.update(await ask(client, question))
        return [one["station"] for one in answer["weather"]] == stations

    await soon(is_used)
    return answer


def minutes(answer: dict[str, Any]) -> float:
    return float(answer["recommended_route"]["eta_minutes"])


async def put_usual(redis: Redis) -> None:
    """Usual speeds of all edges: free flow, over all of the day."""
    usual = UsualSpeeds("v20260114120000", "Europe/Rome", np.tile(GRAPH.free_flow_kmh, (96, 1)))
    await redis.set(profile_key("bologna"), encode_usual(GRAPH, usual))


@pytest.mark.parametrize("source", ["free_flow", "usual_speeds"])
async def test_what_is_usual_is_slower_by_the_factor_and_the_answer_says_so(
    worker: Worker, client: Client, source: str
) -> None:
    if source == "usual_speeds":
        await put_usual(worker.context.redis)
        await worker.context.redis.publish(graph_channel("bologna"), "usual")

        async def is_known() -> bool:
            return bool((await ask(client))["speeds_from"] == source)

        await soon(is_known)
    fair = await ask(client)
    assert (fair["speeds_from"], fair["weather"]) == (source, [])
    await tell_weather(worker.context.redis, "station-7", 0.6, ["ice", "fog"])
    icy = await in_weather(client, ["station-7"])
    # time within junctions is not that of edges
    assert minutes(icy) == pytest.approx(minutes(fair) / 0.6, rel=0.1)
    assert minutes(icy) > minutes(fair) / 0.6 * 0.9
    assert "for ice and fog (station station-7) roads whose speed was not measured" in icy["note"]
    assert "up to 40 % slower" in icy["note"]
    (one,) = icy["weather"]
    assert (one["speed_factor"], one["phenomena"]) == (0.6, ["ice", "fog"])
    await tell_weather(worker.context.redis, "station-7", 1.0, [])
    again = await in_weather(client, [])
    assert (minutes(again), again["note"]) == (minutes(fair), fair["note"])


async def test_measured_speeds_have_the_weather_in_them_and_unknown_ones_have_not(
    worker: Worker, client: Client
) -> None:
    redis, now = worker.context.redis, datetime.now(UTC)
    fair = await under(client, await put(redis, now))
    await tell_weather(redis, "station-7", 0.6, ["ice"])
    # the worker has seen the weather when it slows what nobody measured
    later = {**QUESTION, "departure_time": rfc3339(epoch_us(now + timedelta(minutes=45)))}
    await in_weather(client, ["station-7"], later)
    measured = await under(client, await put(redis, now + timedelta(seconds=1)))
    assert (minutes(measured), measured["weather"], measured["note"]) == (minutes(fair), [], None)
    nothing = np.full((4, GRAPH.edge_count), np.nan)
    nothing[:, 0] = 10.0
    unknown = await under(client, await put(redis, now + timedelta(seconds=2), speeds_kmh=nothing))
    assert unknown["speeds_from"] == "predictions"
    assert minutes(unknown) == pytest.approx(minutes(fair) / 0.6, rel=0.1)
    assert [one["station"] for one in unknown["weather"]] == ["station-7"]
    # it clears up without new speeds
    await tell_weather(redis, "station-7", 1.0, [])
    assert minutes(await in_weather(client, [])) == pytest.approx(minutes(fair), rel=0.01)


async def test_the_weather_of_now_says_nothing_of_tomorrow(worker: Worker, client: Client) -> None:
    await tell_weather(worker.context.redis, "station-7", 0.6, ["ice"])
    await in_weather(client, ["station-7"])
    for ahead, stations in ((timedelta(minutes=59), ["station-7"]), (timedelta(minutes=61), [])):
        question = {**QUESTION, "departure_time": rfc3339(epoch_us(datetime.now(UTC) + ahead))}
        assert [one["station"] for one in (await ask(client, question))["weather"]] == stations


async def test_a_station_that_is_not_current_or_too_far_away_slows_nothing(worker: Worker, client: Client) -> None:
    redis = worker.context.redis
    await tell_weather(redis, "old", 0.6, ["ice"], minutes_ago=15.1)
    await tell_weather(redis, "far", 0.6, ["ice"], latitude=LAT + 0.5)
    await redis.set("weather:broken", b"{")
    await redis.zadd("weather:stations", {"broken": 1.0})
    await tell_weather(redis, "here", 0.9, ["light_rain"])
    answer = await in_weather(client, ["here"])
    assert "up to 10 % slower" in answer["note"]
