"""Postgres' own process for a connection put behind others: where it runs on this machine and is ours to lower.

Postgres knows no priorities. On a machine of a few cores, which the server and workers share, a question that reads
much would else have as large a share of them as everybody whom people wait for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import asyncpg

#: About a third of the share of what is not nice. It holds locks that others wait for, so it must go on all the same.
NICENESS = 5

_PORT = "SELECT inet_client_port()"


async def put_behind(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Lower the priority of the server's process for a connection; nothing happens where that cannot be."""
    port = await connection.fetchval(_PORT)
    await asyncio.to_thread(_lower, connection.get_server_pid(), port)


def _lower(process_id: int, client_port: int | None) -> bool:
    """Whether a process was one of Postgres, for a client at a port of this machine, and may be lowered.

    Its title says so (``postgres: user database 127.0.0.1(54321) idle``). On another machine, or behind the wall of a
    container, the number is of something else here, or of nothing.
    """
    if client_port is None:
        return False
    try:
        process = psutil.Process(process_id)
        title = " ".join(process.cmdline())
        if not title.startswith("postgres: ") or f"({client_port})" not in title:
            return False
        if process.nice() < NICENESS:
            process.nice(NICENESS)
    except (psutil.Error, OSError):
        return False
    return True
