"""The weather that rounds of predictions ask for: what Redis has, and without Redis what is not too old yet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from models.timestamps import epoch_us, rfc3339
from models.weather.current import encode_current_weather
from tests.stores.redis.redis_server import RedisServer
from trafficapp.forecast.weather_inputs import middle_of
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings, WeatherSettings
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.weather.city_weather import CityWeather
from trafficapp.weather.feeds import CURRENT_WEATHER

GRAPH = city_graph(RoadSettings())
EDGE = str(GRAPH.edge_ids[0])
ROADS = {"on": [(EDGE, 1.0)], "off": [("no-edge", 1.0)]}


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


async def test_what_was_known_counts_while_redis_is_away_until_it_is_old(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, middle = connect(redis_server.url), middle_of(GRAPH)
    weather = CityWeather(client, WeatherSettings(), GRAPH)
    assert await weather.of_roads(ROADS) is None
    assert weather.numbers() is None
    received_at = datetime.now(UTC) - timedelta(minutes=14)
    current = structs.replace(
        CURRENT_WEATHER.sample,
        received_at=rfc3339(epoch_us(received_at)),
        latitude=middle.latitude,
        longitude=middle.longitude,
    )
    await client.set("weather:station-7", encode_current_weather(current))
    await client.zadd("weather:stations", {"station-7": received_at.timestamp()})
    # it is looked up once in ten seconds
    assert await weather.of_roads(ROADS) is None
    monkeypatch.setattr("trafficapp.stores.weather.city_weather._LOOK_AGAIN_SECONDS", 0.0)
    for is_away in (False, True):
        if is_away:
            redis_server.kill()
        found = await weather.of_roads(ROADS)
        assert found is not None
        on = found.of_road("on")
        assert on is not None
        assert (on.station, on.factor, on.phenomena) == ("station-7", 0.75, ("heavy_rain",))
        assert found.of_road("off") is None
        assert found.of_road("unknown") is None
        numbers = weather.numbers()
        assert numbers is not None
        assert numbers[1] == pytest.approx((11.5 - 10) / 10)
    aged = CityWeather(client, WeatherSettings(current_minutes=13), GRAPH)
    aged._stations, aged._weather = weather._stations, weather._weather
    assert await aged.of_roads(ROADS) is None
    assert aged.numbers() is None
    await client.aclose()
