"""Partitions by time: which one a row belongs to, and that it exists before the row is written.

Raw events go by the hour they are stored in, finished windows by the day they begin. Why these
differ, and when a partition is dropped, is told in docs/decisions/0003-time-partitions.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trafficapp.stores.postgres import Connection

EVENTS_TABLE = "traffic_events"
METRICS_TABLE = "traffic_metrics"

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
    start = window_start.astimezone(UTC)
    if _FIRST_DAILY <= start < _END_DAILY:
        day = start.replace(hour=0, minute=0, second=0, microsecond=0)
        return TimePartition(METRICS_TABLE, f"{METRICS_TABLE}_{day:%Y%m%d}", day, day + timedelta(days=1))
    if start >= _END_DAILY:
        return TimePartition(METRICS_TABLE, f"{METRICS_TABLE}_from_2100", _END_DAILY, None)
    if start < _FIRST_YEARLY:
        return TimePartition(METRICS_TABLE, f"{METRICS_TABLE}_before_1970", None, _FIRST_YEARLY)
    year = datetime(start.year, 1, 1, tzinfo=UTC)
    next_year = datetime(start.year + 1, 1, 1, tzinfo=UTC)
    return TimePartition(METRICS_TABLE, f"{METRICS_TABLE}_{start.year}", year, next_year)


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
    days = [metrics_partition(now + timedelta(days=ahead)) for ahead in range(2)]
    await ensure_partitions(connection, [*hours, *days])


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
