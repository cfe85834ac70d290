"""Which workers run, as each tells it in Redis; and how much the stores hold.

``worker:{app_id}:{worker}``  JSON object: `models.administration.system.WorkerNow`; expires when it is not put again
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from redis.asyncio import Redis

from models.administration.system import StoreNow, WorkerNow, decode_worker, encode_worker
from models.timestamps import rfc3339
from trafficapp.stores.redis.connection import LAST_SEEN_KEY

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

#: A worker tells of itself so often, and is thought to be gone when it has not for so long.
TELLS_EVERY_SECONDS, GONE_AFTER_SECONDS = 5.0, 16

_LARGEST = 8
#: Partitions count as part of their table.
_TABLES = """
    SELECT coalesce(parent.relname, class.relname) AS name, sum(pg_total_relation_size(class.oid))::bigint AS bytes
    FROM pg_class class
    JOIN pg_namespace space ON space.oid = class.relnamespace AND space.nspname = current_schema()
    LEFT JOIN pg_inherits part ON part.inhrelid = class.oid
    LEFT JOIN pg_class parent ON parent.oid = part.inhparent
    WHERE class.relkind = 'r'
    GROUP BY 1 ORDER BY 2 DESC LIMIT $1
"""


def _key(app_id: str, worker: str) -> str:
    return f"worker:{app_id}:{worker}"


async def tell(redis: Redis, app_id: str, worker: WorkerNow) -> None:
    """Tell of a worker."""
    await redis.set(_key(app_id, worker.worker), encode_worker(worker), ex=GONE_AFTER_SECONDS)


async def forget(redis: Redis, app_id: str, worker: str) -> None:
    """A worker stops."""
    await redis.delete(_key(app_id, worker))


async def running(redis: Redis, app_id: str) -> list[WorkerNow]:
    """Workers that run, by role and name."""
    pattern = _key(app_id, "").translate({ord(mark): f"\\{mark}" for mark in "*?[]\\^-"}) + "*"
    keys = [key async for key in redis.scan_iter(match=pattern, count=1000)]
    found = []
    for told in await redis.mget(keys) if keys else []:
        # it may have gone meanwhile, or be of another version
        with suppress(msgspec.MsgspecError):
            found.append(decode_worker(told or b""))
    return sorted(found, key=lambda worker: (worker.role, worker.worker))


async def newest_window_end(redis: Redis) -> str | None:
    """When the newest window of any camera ended, RFC 3339 UTC."""
    newest: Any = await redis.zrange(LAST_SEEN_KEY, 0, 0, desc=True, withscores=True)
    return rfc3339(round(newest[0][1] * 1e6)) if newest else None


async def postgres_now(pool: Pool) -> StoreNow:
    """How much the history holds."""
    size, tables = await asyncio.gather(
        pool.fetchval("SELECT pg_database_size(current_database())"), pool.fetch(_TABLES, _LARGEST)
    )
    return StoreNow(bytes=size, largest={row["name"]: row["bytes"] for row in tables})


async def redis_now(redis: Redis) -> StoreNow:
    """How much memory the server holds."""
    memory: dict[str, Any] = await redis.info("memory")
    return StoreNow(bytes=int(memory["used_memory"]))
