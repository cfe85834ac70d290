"""What the service said of places: in Redis for a while, in Postgres for longer (table ``geocodes``).

====================================  =========================================================
``geocode:{source}:{cell}``           an `Address` as JSON; expires when it is to be asked again
====================================  =========================================================

Redis is asked first, and is missed by nobody when it is away.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
from redis.asyncio import Redis

from trafficapp.geocoding.addresses import Address
from trafficapp.settings.geocoding import GeocodingSettings
from trafficapp.stores.outage import Outage
from trafficapp.stores.redis.connection import UNAVAILABLE
from trafficapp.stores.redis.documents import readable

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

#: Keys in one command.
_MOST_KEYS = 500

_READ: Final = """
    SELECT cell, fulladdress, city, province, latitude, longitude, holds,
        extract(epoch FROM answered_at + CASE WHEN fulladdress IS NULL THEN $4::interval ELSE $3::interval END - now())
            ::double precision AS seconds_left
    FROM geocodes WHERE source = $1 AND cell = ANY($2::text[])
"""
_PUT: Final = """
    INSERT INTO geocodes (source, cell, fulladdress, city, province, latitude, longitude, holds)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (source, cell) DO UPDATE SET
        (fulladdress, city, province, latitude, longitude, holds, answered_at)
        = ROW (EXCLUDED.fulladdress, EXCLUDED.city, EXCLUDED.province, EXCLUDED.latitude, EXCLUDED.longitude,
               EXCLUDED.holds, now())
"""
_FORGET: Final = """
    DELETE FROM geocodes
    WHERE answered_at < now() - CASE WHEN fulladdress IS NULL THEN $2::interval ELSE $1::interval END
"""

_decode = msgspec.json.Decoder(Address).decode
_encode = msgspec.json.Encoder().encode


def answer_key(source: str, cell: str) -> str:
    """Key of what a source said of a cell."""
    return f"geocode:{source}:{cell}"


class KnownAnswers:
    """Keeps what one source said.

    Args:
        pool: of Postgres.
        client: of Redis.
        source: who said it.
        settings: how long it is believed.
    """

    def __init__(self, pool: Pool, client: Redis, source: str, settings: GeocodingSettings) -> None:
        self._pool, self._client, self._source = pool, client, source
        self._kept, self._nothing = timedelta(days=settings.cache_days), timedelta(days=settings.nothing_days)
        self._outage = Outage("Redis")

    async def known(self, cells: Collection[str]) -> dict[str, Address]:
        """What was said of cells, as far as it is to be believed.

        Raises:
            asyncpg.PostgresError, OSError: Postgres is away.
        """
        wanted = list(dict.fromkeys(cells))
        found = await self._in_redis(wanted)
        missing = [cell for cell in wanted if cell not in found]
        for first in range(0, len(missing), _MOST_KEYS):
            found |= await self._in_postgres(missing[first : first + _MOST_KEYS])
        return found

    async def put(self, cell: str, answer: Address) -> None:
        """Keep what was said of a cell.

        Raises:
            asyncpg.PostgresError, OSError: Postgres is away.
        """
        said = (answer.fulladdress, answer.city, answer.province, answer.latitude, answer.longitude, answer.holds)
        async with self._pool.acquire() as connection:
            await connection.execute(_PUT, self._source, cell, *said)
        lasts = self._kept if answer.is_known else self._nothing
        await self._put_in_redis({cell: (answer, lasts.total_seconds())})

    async def forget_old(self) -> None:
        """Forget what is to be asked again."""
        async with self._pool.acquire() as connection:
            await connection.execute(_FORGET, self._kept, self._nothing)

    async def _in_postgres(self, cells: Sequence[str]) -> dict[str, Address]:
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(_READ, self._source, cells, self._kept, self._nothing)
        found, left = dict[str, Address](), dict[str, tuple[Address, float]]()
        for row in rows:
            said = dict(row)
            cell, seconds_left = said.pop("cell"), said.pop("seconds_left")
            if seconds_left > 0:
                found[cell] = Address(source=self._source, **said)
                left[cell] = found[cell], seconds_left
        await self._put_in_redis(left)
        return found

    async def _in_redis(self, cells: Sequence[str]) -> dict[str, Address]:
        found: dict[str, Address] = {}
        try:
            for first in range(0, len(cells), _MOST_KEYS):
                piece = cells[first : first + _MOST_KEYS]
                values: Any = await self._client.mget([answer_key(self._source, cell) for cell in piece])
                for cell, value in zip(piece, values, strict=True):
                    # what is not ours is left out: Postgres knows
                    for answer in readable([] if value is None else [value], _decode, "addresses"):
                        found[cell] = answer
        except UNAVAILABLE as error:
            self._outage.met(error)
        else:
            self._outage.over()
        return found

    async def _put_in_redis(self, answers: dict[str, tuple[Address, float]]) -> None:
        if not answers:
            return
        pipeline = self._client.pipeline(transaction=False)
        for cell, (answer, seconds) in answers.items():
            pipeline.set(answer_key(self._source, cell), _encode(answer), ex=max(1, round(seconds)))
        try:
            await pipeline.execute()
        except UNAVAILABLE as error:
            self._outage.met(error)
