"""The sums of road observations of any range: whole days and hours as they are kept, its ends from the observations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from trafficapp.analytics.road_trends import RoadSums

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Pool

TOP_ROADS = 10

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_MIDNIGHT = datetime(2000, 1, 1, tzinfo=UTC)
_SUMS = "observations, speed_e4, jam_e4, high"
_SUMMED = ", ".join(f"sum({name})::bigint AS {name}" for name in _SUMS.split(", "))
_OF_ONE = """
    1 AS observations, round(current_speed * 10000)::bigint AS speed_e4, round(jam_factor * 10000)::bigint AS jam_e4,
    (congestion_level = 'high')::int AS high
"""


@dataclass(frozen=True, slots=True)
class RangeTrends:
    """What is known of a range.

    Attributes:
        slots: sums of all roads asked for, by the begin of the slot they lie in.
        roads: id, name and sums of the roads with the largest mean jam factor, the worst first.
    """

    slots: dict[datetime, RoadSums]
    roads: list[tuple[str, str, RoadSums]]


async def road_trends(
    pool: Pool, start: datetime, end: datetime, slot_minutes: int = 60, road_id: str | None = None
) -> RangeTrends:
    """Sum up the observations in ``[start, end)``, all of one moment.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        start: aware.
        end: aware, after `start`.
        slot_minutes: length of the slots; less than 60 costs a reading of every observation.
        road_id: only this road.

    Raises:
        OverflowError: the range ends in the last day that a datetime can hold.
        asyncpg.PostgresError, OSError: as `trafficapp.stores.postgres.connection.is_transient` tells apart.
    """
    span = _Span(start, end)
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        slots = _Statement(road_id)
        parts = list(slots.slots(span, slot_minutes))
        slots.text = f"""
            SELECT slot, {_SUMMED} FROM ({" UNION ALL ".join(parts)}) AS parts GROUP BY slot
        """  # noqa: S608 - put together from constants
        found = await connection.fetch(slots.text, *slots.arguments)
        roads = _Statement(road_id)
        parts = list(roads.roads(span))
        roads.text = f"""
            SELECT ranked.*, coalesce(known.road_name, ranked.road_id) AS road_name FROM (
                SELECT road_id, {_SUMMED} FROM ({" UNION ALL ".join(parts)}) AS parts GROUP BY road_id
                HAVING sum(observations) > 0
                ORDER BY sum(jam_e4)::numeric / sum(observations) DESC, road_id LIMIT {TOP_ROADS}
            ) AS ranked LEFT JOIN roads AS known USING (road_id)
            ORDER BY jam_e4::numeric / observations DESC, road_id
        """  # noqa: S608 - put together from constants
        worst = await connection.fetch(roads.text, *roads.arguments)
    return RangeTrends(
        {row["slot"]: _sums(row) for row in found},
        [(row["road_id"], row["road_name"], _sums(row)) for row in worst],
    )


class _Span:
    """A range cut at hours and days; what is left of it at its ends is read from the observations."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.start, self.end = start, end
        self.first_hour, self.end_hour = _up(start, _HOUR), _down(end, _HOUR)
        if self.first_hour > self.end_hour:
            # within one hour
            self.first_hour = self.end_hour = end
        self.first_day, self.end_day = _up(self.first_hour, _DAY), _down(self.end_hour, _DAY)
        if self.first_day > self.end_day:
            self.first_day = self.end_day = self.end_hour

    def ends(self) -> list[tuple[datetime, datetime]]:
        """What lies beside the whole hours."""
        return [(self.start, self.first_hour), (self.end_hour, self.end)]

    def hours(self) -> list[tuple[datetime, datetime]]:
        """The whole hours beside the whole days."""
        return [(self.first_hour, self.first_day), (self.end_day, self.end_hour)]


class _Statement:
    """A statement and its arguments, the first of which is the road."""

    def __init__(self, road_id: str | None) -> None:
        self.text = ""
        self.arguments: list[Any] = [] if road_id is None else [road_id]
        self._road = "" if road_id is None else " AND road_id = $1"

    def slots(self, span: _Span, minutes: int) -> Iterator[str]:
        """Sums by time: of hours as they are kept, finer ones from the observations."""
        slot = f"date_bin('{minutes:d} minutes', observed_at, '2000-01-01Z') AS slot"
        if minutes != 60:
            yield self._observed(slot, span.start, span.end)
            return
        table = "road_hours" if self._road else "city_hours"
        yield self._kept(table, "bucket_start AS slot", span.first_hour, span.end_hour)
        for start, end in span.ends():
            yield self._observed(slot, start, end)

    def roads(self, span: _Span) -> Iterator[str]:
        """Sums by road."""
        yield self._kept("road_days", "road_id", span.first_day, span.end_day)
        for start, end in span.hours():
            yield self._kept("road_hours", "road_id", start, end)
        for start, end in span.ends():
            yield self._observed("road_id", start, end)

    def _kept(self, table: str, key: str, start: datetime, end: datetime) -> str:
        return f"SELECT {key}, {_SUMS} FROM {table} WHERE {self._within('bucket_start', start, end)}"  # noqa: S608

    def _observed(self, key: str, start: datetime, end: datetime) -> str:
        within = self._within("observed_at", start, end)
        return f"SELECT {key}, {_OF_ONE} FROM road_observations WHERE {within} AND is_measured(closed, confidence)"  # noqa: S608

    def _within(self, column: str, start: datetime, end: datetime) -> str:
        self.arguments += [start, end]
        number = len(self.arguments)
        return f"{column} >= ${number - 1}::timestamptz AND {column} < ${number}::timestamptz{self._road}"


def _down(time: datetime, length: timedelta) -> datetime:
    return time.astimezone(UTC) - (time - _MIDNIGHT) % length


def _up(time: datetime, length: timedelta) -> datetime:
    return time.astimezone(UTC) + (_MIDNIGHT - time) % length


def _sums(row: asyncpg.Record) -> RoadSums:
    return RoadSums(row["observations"], row["speed_e4"], row["jam_e4"], row["high"])
