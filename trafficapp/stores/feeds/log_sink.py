"""The newest messages of a feed in Redis, each told once when it is news, as the feed's `NewestLog` says.

What happened long ago goes into the list, but is not told: after an outage nobody is to hear of what may be long over.
When it was sent says nothing, since then it is sent late.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import ConsumerRecord
from redis.asyncio import Redis

from models.cameras.detections import Rejected
from models.records import MALFORMED
from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.feeds.declaration import Feed, NewestLog
from trafficapp.feeds.decoder import event_id_of
from trafficapp.stores.feeds.redis_sink import FeedRedisSink
from trafficapp.stores.redis.documents import readable

logger = logging.getLogger(__name__)

_PER_CALL = 100

_encode = msgspec.json.Encoder().encode

#: KEYS[3]: the list. ARGV[6]: channel; ARGV[7]: messages kept; ARGV[8]: seconds of knowledge. Of each message: key of
#: knowledge, the record, and 1 when it is to be told.
_PUT = """
for _, change in ipairs(changes) do
  local known, record, is_news = unpack(change)
  if redis.call('SET', known, '1', 'NX', 'EX', ARGV[8]) then
    redis.call('LPUSH', KEYS[3], record)
    if is_news == 1 then redis.call('PUBLISH', ARGV[6], record) end
  end
end
redis.call('LTRIM', KEYS[3], 0, ARGV[7] - 1)
"""


@dataclass(frozen=True, slots=True)
class _Put:
    """A message to put; ``is_news`` when it is to be told."""

    event_id: str
    record: str
    is_news: bool = False


@dataclass(slots=True)
class NewestRecords:
    """The newest messages of a partition, by id; the newest last."""

    kept: int
    records: OrderedDict[str, str] = field(default_factory=OrderedDict)

    def add(self, event_id: str, record: str) -> bool:
        """Take one in; False when it is a repeat."""
        if event_id in self.records:
            return False
        self.records[event_id] = record
        if len(self.records) > self.kept:
            self.records.popitem(last=False)
        return True


class LogSink(FeedRedisSink[NewestRecords, _Put]):
    """Applies runs to Redis, of a feed with a `NewestLog`. What is withheld goes into the list, but is not told."""

    script, per_call = _PUT, _PER_CALL

    def shared(self) -> Sequence[Any]:
        """The list; the channel, how many are kept, and how long repeats are known."""
        self._log = newest_log(self._feed)
        return self._log.list, self._log.channel, self._log.kept, self._log.known_seconds

    def new_memory(self) -> NewestRecords:
        """No message."""
        return NewestRecords(self._log.kept)

    def everything(self, memory: NewestRecords, changes: list[_Put]) -> list[_Put]:
        """The newest ones, and what is new behind them."""
        new = {put.event_id for put in changes}
        return [*(_Put(*known) for known in memory.records.items() if known[0] not in new), *changes]

    def describe(self, memory: NewestRecords) -> str:
        """How many."""
        return f"{len(memory.records)} {self._feed.name}"

    async def remember(self, memories: Mapping[int, NewestRecords]) -> None:
        """Read the newest back, for every partition: of whichever they were, a repeat changes nothing."""
        for event_id, record in await newest_records(self.client, self._feed):
            for memory in memories.values():
                memory.add(event_id, str(record, "utf-8", "replace"))

    def collect(self, memory: NewestRecords, records: Sequence[ConsumerRecord]) -> list[_Put]:
        """Take a run in."""
        news_since_us = (time.time() - self._log.news_seconds) * MICROSECONDS_PER_SECOND
        found = []
        for record in records:
            try:
                accepted = self._decoder.check(record.key, record.value, record.timestamp * 1000)
                event_id = event_id_of(self._log, accepted.message)
                # of others as its shape has it, however it was written
                value = str((record.value or b"") if self._feed.is_ours else self._decoder.document(accepted), "utf-8")
            except (Rejected, *MALFORMED) as error:
                self.leave_out(record, "unreadable", error)
                continue
            marked = self.withheld(accepted.message)
            if marked is not None:
                value = str(_encode(marked), "utf-8")
            if memory.add(event_id, value):
                found.append(_Put(event_id, value, marked is None and accepted.time_us >= news_since_us))
        return found

    def still_to_put(self, changes: list[_Put]) -> list[tuple[Any, ...]]:
        """All of them."""
        return [(self._log.known_key(put.event_id), put.record, int(put.is_news)) for put in changes]


def newest_log(feed: Feed[Any]) -> NewestLog:
    """What a feed keeps as a log.

    Raises:
        TypeError: it keeps none.
    """
    if not isinstance(feed.current, NewestLog):
        raise TypeError(f"the feed {feed.name} keeps no log")
    return feed.current


async def newest_records(client: Redis, feed: Feed[Any]) -> list[tuple[str, bytes]]:
    """The newest messages with their ids, the newest last; what cannot be read is left out.

    Raises:
        RedisError: the server is away.
    """
    log, decode = newest_log(feed), msgspec.json.Decoder(feed.shape).decode
    records: Any = await client.lrange(log.list, 0, log.kept - 1)
    return readable(reversed(records), lambda record: (str(getattr(decode(record), log.id)), bytes(record)), feed.name)
