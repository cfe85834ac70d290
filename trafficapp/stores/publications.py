"""What a write has to tell the rest of the system, kept until it is told: a transactional outbox.

The rows of `pending_publications` are written in the transaction of the write itself. The same process
tells them right after the commit; what it could not tell, because it died or a server was away, is told
by a history worker. A publication may be told twice, never not at all: readers of the topics keep the
newest of equals, and an event is emitted once by its key.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from msgspec import Struct
from redis.asyncio import Redis

from trafficapp.outbox import Outbox
from trafficapp.stores.live_events import KEPT_EVENTS, emit
from trafficapp.stores.redis import UNAVAILABLE

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres import Connection, Pool

logger = logging.getLogger(__name__)

#: How long a caller waits for Kafka and Redis after its commit.
TELL_WITHIN_SECONDS = 2.0

#: A row younger than this is still in the hands of the process that wrote it.
LEFT_OVER_AFTER = timedelta(seconds=2)

_SWEEP_ROWS = 100


class KafkaPublication(Struct, frozen=True, kw_only=True, tag="kafka", tag_field="kind"):
    """A record to send.

    Attributes:
        value: the record's text, JSON.
        headers: of the record, by name.
        partitions: ``key``: the partition that Kafka's own clients choose for the key; ``all``: a copy to each.
    """

    topic: str
    key: str | None
    value: str
    headers: dict[str, str] = {}
    partitions: Literal["key", "all"] = "key"


class EventPublication(Struct, frozen=True, kw_only=True, tag="event", tag_field="kind"):
    """An event for the clients of ``/ws/events``.

    Attributes:
        data: JSON text.
    """

    event: str
    data: str


Publication: TypeAlias = KafkaPublication | EventPublication

_decode = msgspec.json.Decoder(Publication).decode

_LEFT_OVER = """
    SELECT id, payload FROM pending_publications
    WHERE created_at < now() - $1::interval
    ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
"""


@dataclass(frozen=True, slots=True)
class Pending:
    """A publication with the number of its row."""

    id: int
    publication: Publication


async def record(connection: Connection, publications: Iterable[Publication]) -> list[Pending]:
    """Note what is to be told once the transaction of ``connection`` is committed."""
    pending: list[Pending] = []
    for publication in publications:
        row_id = await connection.fetchval(
            "INSERT INTO pending_publications (kind, payload) VALUES ($1, $2) RETURNING id",
            "kafka" if isinstance(publication, KafkaPublication) else "event",
            msgspec.json.encode(publication).decode(),
        )
        pending.append(Pending(row_id, publication))
    return pending


@dataclass(slots=True)
class Publisher:
    """Tells publications and forgets them.

    Attributes:
        outbox: sends records.
        redis: tells events.
        kept_events: how many events are kept for clients that come back.
    """

    outbox: Outbox
    redis: Redis
    kept_events: int = KEPT_EVENTS
    # While Kafka is away its client keeps what it was given; giving it the same again and again would only add copies.
    _sending: dict[int, asyncio.Task[None]] = field(default_factory=dict)

    async def publish(
        self, pool: Pool, pending: Sequence[Pending], within_seconds: float = TELL_WITHIN_SECONDS
    ) -> bool:
        """Tell what a committed transaction recorded.

        Returns:
            whether all of it is told; else a history worker goes on trying.
        """
        told = await self._tell(pending, within_seconds)
        try:
            await _forget(pool, told)
        except Exception as error:  # whatever it is, the write itself is done
            logger.warning("publications %s are told but not yet forgotten: %r", told, error)
        return len(told) == len(pending)

    async def sweep(self, pool: Pool, within_seconds: float = TELL_WITHIN_SECONDS) -> int:
        """Tell what others left over; any number of workers may do so at once.

        Returns:
            how many publications were told.

        Raises:
            asyncpg.PostgresError, OSError: as `trafficapp.stores.postgres.is_transient` tells apart.
        """
        async with pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_LEFT_OVER, LEFT_OVER_AFTER, _SWEEP_ROWS)
            if not rows:
                return 0
            told = await self._tell([one for row in rows if (one := _pending(row)) is not None], within_seconds)
            await _forget(connection, told)
            return len(told)

    async def _tell(self, pending: Sequence[Pending], within_seconds: float) -> list[int]:
        """Tell side by side; the numbers of those that arrived in time."""
        tasks = [asyncio.create_task(self._tell_one(one, within_seconds)) for one in pending]
        results = await asyncio.gather(*tasks)
        return [one.id for one, told in zip(pending, results, strict=True) if told]

    async def _tell_one(self, one: Pending, within_seconds: float) -> bool:
        try:
            async with asyncio.timeout(within_seconds):
                if isinstance(one.publication, KafkaPublication):
                    await self._send(one.id, one.publication)
                else:
                    await self._emit(one.id, one.publication)
        except (*UNAVAILABLE, KafkaError) as error:
            logger.info("publication %d waits: %r", one.id, error)
            return False
        except Exception:  # one that cannot be told must not hold up those behind it
            logger.exception("publication %d cannot be told", one.id)
            return False
        return True

    async def _emit(self, row_id: int, publication: EventPublication) -> None:
        key = f"publication:{row_id}"
        await emit(self.redis, publication.event, publication.data.encode(), once_key=key, kept_events=self.kept_events)

    async def _send(self, row_id: int, publication: KafkaPublication) -> None:
        sending = self._sending.get(row_id)
        if sending is None:
            sending = self._sending[row_id] = asyncio.create_task(self._deliver(publication))
            sending.add_done_callback(lambda _: self._sending.pop(row_id, None))
        await asyncio.shield(sending)

    async def _deliver(self, publication: KafkaPublication) -> None:
        """Send a record and wait for the broker, however long it is away."""
        partitions = await self.outbox.partitions_for(publication.topic)
        key = None if publication.key is None else publication.key.encode()
        if publication.partitions == "key":
            partitions = [partitions[(murmur2(key or b"") & 0x7FFFFFFF) % len(partitions)]]
        headers = [(name, value.encode()) for name, value in publication.headers.items()]
        acknowledgements: list[asyncio.Future[Any]] = []
        for partition in partitions:
            acknowledgements += await self.outbox.send(
                publication.topic, partition, [(key, publication.value.encode())], headers
            )
        await asyncio.gather(*acknowledgements)


def _pending(row: asyncpg.Record) -> Pending | None:
    try:
        return Pending(row["id"], _decode(row["payload"]))
    except msgspec.DecodeError:
        logger.exception("publication %d is none that this version can tell", row["id"])
        return None


async def _forget(connection: Connection | Pool, told: list[int]) -> None:
    if told:
        await connection.execute("DELETE FROM pending_publications WHERE id = ANY($1::bigint[])", told)
