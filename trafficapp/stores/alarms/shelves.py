"""Shelves: who shelved what, why and until when. A shelf ends by the clock, whoever looks."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from models.alarms import NewShelf, Shelf
from models.timestamps import epoch_us, from_epoch_us
from trafficapp.alarms.withholding import ShelvedAlarms, cleared_us
from trafficapp.settings import RetentionSettings
from trafficapp.stores.alarms.alarms import alarms
from trafficapp.stores.postgres.reading import shaped
from trafficapp.stores.postgres.retention import KeptTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from trafficapp.stores.postgres.connection import Connection, Pool

#: More are not in force at a time.
MOST_SHELVES = 1000

_INSERT = """
    INSERT INTO alarm_shelves (kind, alert_id, rule, source_kind, source, camera_ids, reason, shelved_by, caller,
                               expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + $10) RETURNING *
"""
# as it is now: a shelf whose time is over has ended, though nobody has written that down yet
_AS_OF_NOW = """
    SELECT id, kind, alert_id, rule, source_kind, source, camera_ids, reason, shelved_by, caller, shelved_at,
           expires_at,
           coalesce(ended_at, CASE WHEN expires_at <= now() THEN expires_at END) AS ended_at,
           coalesce(ended_because, CASE WHEN expires_at <= now() THEN 'expired' END) AS ended_because, ended_by
    FROM alarm_shelves
"""
_PAGE = f"""
    {_AS_OF_NOW} WHERE id < $1 AND ($2 OR (ended_at IS NULL AND expires_at > now())) ORDER BY id DESC LIMIT $3
"""
_ONE = f"{_AS_OF_NOW} WHERE id = $1 FOR UPDATE"
_RELEASE = """
    UPDATE alarm_shelves SET ended_at = now(), ended_because = 'released', ended_by = $2 WHERE id = $1 RETURNING *
"""
_IN_FORCE = "SELECT count(*) FROM alarm_shelves WHERE ended_at IS NULL AND expires_at > now()"
_BETWEEN = """
    SELECT * FROM alarm_shelves WHERE shelved_at < $2 AND expires_at > $1 AND coalesce(ended_at, expires_at) > $1
"""
_OPEN_ONE_SHOTS = "SELECT * FROM alarm_shelves WHERE ended_at IS NULL AND kind = 'one_shot'"
# the times follow from the rows, so whoever writes them down writes the same
_CLEAR = "UPDATE alarm_shelves SET ended_at = $2, ended_because = 'cleared' WHERE id = $1 AND ended_at IS NULL"
_EXPIRE = """
    UPDATE alarm_shelves SET ended_at = expires_at, ended_because = 'expired'
    WHERE ended_at IS NULL AND expires_at <= now()
"""


async def shelve(
    connection: Connection, new: NewShelf, camera_ids: Sequence[str] | None, by: tuple[str, str], longest: timedelta
) -> Shelf:
    """Write a shelf, in force from now on.

    Args:
        connection: in a transaction.
        new: what, how and why; checked.
        camera_ids: of a zone.
        by: the name that is told, and who was authenticated.
        longest: how long it lasts when nothing is said.
    """
    row = await connection.fetchrow(
        _INSERT,
        new.kind,
        None if new.alert_id is None else uuid.UUID(new.alert_id),
        new.rule,
        new.source_kind,
        new.source,
        None if camera_ids is None else list(camera_ids),
        new.reason,
        *by,
        longest if new.minutes is None else timedelta(minutes=new.minutes),
    )
    assert row is not None  # noqa: S101 - INSERT ... RETURNING gives a row
    return shaped(Shelf, row)


async def in_force(connection: Connection) -> int:
    """How many shelves are in force."""
    return int(await connection.fetchval(_IN_FORCE))


async def shelves(source: Pool | Connection, before: int, limit: int, *, with_ended: bool) -> list[Shelf]:
    """Shelves, the newest first.

    Args:
        source: a pool or a connection.
        before: those with a smaller number.
        limit: so many at most.
        with_ended: those that have ended as well.
    """
    return [shaped(Shelf, row) for row in await source.fetch(_PAGE, before, with_ended, limit)]


async def locked_shelf(connection: Connection, shelf_id: int) -> Shelf | None:
    """A shelf, kept from others until the transaction ends; None when there is none of this number."""
    row = await connection.fetchrow(_ONE, shelf_id)
    return None if row is None else shaped(Shelf, row)


async def release(connection: Connection, shelf_id: int, by: str) -> Shelf:
    """End a shelf that is locked and in force."""
    row = await connection.fetchrow(_RELEASE, shelf_id, by)
    assert row is not None  # noqa: S101 - it is there and locked
    return shaped(Shelf, row)


async def shelves_between(source: Pool | Connection, since: datetime, until: datetime) -> list[Shelf]:
    """Shelves that were in force at some time of a span, the oldest first."""
    found = await source.fetch(f"{_BETWEEN} ORDER BY id", since, until)
    return [shaped(Shelf, row) for row in found]


async def shelved_between(source: Pool | Connection, since: datetime, until: datetime) -> list[ShelvedAlarms]:
    """The same, as they are compared with alarms."""
    return [_shelved(row) for row in await source.fetch(_BETWEEN, since, until)]


async def end_shelves(pool: Pool, now: datetime) -> int:
    """Write down the ends of shelves: of those whose time is over, and of one-shot ones whose alarm is.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        now: aware.

    Returns:
        how many one-shot shelves were found to be over.
    """
    open_ones = [_shelved(row) for row in await pool.fetch(_OPEN_ONE_SHOTS)]
    ended = 0
    if open_ones:
        known = await alarms(pool, from_epoch_us(min(one.from_us for one in open_ones)), now)
        for shelf in open_ones:
            end_us = cleared_us(shelf, known)
            if end_us is not None and end_us < shelf.expires_us:
                await pool.execute(_CLEAR, shelf.shelf_id, from_epoch_us(max(end_us, shelf.from_us)))
                ended += 1
    await pool.execute(_EXPIRE)
    return ended


def kept_alarm_tables(retention: RetentionSettings) -> list[KeptTable]:
    """Shelves, kept as long as who shelved what, and cameras on congestion events, as long as those."""
    days = timedelta(days=retention.notifications_days)
    return [
        KeptTable("alarm_shelves", timedelta(days=retention.audit_days), ("id",), "expires_at"),
        KeptTable("congestion_event_cameras", days, ("event_id", "camera_id"), "since"),
        KeptTable("regional_outage_cameras", days, ("outage_id", "alert_id"), "since"),
        KeptTable("regional_outages", days, ("outage_id",), "opened_at"),
    ]


def _shelved(row: asyncpg.Record) -> ShelvedAlarms:
    sources = row["camera_ids"] if row["source_kind"] == "zone" else [row["source"]] if row["source"] else []
    return ShelvedAlarms(
        shelf_id=row["id"],
        kind=row["kind"],
        alert_id=None if row["alert_id"] is None else str(row["alert_id"]),
        rule=row["rule"],
        source_kind=row["source_kind"],
        sources=frozenset(sources or ()),
        reason=row["reason"],
        from_us=epoch_us(row["shelved_at"]),
        to_us=epoch_us(row["ended_at"] or row["expires_at"]),
        expires_us=epoch_us(row["expires_at"]),
    )
