"""What the web, and trainings, ask of the table of readings."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from models.timestamps import epoch_us, rfc3339
from models.weather.history import ObservedWeather
from trafficapp.stores.postgres.reading import Page, shaped

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

_SELECT = """
    SELECT station, observed_at, received_at, latitude, longitude, temperature, weather_condition, humidity, wind_speed,
           wind_gust, precipitation, visibility, air_quality_index, pm2_5
    FROM weather_observations
    WHERE station = $1 AND observed_at >= $2 AND observed_at < $3
      AND observed_at > coalesce($4, '-infinity'::timestamptz)
    ORDER BY observed_at LIMIT $5
"""


async def readings(
    pool: Pool, station: str, since: datetime, until: datetime, limit: int, after: datetime | None = None
) -> Page[ObservedWeather, datetime]:
    """Readings of a station with ``since <= observed < until``, oldest first.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        station: its name.
        since: aware.
        until: aware.
        limit: so many at most, at least 1.
        after: the page before ended here.
    """
    found = await pool.fetch(_SELECT, station, since, until, after, limit + 1)
    kept = found[:limit]
    rows = [
        shaped(
            ObservedWeather,
            row,
            timestamp=rfc3339(epoch_us(row["observed_at"])),
            received_at=rfc3339(epoch_us(row["received_at"])),
        )
        for row in kept
    ]
    return Page(rows, kept[-1]["observed_at"] if len(found) > limit else None)
