"""What the sinks into Redis share: the offset beside the effect, and servers that are away or lost their data.

The applied offset stands in Redis beside what it covers and moves in the same script call. A server that
comes back empty, or with an older snapshot, is recognised by its generation key or by an offset smaller
than the one written last; then everything is put again from memory. A sink that starts against an empty
server reads its topic back.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError
from redis.asyncio import Redis

from trafficapp.engine.state_rows import UNTOLD, SourceLog
from trafficapp.stores.outage import Outage
from trafficapp.stores.redis.connection import UNAVAILABLE, is_outage
from trafficapp.stores.redis.event_log import leave_hole
from trafficapp.stores.redis.read_back import PartitionSpan, ReadBack

logger = logging.getLogger(__name__)

Memory = TypeVar("Memory")
Changes = TypeVar("Changes")

#: A record that waited longer in the topic is no news: it changes the state, but is not told for itself.
NEWS_SECONDS = 60.0

_WATCH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Call:
    """What a sink's script is told besides the changes.

    Attributes:
        stored: the offset that Redis must hold at least; if not, it lost data.
        next_offset: the offset to store; -1 leaves the stored one alone.
    """

    partition: int
    generation: str
    stored: int
    next_offset: int


@dataclass(slots=True)
class _Owned(Generic[Memory]):
    """A partition the sink owns; ``stored`` is the offset that Redis holds, -1 for none, of the log of an id."""

    number: int
    log_id: str
    generation: str
    stored: int
    memory: Memory
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)


class RedisSink(ABC, Generic[Memory, Changes]):
    """A `trafficapp.engine.sink.RunSink` that keeps the current state of one topic in Redis.

    Args:
        client: from `trafficapp.stores.redis.connection.connect`.
        topic: the topic the records are of.
        read_back: where to begin when Redis knows no offset.
        on_rows: told how many records took effect.
    """

    def __init__(
        self, client: Redis, topic: str, read_back: ReadBack, on_rows: Callable[[int], None] | None = None
    ) -> None:
        self.client = client
        self.topic = topic
        self.generation_key = f"sink:{topic}:generation"
        self.offsets_key = f"sink:{topic}"
        self._read_back = read_back
        self._on_rows = on_rows
        self._owned: dict[int, _Owned[Memory]] = {}
        self._redis_outage = Outage("Redis")
        self._kafka_outage = Outage("Kafka")
        self._watcher: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------ what a sink is about

    @abstractmethod
    def new_memory(self) -> Memory:
        """What is kept in memory of a partition: enough to put everything into an empty server."""

    @abstractmethod
    async def remember(self, memories: Mapping[int, Memory]) -> None:
        """Read what stands in Redis into the memories, given by partition."""

    @abstractmethod
    def collect(self, memory: Memory, records: Sequence[ConsumerRecord]) -> Changes:
        """Take a run into memory and say what changed."""

    @abstractmethod
    def no_changes(self) -> Changes:
        """The changes of no record."""

    @abstractmethod
    def everything(self, memory: Memory, changes: Changes) -> Changes:
        """All that is in memory as changes, with what is news in the given ones."""

    @abstractmethod
    async def put(self, call: Call, changes: Changes) -> bool:
        """Run the script; False when it says that Redis lost data."""

    @abstractmethod
    def describe(self, memory: Memory) -> str:
        """What `everything` puts, for the log."""

    # ------------------------------------------------------------------ RunSink

    def is_waiting(self) -> bool:
        """Whether Redis, or at first the broker, is away."""
        return self._redis_outage.lasting or self._kafka_outage.lasting

    async def load(self, partitions: Collection[int], log: SourceLog = UNTOLD) -> dict[int, int]:
        """Take over partitions; waits until Redis and the broker answer.

        The offset of another topic of that name is thrown away: what is recent is read again.

        Returns:
            for each partition the offset of the first record still to be applied.
        """
        while True:
            try:
                spans = await self._read_back(partitions)
                self._kafka_outage.over()
                break
            except (KafkaError, OSError, TimeoutError) as error:
                self._kafka_outage.met(error)
                await self._kafka_outage.pause()
        while True:
            try:
                loaded = await self._load(partitions, spans, log)
                self._redis_outage.over()
                break
            except UNAVAILABLE as error:
                await self._wait(error)
        self._owned.update(loaded)
        if self._owned and (self._watcher is None or self._watcher.done()):
            self._watcher = asyncio.create_task(self._watch(), name=f"watch Redis for {self.topic}")
        return {number: owned.stored if owned.stored >= 0 else spans[number].recent for number, owned in loaded.items()}

    async def apply(self, partition: int, records: Sequence[ConsumerRecord], still_owned: Callable[[], bool]) -> None:
        """Put what a run changes; waits while Redis is away."""
        if not records:
            return
        owned = self._owned[partition]
        async with owned.writing:
            changes = self.collect(owned.memory, records)
            while still_owned():
                try:
                    await self._put(owned, changes, records[-1].offset + 1)
                    break
                except UNAVAILABLE as error:
                    await self._wait(error)
        if self._on_rows is not None:
            self._on_rows(len(records))

    def release(self, partitions: Collection[int]) -> None:
        """Forget partitions."""
        for number in partitions:
            self._owned.pop(number, None)
        if not self._owned and self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None

    def memories(self) -> list[Memory]:
        """What is kept of each partition the sink owns."""
        return [owned.memory for owned in self._owned.values()]

    # ------------------------------------------------------------------ inside

    async def _load(
        self, partitions: Collection[int], spans: Mapping[int, PartitionSpan], log: SourceLog
    ) -> dict[int, _Owned[Memory]]:
        generation = await self._generation()
        loaded = {}
        for number in partitions:
            stored = await self._offset_of(number, spans[number].end, log)
            loaded[number] = _Owned(number, log.id, generation, stored, self.new_memory())
        await self.remember({number: owned.memory for number, owned in loaded.items()})
        return loaded

    async def _offset_of(self, number: int, end: int, log: SourceLog) -> int:
        """The offset that stands in Redis for a partition, -1 without one for the log that is there."""
        fields: Any = await self.client.hmget(self.offsets_key, [str(number), _log_field(number)])
        offset, log_id = fields
        stored = -1 if offset is None else int(offset)
        is_ours = not log.id or log_id is None or log_id.decode() == log.id
        if stored > end or (stored >= 0 and not is_ours):
            logger.warning(
                "%s/%d ends at %d and was made anew since the offset %d was applied: reading all that is recent",
                self.topic,
                number,
                end,
                stored,
            )
            await self.client.hdel(self.offsets_key, str(number))
            stored = -1
        if log.id:
            await self.client.hset(self.offsets_key, _log_field(number), log.id)
        return stored

    async def _put(self, owned: _Owned[Memory], changes: Changes, next_offset: int) -> None:
        """Put what a run changed, and everything when Redis lost what was put before."""
        if not await self.put(Call(owned.number, owned.generation, owned.stored, next_offset), changes):
            await self._put_everything(owned, changes, next_offset)
        owned.stored = max(owned.stored, next_offset)
        self._redis_outage.over()

    async def _put_everything(self, owned: _Owned[Memory], changes: Changes, next_offset: int) -> None:
        """Build a server up again that lost what was written."""
        stored = max(owned.stored, next_offset)
        everything = self.everything(owned.memory, changes)
        # numbers of events may have gone back: nobody may go on from where he was
        await leave_hole(self.client)
        while True:
            call = Call(owned.number, await self._generation(), -1, stored)
            if owned.log_id:
                await self.client.hset(self.offsets_key, _log_field(owned.number), owned.log_id)
            if await self.put(call, everything):
                break
        # Only now: after a failure half way everything is put again.
        owned.generation, owned.stored = call.generation, stored
        what = self.describe(owned.memory)
        logger.warning("Redis had lost its data: put %s of %s/%d again", what, self.topic, owned.number)

    async def _generation(self) -> str:
        """The server's generation; an empty server gets a new one."""
        await self.client.set(self.generation_key, uuid.uuid4().hex, nx=True)
        value: Any = await self.client.get(self.generation_key)
        return "" if value is None else str(value, "ascii")

    async def _watch(self) -> None:
        """Notice a server that lost its data although no record comes."""
        while self._owned:
            await asyncio.sleep(_WATCH_SECONDS)
            for owned in list(self._owned.values()):
                if owned.writing.locked():
                    continue
                async with owned.writing:
                    nothing = self.no_changes()
                    try:
                        if not await self.put(Call(owned.number, owned.generation, owned.stored, -1), nothing):
                            await self._put_everything(owned, nothing, -1)
                        self._redis_outage.over()
                    except UNAVAILABLE as error:
                        self._redis_outage.met(error)
                        break

    async def _wait(self, error: Exception) -> None:
        if not is_outage(error):
            raise error
        self._redis_outage.met(error)
        await self._redis_outage.pause()


def _log_field(number: int) -> str:
    """Field that says which log the offset of a partition is of: Kafka's id of the topic."""
    return f"{number}:log"
