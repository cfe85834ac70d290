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
from itertools import takewhile
from typing import Any, TypeAlias

import msgspec
from aiokafka import ConsumerRecord
from msgspec import Struct, structs

from models.cameras.detections import Rejected
from models.records import MALFORMED
from models.timestamps import MICROSECONDS_PER_SECOND, epoch_us
from trafficapp.feeds.decoder import Accepted
from trafficapp.stores.feeds.current import current_of
from trafficapp.stores.feeds.redis_sink import FeedRedisSink, withhold_nothing
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

_encode = msgspec.json.Encoder().encode

#: KEYS[3]: the sorted set. ARGV[6]: seconds that a key stays listed; ARGV[7]: channel, or ''; ARGV[8]: a second sorted
#: set, of when each key was put, or ''. Of each document: its key, the natural key, its time in epoch seconds,
#: milliseconds to keep it, the document, 1 when it is to be told. The time is a text, which keeps its digits.
_PUT = """
local told = {}
for _, change in ipairs(changes) do
  local key, name, time, milliseconds, document, is_news = unpack(change)
  local known = redis.call('ZSCORE', KEYS[3], name)
  local age = known and tonumber(time) - tonumber(known) or 1
  if age >= 0 or redis.call('EXISTS', key) == 0 then
    local tell = ARGV[7] ~= '' and is_news == 1
    -- one that is put once more, since nobody heard that it was put, was told
    if tell and age == 0 then tell = redis.call('GET', key) ~= document end
    redis.call('SET', key, document, 'PX', milliseconds)
    redis.call('ZADD', KEYS[3], time, name)
    if ARGV[8] ~= '' then redis.call('ZADD', ARGV[8], redis.call('TIME')[1], name) end
    if tell then table.insert(told, document) end
  end
end
-- as one message: whoever hears it spends more on a message than on its documents
if #told > 0 then redis.call('PUBLISH', ARGV[7], '[' .. table.concat(told, ',') .. ']') end
local function drop(from, to)
  local by = ARGV[8] ~= '' and ARGV[8] or KEYS[3]
  local gone = redis.call('ZRANGEBYSCORE', by, from, to, 'LIMIT', 0, 500)
  if #gone > 0 then
    redis.call('ZREM', KEYS[3], unpack(gone))
    if by ~= KEYS[3] then redis.call('ZREM', by, unpack(gone)) end
  end
end
if #changes > 0 and ARGV[8] ~= '' then
  drop('-inf', string.format('(%.0f', redis.call('TIME')[1] - ARGV[6]))
elseif #changes > 0 then
  -- what is of a wrong clock must not make all others look old
  drop(string.format('(%.0f', redis.call('TIME')[1] + ARGV[6]), '+inf')
  local newest = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')
  if newest[2] then drop('-inf', string.format('(%.0f', tonumber(newest[2]) - ARGV[6])) end
end
"""


class Document(Struct, frozen=True, gc=False):
    """A document to put.

    Attributes:
        key: the natural key.
        time_us: when it happened, microseconds since the epoch.
        expires: epoch seconds.
        document: JSON, a text since Lua reads no bytes of MessagePack.
        is_news: whether it is to be told.
    """

    key: str
    time_us: int
    expires: float
    document: str
    is_news: bool = False


#: The newest document of each key, in the order in which they came.
NewestDocuments: TypeAlias = dict[str, Document]


class DocumentsSink(FeedRedisSink[NewestDocuments, Document]):
    """Applies runs to Redis, of a feed with a `Current`.

    What is withheld is told on the channel, too, marked: whoever hears it there knows what is current.
    """

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
        return [one if one.key in news else structs.replace(one, is_news=False) for one in memory.values()]

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
                    read, told = self._decoder.read(document), str(document, "utf-8")
                except (Rejected, UnicodeDecodeError) as error:
                    logger.error("%s holds no document of %s and was left out: %s", key, self._feed.name, error)
                    continue
                found.append(Document(read.key, read.time_us, now + ms / 1000, told))
        return found

    def collect(self, memory: NewestDocuments, records: Sequence[ConsumerRecord]) -> list[Document]:
        """Take a run in: the newest document of each key that it has."""
        changed: NewestDocuments = {}
        now, kept_seconds = time.time(), self._current.seconds
        now_us = round(now * MICROSECONDS_PER_SECOND)
        is_ours, has_our_clock, check = self._feed.is_ours, self._feed.has_our_clock, self._decoder.check
        withheld, sent_us_of = self.withheld, self._sent_us
        tells_all = withheld is withhold_nothing
        for record in records:
            record_us = record.timestamp * 1000
            try:
                accepted = check(record.key, record.value, record_us)
                sent_us = sent_us_of(accepted, record_us)
                if not tells_all and (marked := withheld(accepted.message)) is not None:
                    document = str(_encode(marked), "utf-8")
                else:
                    document = str((record.value or b"") if is_ours else self._decoder.document(accepted), "utf-8")
            except (Rejected, *MALFORMED) as error:
                self.leave_out(record, "unreadable", error)
                continue
            key, time_us = accepted.key, accepted.time_us
            # what others send was judged by the feed's own guard, or has none
            if has_our_clock and self._is_ahead(time_us, sent_us, record_us, now_us):
                self.leave_out(record, "future", "it is ahead of its time")
                continue
            known = memory.get(key)
            if known is None or known.time_us <= time_us or known.expires <= now:
                # and the clock of the record may be ahead of ours
                expires = min(sent_us / MICROSECONDS_PER_SECOND, now) + kept_seconds
                memory.pop(key, None)
                memory[key] = changed[key] = Document(key, time_us, expires, document, is_news=True)
        # those that came first expire first, or soon after
        for one in list(takewhile(lambda one: one.expires <= now, memory.values())):
            del memory[one.key]
        return list(changed.values())

    def still_to_put(self, changes: list[Document]) -> list[tuple[Any, ...]]:
        """What has expired meanwhile may not replace, and need not be kept from being replaced."""
        now, key_of = time.time(), self._current.key_of
        return [
            (
                key_of(one.key),
                one.key,
                repr(one.time_us / MICROSECONDS_PER_SECOND),
                max(1, round((one.expires - now) * 1000)),
                one.document,
                int(one.is_news),
            )
            for one in changes
            if one.expires > now
        ]

    def _is_ahead(self, time_us: int, sent_us: int, record_us: int, now_us: int) -> bool:
        """Whether a document of ours is of a wrong clock."""
        newest_us = max(now_us, min(record_us, now_us + _RECORD_AHEAD_US))
        return sent_us - newest_us > _AHEAD_US or time_us - max(sent_us, now_us) > self._ahead_us

    def _sent_us(self, accepted: Accepted, record_us: int) -> int:
        """When it was sent: what is told of the feed's record counts, a worker's clock may be wrong."""
        sent, is_ours = self._current.sent, self._feed.is_ours
        if is_ours and sent is not None and sent == self._feed.time:
            return accepted.time_us
        told = getattr(accepted.message, sent) if sent else ""
        if not told or is_ours:
            return epoch_us(told) if told else record_us
        try:
            return min(epoch_us(told, self._decoder.zone), record_us)
        except MALFORMED:
            # what others say of it is not checked
            return record_us
