"""One of all history workers does what is due, once: table ``upkeep`` and an advisory lock of Postgres."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zlib import crc32

from trafficapp.settings.due_times import DueTimes
from trafficapp.upkeep.processes import ProgramFailed

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection, Pool

_log = logging.getLogger(__name__)

#: What was missed is made up for so long after it was due; later, as in the rush hour, it waits for its next time.
MADE_UP_FOR = timedelta(hours=5)

#: A failed run is tried again, so often and after so long.
ATTEMPTS = 3
PAUSE = timedelta(minutes=10)

#: First half of the keys of the advisory locks; the other is of the name.
_LOCKS = 0x7570_6B65

_READ = "SELECT due_at, attempts, started_at, finished_at, succeeded_at, outcome FROM upkeep WHERE name = $1"
_START = """
    INSERT INTO upkeep AS kept (name, due_at, attempts, started_at) VALUES ($1, $2, 1, $3)
    ON CONFLICT (name) DO UPDATE SET
        attempts = CASE WHEN kept.due_at = EXCLUDED.due_at THEN kept.attempts + 1 ELSE 1 END,
        due_at = EXCLUDED.due_at, started_at = EXCLUDED.started_at, finished_at = NULL, outcome = ''
"""
_FINISH = """
    UPDATE upkeep SET finished_at = $2, outcome = $3, succeeded_at = CASE WHEN $4 THEN $2 ELSE succeeded_at END
    WHERE name = $1
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a task: when it last succeeded, and whether its newest run failed."""

    succeeded_at: datetime | None
    failed: bool


@dataclass(frozen=True, slots=True)
class Task:
    """Something that is done by the clock.

    Attributes:
        name: in the table, in logs and for Prometheus.
        times: when it is due.
        work: does it, and says in a line what came of it; raises ProgramFailed or OSError when it cannot.
    """

    name: str
    times: DueTimes
    work: Callable[[], Awaitable[str]]


async def take_turn(pool: Pool, task: Task, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Standing:
    """Do a task if it is due and nobody does it or did it.

    The session of the lock ends with the process, so a killed worker's turn is free for the others at once. What it
    ran has died with it: see `trafficapp.upkeep.processes.run_program`.

    Returns:
        what is known afterwards.

    Raises:
        asyncpg.PostgresError, OSError: as `trafficapp.stores.postgres.connection.is_transient` tells apart.
    """
    async with pool.acquire() as connection:
        if await _is_due(connection, task, now()):
            key = crc32(task.name.encode()) - (1 << 31)
            if await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", _LOCKS, key):
                try:
                    if await _is_due(connection, task, now()):
                        await _do(connection, task, now)
                finally:
                    await connection.execute("SELECT pg_advisory_unlock($1, $2)", _LOCKS, key)
        row = await connection.fetchrow(_READ, task.name)
    if row is None:
        return Standing(None, failed=False)
    failed = row["finished_at"] is not None and row["succeeded_at"] != row["finished_at"]
    return Standing(row["succeeded_at"], failed)


async def _is_due(connection: Connection, task: Task, now: datetime) -> bool:
    due = task.times.last_before(now)
    if now - due > MADE_UP_FOR:
        return False
    row = await connection.fetchrow(_READ, task.name)
    if row is None or row["due_at"] < due:
        return True
    succeeded = row["finished_at"] is not None and row["succeeded_at"] == row["finished_at"]
    if succeeded or row["attempts"] >= ATTEMPTS:
        return False
    # not finished: whoever did it was killed, or does it still and has the lock
    return row["finished_at"] is None or bool(now - row["finished_at"] >= PAUSE)


async def _do(connection: Connection, task: Task, now: Callable[[], datetime]) -> None:
    await connection.execute(_START, task.name, task.times.last_before(now()), now())
    _log.info("%s begins", task.name)
    succeeded, outcome = False, "stopped with the worker"
    try:
        outcome = await task.work()
        succeeded = True
        _log.info("%s: %s", task.name, outcome)
    except (ProgramFailed, OSError) as error:
        outcome = str(error)
        _log.error("%s failed: %s", task.name, outcome)
    finally:
        # asyncio.shield: also when the worker stops, the next one shall know
        await asyncio.shield(connection.execute(_FINISH, task.name, now(), outcome, succeeded))
