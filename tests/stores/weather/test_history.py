"""The weather that models are trained from, out of Postgres: by when readings came, not by the stations' clocks."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from math import isnan

import asyncpg
import psycopg

from trafficapp.forecast.weather_inputs import Middle
from trafficapp.settings import WeatherSettings
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.time_partitions import ensure_partitions, month_partition
from trafficapp.stores.weather.history import read_weather

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
AHEAD = timedelta(days=400)


async def make_partitions(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await ensure_partitions(connection, [month_partition("weather_observations", START + AHEAD)])
    await connection.close()


def test_each_step_has_what_had_come_by_its_end(database_url: str) -> None:
    migrate(database_url)
    asyncio.run(make_partitions(database_url))
    told = [
        ("a", -1, 44.5, 10.0),
        ("a", 4, 44.5, 20.0),
        ("a", 4.5, 44.5, 30.0),
        ("b", 6, 44.6, 0.0),
        ("c", 7, 50.0, 9.0),
    ]
    with psycopg.connect(database_url) as connection:
        connection.execute("TRUNCATE weather_observations")
        for station, minute, latitude, temperature in told:
            received = START + timedelta(minutes=minute)
            connection.execute(
                "INSERT INTO weather_observations (station, observed_at, received_at, location, temperature) "
                "VALUES (%s, %s, %s, %s, %s)",
                (station, received + AHEAD, received, [latitude, 11.3], temperature),
            )
        found = read_weather(connection, Middle(44.5, 11.3), START, 6, 300, WeatherSettings())
    temperatures = [None if isnan(one) else one for one in found[:, 1].tolist()]
    # a's last is 15.5 minutes old at minute 20, b's still is current; c is too far away
    assert temperatures == [2, 2, 2, -1, None, None]
