"""Forgetting old history, by dropping time partitions; of tables that have none, a piece at a time."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg

from trafficapp.settings import RetentionSettings
from trafficapp.stores.postgres.patience import fetchval_patiently
from trafficapp.stores.postgres.time_partitions import (
    EVENTS_TABLE,
    HOURS_TABLE,
    LANE_HOURS_TABLE,
    LANE_MINUTES_TABLE,
    METRICS_TABLE,
    MINUTES_TABLE,
    ensure_ahead,
)

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection, Pool

_log = logging.getLogger(__name__)

#: DROP needs the parent for itself. It waits for it, with every writer behind it, no longer than this.
ATTEMPTS = 10
PAUSE_SECONDS = 0.5

#: A sweep deletes no more rows of a table than so many at a time, so often; the rest is left to the next one.
DELETED_AT_ONCE = 5000
DELETIONS = 20

# As texts: a bound may be infinite, which no datetime is.
_EXPIRED = """
    SELECT partition_name, lower_bound::text AS lower, upper_bound::text AS upper
    FROM expired_time_partitions($1, $2)
"""
_FORGET_CHANGES = """
    DELETE FROM metrics_changes
    WHERE day >= ($1::text::timestamptz AT TIME ZONE 'UTC')::date
      AND day < ($2::text::timestamptz AT TIME ZONE 'UTC')::date
"""
_FORGET_ROAD_SUMS = "SELECT forget_road_sums()"


@dataclass(frozen=True, slots=True)
class KeptTable:
    """A table of which old rows are forgotten.

    Attributes:
        keep: how long they are kept.
        key: columns that name a row of a table that is not cut by time; None of one that is.
        time: column that says how old a row is.
    """

    name: str
    keep: timedelta
    key: tuple[str, ...] | None
    time: str


def kept_audit(retention: RetentionSettings) -> KeptTable:
    """The audit log."""
    return KeptTable("audit_logs", timedelta(days=retention.audit_days), ("id",), "at")


async def sweep(pool: Pool, retention: RetentionSettings, tables: Sequence[KeptTable]) -> list[str]:
    """Make the partitions of the next hours and drop those that have expired.

    A partition expires when it holds nothing of the retention period and was not written for that long
    either, so a recording of last year that is replayed now is kept as long as anything else. A partition
    that stays in use all the time, by a dump for instance, is left to the next sweep.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        retention: how long events, windows and the audit log are kept.
        tables: of feeds.

    Returns:
        the names of the dropped partitions.

    Raises:
        asyncpg.PostgresError, OSError: as `trafficapp.stores.postgres.connection.is_transient` tells apart.
    """
    kept_for = {
        EVENTS_TABLE: timedelta(hours=retention.events_hours),
        METRICS_TABLE: timedelta(days=retention.metrics_days),
        MINUTES_TABLE: timedelta(days=retention.metrics_days),
        HOURS_TABLE: timedelta(days=retention.rollup_days),
        LANE_MINUTES_TABLE: timedelta(days=retention.metrics_days),
        LANE_HOURS_TABLE: timedelta(days=retention.rollup_days),
        **{table.name: table.keep for table in tables if table.key is None},
    }
    dropped: list[str] = []
    async with pool.acquire() as connection:
        await ensure_ahead(connection)
        for parent, keep in kept_for.items():
            for row in await connection.fetch(_EXPIRED, parent, keep):
                if await _drop(connection, row["partition_name"], keep):
                    dropped.append(row["partition_name"])
                    if parent == HOURS_TABLE:
                        await connection.execute(_FORGET_CHANGES, row["lower"], row["upper"])
        # every time, so that a sweep that ends in between is made up for
        await connection.execute(_FORGET_ROAD_SUMS)
        for table in (*tables, kept_audit(retention)):
            if table.key is not None:
                await _forget_rows(connection, table, table.key)
    if dropped:
        _log.info("retention dropped %d partitions: %s", len(dropped), ", ".join(dropped))
    return dropped


async def _forget_rows(connection: Connection, table: KeptTable, key: tuple[str, ...]) -> None:
    names = ", ".join(key)
    statement = f"""
        DELETE FROM {table.name} WHERE ({names}) IN (
            SELECT {names} FROM {table.name} WHERE {table.time} < now() - $1::interval ORDER BY {table.time} LIMIT $2
        )
    """  # noqa: S608 - put together from a declaration
    deleted = 0
    for _ in range(DELETIONS):
        count = int((await connection.execute(statement, table.keep, DELETED_AT_ONCE)).rpartition(" ")[2])
        deleted += count
        if count < DELETED_AT_ONCE:
            break
    if deleted:
        _log.info("retention deleted %d rows of %s", deleted, table.name)


async def _drop(connection: Connection, partition: str, keep: timedelta) -> bool:
    statement = "SELECT drop_expired_time_partition($1, $2)"
    try:
        return bool(
            await fetchval_patiently(
                connection, statement, partition, keep, attempts=ATTEMPTS, pause_seconds=PAUSE_SECONDS
            )
        )
    except asyncpg.LockNotAvailableError:
        _log.warning("retention: partition %s is in use; the next sweep tries again", partition)
        return False
