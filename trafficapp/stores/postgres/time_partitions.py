"""Partitions by time: which one a row belongs to, and that it exists before the row is written.

Raw events go by the hour they are stored in, finished windows and their sums by the minute by the day
they begin, sums by the hour by the month; observations of roads by the day they were measured, predictions
by the day of their step; other feeds by the day of a column, or by its month where no guard refuses times that are far
ahead, which may be any. Why events and windows differ, and when a partition is
dropped, is told in docs/decisions/0003-time-partitions.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection

EVENTS_TABLE = "traffic_events"
METRICS_TABLE = "traffic_metrics"
MINUTES_TABLE = "metrics_1m"
HOURS_TABLE = "metrics_1h"
LANE_MINUTES_TABLE = "lane_sums_1m"
LANE_HOURS_TABLE = "lane_sums_1h"
OBSERVATIONS_TABLE = "road_observations"
PREDICTIONS_TABLE = "predictions"

#: How long a partition that was ensured is taken to exist. The book then lags behind writes by no more.
ENSURED_SECONDS = 60.0

#: Hours for which the partitions of raw events are made ahead, beside the current one.
HOURS_AHEAD = 3

# Days of any year could be claimed by a camera with a wrong clock; what lies far off shares coarse partitions.
# The borders never move: a partition once made must not overlap one made later.
_FIRST_DAILY = datetime(2020, 1, 1, tzinfo=UTC)
_END_DAILY = datetime(2100, 1, 1, tzinfo=UTC)
_FIRST_YEARLY = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TimePartition:
    """A partition of `parent` for times in ``[lower, upper)``; None is without bound."""

    parent: str
    name: str
    lower: datetime | None
    upper: datetime | None


def event_partition(stored_at: datetime) -> TimePartition:
    """The partition of raw events stored at a time: one an hour."""
    lower = stored_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return TimePartition(EVENTS_TABLE, f"{EVENTS_TABLE}_{lower:%Y%m%d%H}", lower, lower + timedelta(hours=1))


def metrics_partition(window_start: datetime) -> TimePartition:
    """The partition of a window: one a UTC day from 2020 to 2099, one a year from 1970, else one of two."""
    return day_partition(METRICS_TABLE, window_start)


def minutes_partition(bucket_start: datetime) -> TimePartition:
    """The partition of the sums of a minute: cut like that of the windows."""
    return day_partition(MINUTES_TABLE, bucket_start)


def hours_partition(bucket_start: datetime) -> TimePartition:
    """The partition of the sums of an hour: one a month where windows have one a day, else as theirs."""
    return month_partition(HOURS_TABLE, bucket_start)


def day_partition(table: str, time: datetime) -> TimePartition:
    """The partition of a row of a feed's table, by its day: cut like those of the windows."""
    return _coarse(table, time) or _of_a_day(table, time)


def month_partition(table: str, time: datetime) -> TimePartition:
    """The partition of a row of a table that is cut by months where others are cut by days."""
    return _coarse(table, time) or _of_a_month(table, time)


def observations_partition(observed_at: datetime) -> TimePartition:
    """The partition of an observation of a road."""
    return day_partition(OBSERVATIONS_TABLE, observed_at)


def predictions_partition(step_start: datetime) -> TimePartition:
    """The partition of a prediction, by its step."""
    return day_partition(PREDICTIONS_TABLE, step_start)


def window_partitions(window_start: datetime) -> list[TimePartition]:
    """The partitions that writing a window needs: its own and those of its sums."""
    return [
        metrics_partition(window_start),
        minutes_partition(window_start),
        hours_partition(window_start),
        day_partition(LANE_MINUTES_TABLE, window_start),
        month_partition(LANE_HOURS_TABLE, window_start),
    ]


def _of_a_day(parent: str, time: datetime) -> TimePartition:
    day = time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return TimePartition(parent, f"{parent}_{day:%Y%m%d}", day, day + timedelta(days=1))


def _of_a_month(parent: str, time: datetime) -> TimePartition:
    month = time.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    next_month = (month + timedelta(days=31)).replace(day=1)
    return TimePartition(parent, f"{parent}_{month:%Y%m}", month, next_month)


def _coarse(parent: str, time: datetime) -> TimePartition | None:
    """The partition of a time far off; None when it is not."""
    start = time.astimezone(UTC)
    if _FIRST_DAILY <= start < _END_DAILY:
        return None
    if start >= _END_DAILY:
        return TimePartition(parent, f"{parent}_from_2100", _END_DAILY, None)
    if start < _FIRST_YEARLY:
        return TimePartition(parent, f"{parent}_before_1970", None, _FIRST_YEARLY)
    year = datetime(start.year, 1, 1, tzinfo=UTC)
    next_year = datetime(start.year + 1, 1, 1, tzinfo=UTC)
    return TimePartition(parent, f"{parent}_{start.year}", year, next_year)


async def ensure_partitions(connection: Connection, partitions: Iterable[TimePartition]) -> None:
    """Create partitions that are missing, and note that all of them are about to be written.

    Safe in many processes at once, and waits for no writer. Call it outside of a transaction: each
    partition is committed by itself, so a lock on the book of partitions is held for a moment only.
    """
    for partition in partitions:
        await connection.execute(
            # as text, because the connection of a sink encodes timestamps in its own way
            "SELECT ensure_time_partition($1, $2, $3::text::timestamptz, $4::text::timestamptz)",
            partition.parent,
            partition.name,
            "-infinity" if partition.lower is None else partition.lower.isoformat(),
            "infinity" if partition.upper is None else partition.upper.isoformat(),
        )


async def ensure_ahead(connection: Connection) -> None:
    """Make the partitions that the next hours and the next day will need, by the server's clock."""
    now_seconds = await connection.fetchval("SELECT extract(epoch FROM now())::float8")
    now = datetime.fromtimestamp(now_seconds, UTC)
    hours = [event_partition(now + timedelta(hours=ahead)) for ahead in range(HOURS_AHEAD + 1)]
    days = [now + timedelta(days=ahead) for ahead in range(2)]
    windows = {partition for day in days for partition in window_partitions(day)}
    roads = [part_of(day) for day in days for part_of in (observations_partition, predictions_partition)]
    await ensure_partitions(connection, [*hours, *windows, *roads])


class EnsuredPartitions:
    """Remembers for a minute what was ensured, so that most runs of records ask nothing of the server."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    async def ensure(self, connection: Connection, partitions: Iterable[TimePartition]) -> None:
        """Make sure that partitions exist, unless that was done within the last minute."""
        now = time.monotonic()
        missing = {part.name: part for part in partitions if self._until.get(part.name, 0.0) <= now}
        if missing:
            await ensure_partitions(connection, missing.values())
            self._until = {name: until for name, until in self._until.items() if until > now}
            self._until.update(dict.fromkeys(missing, now + ENSURED_SECONDS))

    async def ensure_ahead(self, connection: Connection) -> None:
        """Make the partitions of the next hours, unless that was done within the last minute."""
        now = time.monotonic()
        if self._until.get("", 0.0) <= now:
            await ensure_ahead(connection)
            self._until[""] = now + ENSURED_SECONDS

    def forget(self) -> None:
        """Ask the server again: a partition that should exist does not."""
        self._until.clear()
