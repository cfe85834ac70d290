"""The weather of the past in Postgres, as models are trained from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from models.weather.observed import WeatherObserved
from trafficapp.forecast.clock import Floats
from trafficapp.forecast.weather_inputs import Middle, Reading, weather_of_steps
from trafficapp.settings import WeatherSettings

# of each station and step the reading that came last: no other is looked at
_READINGS = """
    SELECT DISTINCT ON (floor(extract(epoch FROM received_at) / %(seconds)s), station)
           extract(epoch FROM received_at)::double precision, station, latitude, longitude, temperature,
           weather_condition, precipitation, visibility
    FROM weather_observations
    WHERE received_at >= %(since)s AND received_at < %(until)s
    ORDER BY floor(extract(epoch FROM received_at) / %(seconds)s), station, received_at DESC, observed_at DESC
"""


def read_weather(
    connection: psycopg.Connection[Any],
    middle: Middle,
    start: datetime,
    steps: int,
    step_seconds: int,
    settings: WeatherSettings,
) -> Floats:
    """The weather of each step, as `trafficapp.forecast.weather_inputs` has it.

    Args:
        connection: to the history.
        middle: of the road graph.
        start: of the first step, aware.
        steps: how many.
        step_seconds: length of a step.
        settings: of the weather.

    Raises:
        psycopg.Error: Postgres cannot be asked.
    """
    asked = {
        "seconds": step_seconds,
        "since": start - timedelta(minutes=settings.current_minutes),
        "until": start + timedelta(seconds=step_seconds * steps),
    }
    readings = [
        Reading(
            received,
            WeatherObserved(
                station=station,
                observed_us=0,
                latitude=latitude,
                longitude=longitude,
                temperature=temperature,
                condition=condition,
                precipitation=precipitation,
                visibility=visibility,
            ),
        )
        for received, station, latitude, longitude, temperature, condition, precipitation, visibility in (
            connection.execute(_READINGS, asked, binary=True)
        )
    ]
    readings.sort(key=lambda one: one.received)
    first = round(start.astimezone(UTC).timestamp()) // step_seconds
    return weather_of_steps(readings, first, steps, step_seconds, middle, settings)
