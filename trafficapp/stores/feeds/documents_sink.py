"""The newest document of each key of a feed in Redis, as the feed's `Current` says.

A newer document is never replaced by an older one, as long as it is there. It expires a while after it was sent to the
feed: of a backlog only what is still true is put. What took the place of an older one is told on the feed's channel, if
it has one; what is put again into a server that lost its data is not.

A sink that takes over remembers the documents of all partitions, since nothing tells which partition a key's producer
chose. Put again, those of others change nothing that is newer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from aiokafka import ConsumerRecord

from models.cameras.detections import Rejected
from models.records import MALFORMED
from models.timestamps import MICROSECONDS_PER_SECOND, epoch_us
from trafficapp.feeds.decoder import Accepted
from trafficapp.stores.feeds.current import current_of
from trafficapp.stores.feeds.redis_sink import FeedRedisSink
from trafficapp.stores.redis.connection import scan_pairs

logger = logging.getLogger(__name__)

#: Keys of a feed of ours stay in the sorted set for this long behind the newest document of any key. What clocks of
#: producers say tells nothing of the age of another key's document: keys of others stay for this long after a document
#: was put. A document that is kept for longer stays listed.
_LISTED_SECONDS = 86_400

_DOCUMENTS_PER_CALL = 250

#: A document of ours whose time is further ahead of its record and of our clock is of a wrong clock: it would stay the
#: newest for long. Nor is a record believed that is further ahead of our clock than brokers let records be.
_AHEAD_US = 60_000_000
_RECORD_AHEAD_US = 3_600_000_000

#: KEYS[3]: the sorted set; then the key of each document. ARGV[5]: seconds that a key stays listed; ARGV[6]: channel,
#: or ''; ARGV[7]: a second sorted set, of when each key was put, or ''; then for each document:
#: natural key, its time in epoch seconds, milliseconds to keep it, document, 1 when it is to be told.
_PUT = """
for i = 4, #KEYS do
  local at = 8 + (i - 4) * 5
  local known = redis.call('ZSCORE', KEYS[3], ARGV[at])
  local age = known and tonumber(ARGV[at + 1]) - tonumber(known) or 1
  if age >= 0 or redis.call('EXISTS', KEYS[i]) == 0 then
    local tell = ARGV[6] ~= '' and ARGV[at + 4] == '1'
    -- one that is put once more, since nobody heard that it was put, was told
    if tell and age == 0 then tell = redis.call('GET', KEYS[i]) ~= ARGV[at + 3] end
    redis.call('SET', KEYS[i], ARGV[at + 3], 'PX', ARGV[at + 2])
    redis.call('ZADD', KEYS[3], ARGV[at + 1], ARGV[at])
    if ARGV[7] ~= '' then redis.call('ZADD', ARGV[7], redis.call('TIME')[1], ARGV[at]) end
    if tell then redis.call('PUBLISH', ARGV[6], ARGV[at + 3]) end
  end
end
local function drop(from, to)
  local by = ARGV[7] ~= '' and ARGV[7] or KEYS[3]
  local gone = redis.call('ZRANGEBYSCORE', by, from, to, 'LIMIT', 0, 500)
  if #gone > 0 then
    redis.call('ZREM', KEYS[3], unpack(gone))
    if by ~= KEYS[3] then redis.call('ZREM', by, unpack(gone)) end
  end
end
if #KEYS > 3 and ARGV[7] ~= '' then
  drop('-inf', string.format('(%.0f', redis.call('TIME')[1] - ARGV[5]))
elseif #KEYS > 3 then
  -- what is of a wrong clock must not make all others look old
  drop(string.format('(%.0f', redis.call('TIME')[1] + ARGV[5]), '+inf')
  local newest = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')
  if newest[2] then drop('-inf', string.format('(%.0f', tonumber(newest[2]) - ARGV[5])) end
