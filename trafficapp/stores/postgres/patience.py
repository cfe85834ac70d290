"""Work that must not hold up writers: a lock is waited for only for a moment, and asked for again later."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection

#: Writers queue behind a lock that is waited for.
LOCK_WAIT_MILLISECONDS = 300


async def fetchval_patiently(
    connection: Connection, query: str, *arguments: object, attempts: int, pause_seconds: float
) -> Any:
    """The value that a query gives, in a transaction of its own.

    Args:
        connection: in no transaction.
        query: may need locks that writers hold.
        arguments: of the query.
        attempts: so often it is tried.
        pause_seconds: between them.

    Raises:
        asyncpg.LockNotAvailableError: what it needs stays in use.
    """
    for attempt in range(attempts):
        if attempt:
            await asyncio.sleep(pause_seconds)
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {LOCK_WAIT_MILLISECONDS}")
                return await connection.fetchval(query, *arguments)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            continue
    raise asyncpg.LockNotAvailableError(f"what is needed stays in use: {query}")
