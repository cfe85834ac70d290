"""What a write has to tell the rest of the system, kept until it is told: a transactional outbox.

The rows of `pending_publications` are written in the transaction of the write itself. The same process
tells them right after the commit; what it could not tell, because it died or a server was away, is told
by a history worker. A publication may be told twice, never not at all: readers of the topics keep the
newest of equals, and an event is emitted once by its key. One that can never be told is set aside after
`MAX_REFUSALS` attempts, with ``failed_at``; those not tried yet come before those that were.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
from aiokafka.errors import KafkaError
from msgspec import Struct
from redis.asyncio import Redis

from trafficapp.engine.kafka import home_partition
from trafficapp.engine.outbox import Outbox
from trafficapp.stores.redis.connection import UNAVAILABLE
from trafficapp.stores.redis.event_log import KEPT_EVENTS, emit

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Connection, Pool

logger = logging.getLogger(__name__)

#: How long a caller waits for Kafka and Redis after its commit.
TELL_WITHIN_SECONDS = 2.0

#: A row younger than this is still in the hands of the process that wrote it.
LEFT_OVER_AFTER = timedelta(seconds=2)

#: How long a caller waits for the rows to be deleted: the write is done, whatever Postgres does now.
FORGET_WITHIN_SECONDS = 1.5

#: What is refused so many times, although the server answers, is set aside.
MAX_REFUSALS = 5

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
        once_key: with the same one it is told once; not the number of the row, which a restored database gives again.
    """

    event: str
    data: str
    once_key: str = msgspec.field(default_factory=lambda: str(uuid.uuid4()))


Publication: TypeAlias = KafkaPublication | EventPublication

_decode = msgspec.json.Decoder(Publication).decode

_LEFT_OVER = """
    SELECT id, payload FROM pending_publications
    WHERE failed_at IS NULL AND created_at < now() - $1::interval
    ORDER BY attempts, id LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_TRIED = "UPDATE pending_publications SET attempts = attempts + 1 WHERE id = ANY($1::bigint[])"
_REFUSED = """
    UPDATE pending_publications SET refusals = refusals + 1, failed_at = CASE WHEN refusals + 1 >= $2 THEN now() END
    WHERE id = ANY($1::bigint[]) RETURNING id, failed_at
"""


class _Refused(Exception):
    """A publication that a server which answers does not take."""


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
    _sending: dict[tuple[int, str], asyncio.Task[None]] = field(default_factory=dict)
    _forgetting: set[asyncio.Task[None]] = field(default_factory=set)

    async def publish(
        self, pool: Pool, pending: Sequence[Pending], within_seconds: float = TELL_WITHIN_SECONDS
    ) -> bool:
        """Tell what a committed transaction recorded.

        Returns:
            whether all of it is told; else a history worker goes on trying.
        """
        outcomes = await self._tell(pending, within_seconds)
        told = [row_id for row_id, error in outcomes.items() if error is None]
        forgetting = asyncio.create_task(_forget_after_commit(pool, told))
        self._forgetting.add(forgetting)
        forgetting.add_done_callback(self._forgetting.discard)
        await asyncio.wait({forgetting}, timeout=FORGET_WITHIN_SECONDS)
        return len(told) == len(pending)

    async def sweep(self, pool: Pool, within_seconds: float = TELL_WITHIN_SECONDS) -> int:
        """Tell what others left over; any number of workers may do so at once.

        Returns:
            how many publications were told.

        Raises:
            asyncpg.PostgresError, OSError: as `trafficapp.stores.postgres.connection.is_transient` tells apart.
        """
        async with pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_LEFT_OVER, LEFT_OVER_AFTER, _SWEEP_ROWS)
            if not rows:
                return 0
            await connection.execute(_TRIED, [row["id"] for row in rows])
            pending, refused = _read(rows)
            outcomes = await self._tell(pending, within_seconds)
            told = [row_id for row_id, error in outcomes.items() if error is None]
            refused |= {row_id: error for row_id, error in outcomes.items() if isinstance(error, _Refused)}
            await _forget(connection, told)
            if refused:
                await _note_refusals(connection, refused)
            return len(told)

    async def _tell(self, pending: Sequence[Pending], within_seconds: float) -> dict[int, Exception | None]:
        """Tell side by side; for each row why it is not told, None when it is."""
        results = await asyncio.gather(*(self._tell_one(one, within_seconds) for one in pending))
        return {one.id: error for one, error in zip(pending, results, strict=True)}

    async def _tell_one(self, one: Pending, within_seconds: float) -> Exception | None:
        try:
            async with asyncio.timeout(within_seconds):
                if isinstance(one.publication, KafkaPublication):
                    await self._send(one.id, one.publication)
                else:
                    await self._emit(one.publication)
        except Exception as error:  # one that cannot be told must not hold up those behind it
            away = isinstance(error, UNAVAILABLE) or (isinstance(error, KafkaError) and error.retriable)
            logger.info("publication %d waits: %r", one.id, error)
            return error if away else _Refused(repr(error))
        return None

    async def _emit(self, publication: EventPublication) -> None:
        key = f"publication:{publication.once_key}"
        data = publication.data.encode()
        await emit(self.redis, publication.event, data, once_key=key, kept_events=self.kept_events)

    async def _send(self, row_id: int, publication: KafkaPublication) -> None:
        known_as = (row_id, publication.value)  # a restored database gives the number again
        sending = self._sending.get(known_as)
        if sending is None:
            sending = self._sending[known_as] = asyncio.create_task(self._deliver(publication))
            sending.add_done_callback(lambda _: self._sending.pop(known_as, None))
        await asyncio.shield(sending)

    async def _deliver(self, publication: KafkaPublication) -> None:
        """Send a record and wait for the broker, however long it is away."""
        partitions = await self.outbox.partitions_for(publication.topic)
        key = None if publication.key is None else publication.key.encode()
        if publication.partitions == "key":
            partitions = [partitions[home_partition(key or b"", len(partitions))]]
        headers = [(name, value.encode()) for name, value in publication.headers.items()]
        acknowledgements: list[asyncio.Future[Any]] = []
        for partition in partitions:
            acknowledgements += await self.outbox.send(
                publication.topic, partition, [(key, publication.value.encode())], headers
            )
        await asyncio.gather(*acknowledgements)


def _read(rows: Iterable[asyncpg.Record]) -> tuple[list[Pending], dict[int, Exception]]:
    """What rows say, and by their numbers those that this version cannot read."""
    pending: list[Pending] = []
    unreadable: dict[int, Exception] = {}
    for row in rows:
        try:
            pending.append(Pending(row["id"], _decode(row["payload"])))
        except msgspec.DecodeError as error:
            unreadable[row["id"]] = error
    return pending, unreadable


async def _note_refusals(connection: Connection, refused: dict[int, Exception]) -> None:
    for row in await connection.fetch(_REFUSED, list(refused), MAX_REFUSALS):
        if row["failed_at"] is not None:
            text = "publication %d was refused %d times and is set aside: %s"
            logger.error(text, row["id"], MAX_REFUSALS, refused[row["id"]])


async def _forget_after_commit(pool: Pool, told: list[int]) -> None:
    try:
        await _forget(pool, told)
    except Exception as error:  # whatever it is, the write itself is done
        logger.warning("publications %s are told but not yet forgotten: %r", told, error)


async def _forget(connection: Connection | Pool, told: list[int]) -> None:
    if told:
        await connection.execute("DELETE FROM pending_publications WHERE id = ANY($1::bigint[])", told)