end
"""


@dataclass(frozen=True, slots=True)
class Document:
    """A document to put.

    Attributes:
        key: the natural key.
        time_us: when it happened, microseconds since the epoch.
        expires: epoch seconds.
        document: JSON.
        is_news: whether it is to be told.
    """

    key: str
    time_us: int
    expires: float
    document: bytes
    is_news: bool = False


#: The newest document of each key.
NewestDocuments: TypeAlias = dict[str, Document]


class DocumentsSink(FeedRedisSink[NewestDocuments, Document]):
    """Applies runs to Redis, of a feed with a `Current`."""

    script, per_call = _PUT, _DOCUMENTS_PER_CALL

    def shared(self) -> Sequence[Any]:
        """The sorted set; how long keys stay in it, the channel, and where it stands when keys were put."""
        self._current = current_of(self._feed)
        self._ahead_us = max(_AHEAD_US, self._decoder.future_us or 0)
        seconds = max(_LISTED_SECONDS, self._current.seconds)
        put_at = "" if self._feed.has_our_clock else self._current.put_at
        return self._current.listed, seconds, self._current.channel or "", put_at

    def new_memory(self) -> NewestDocuments:
        """No document."""
        return {}

    def everything(self, memory: NewestDocuments, changes: list[Document]) -> list[Document]:
        """All documents; what changed is among them."""
        news = {one.key for one in changes}
        return [one if one.key in news else replace(one, is_news=False) for one in memory.values()]

    def describe(self, memory: NewestDocuments) -> str:
        """How many documents."""
        return f"the newest documents of {len(memory)} {self._feed.name}"

    async def remember(self, memories: Mapping[int, NewestDocuments]) -> None:
        """Read the documents back."""
        now = time.time()
        async for listed in scan_pairs(self.client, "ZSCAN", self._current.listed):
            for first in range(0, len(listed), _DOCUMENTS_PER_CALL):
                keys = [self._current.key_of(key) for key, _ in listed[first : first + _DOCUMENTS_PER_CALL]]
                for found in await self._stored(keys, now):
                    for memory in memories.values():
                        memory[found.key] = found

    async def _stored(self, keys: Sequence[str], now: float) -> list[Document]:
        """What stands in keys; what has expired or cannot be read is left out."""
        async with self.client.pipeline(transaction=False) as pipeline:
            pipeline.mget(keys)
            for key in keys:
                pipeline.pttl(key)
            documents, *left_ms = await pipeline.execute()
        found = []
        for key, document, ms in zip(keys, documents, left_ms, strict=True):
            if document is not None and ms > 0:
                try:
                    read = self._decoder.read(document)
                except Rejected as error:
                    logger.error("%s holds no document of %s and was left out: %s", key, self._feed.name, error)
                    continue
                found.append(Document(read.key, read.time_us, now + ms / 1000, document))
        return found

    def collect(self, memory: NewestDocuments, records: Sequence[ConsumerRecord]) -> list[Document]:
        """Take a run in: the newest document of each key that it has."""
        changed: NewestDocuments = {}
        now = time.time()
        for record in records:
            try:
                accepted = self._decoder.check(record.key, record.value, record.timestamp * 1000)
                sent_us = self._sent_us(accepted, record)
            except (Rejected, *MALFORMED) as error:
                self.leave_out(record, "unreadable", error)
                continue
            now_us = round(now * MICROSECONDS_PER_SECOND)
            newest_us = max(now_us, min(record.timestamp * 1000, now_us + _RECORD_AHEAD_US))
            # what others send was judged by the feed's own guard, or has none
            if self._feed.has_our_clock and (
                sent_us - newest_us > _AHEAD_US or accepted.time_us - max(sent_us, now_us) > self._ahead_us
            ):
                self.leave_out(record, "future", "it is ahead of its time")
                continue
            known = memory.get(accepted.key)
            if known is None or known.time_us <= accepted.time_us:
                # and the clock of the record may be ahead of ours
                expires = min(sent_us / MICROSECONDS_PER_SECOND, now) + self._current.seconds
                document = (record.value or b"") if self._feed.is_ours else self._decoder.document(accepted)
                one = Document(accepted.key, accepted.time_us, expires, document, is_news=True)
                memory[accepted.key] = changed[accepted.key] = one
        for key in [key for key, one in memory.items() if one.expires <= now]:
            del memory[key]
        return list(changed.values())

    def still_to_put(self, changes: list[Document]) -> list[tuple[str, tuple[Any, ...]]]:
        """What has expired meanwhile may not replace, and need not be kept from being replaced."""
        now = time.time()
        return [
            (
                self._current.key_of(one.key),
                (
                    one.key,
                    one.time_us / MICROSECONDS_PER_SECOND,
                    max(1, round((one.expires - now) * 1000)),
                    one.document,
                    int(one.is_news),
                ),
            )
            for one in changes
            if one.expires > now
        ]

    def _sent_us(self, accepted: Accepted, record: ConsumerRecord) -> int:
        """When it was sent: what is told of the feed's record counts, a worker's clock may be wrong."""
        told = getattr(accepted.message, self._current.sent) if self._current.sent else ""
        record_us: int = record.timestamp * 1000
        if not told or self._feed.is_ours:
            return epoch_us(told) if told else record_us
        try:
            return min(epoch_us(told, self._decoder.zone), record_us)
        except MALFORMED:
            # what others say of it is not checked
            return record_us
